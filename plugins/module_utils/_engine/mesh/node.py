# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The certificate by which the robot's SPIRE agent attests, as the role spire_agent leaves it. The agent attests at every renewal of its
own identity, so it is lost within a day of this certificate's end, and all proxies an hour later.
"""

from __future__ import annotations

import calendar
import os
import time

from ..plan import AGENT_NAMES
from ..system import command

CERTIFICATE = "/etc/spire/agent/node.pem"
# What is left of its lifetime when it is told. Provisioning renews it from a third on.
LAST = 0.25


def expiring() -> list[str]:
    """When it ends and what renews it, in a text for a person, if that is soon. Not so where the agent has no such certificate."""
    try:
        if any("@" in name for name in os.listdir(AGENT_NAMES)):
            # It has none, or one that it needs no longer.
            return []
        begin, end = _lifetime()
    except (OSError, ValueError):
        return []
    if end - time.time() > LAST * (end - begin):
        return []
    verb = "expires" if end > time.time() else "expired"
    day = time.strftime("%Y-%m-%d", time.gmtime(end))
    return [f"the certificate of this robot's SPIRE agent, {CERTIFICATE}, {verb} on {day}; k8s4r.robot.provision renews it"]


def _lifetime() -> tuple[int, int]:
    """Its begin and its end, in seconds since the epoch."""
    status, printed = command.run(["openssl", "x509", "-in", CERTIFICATE, "-noout", "-startdate", "-enddate"], errors=False, timeout=10)
    if status:
        raise ValueError("openssl cannot read it")
    begin, end = (calendar.timegm(time.strptime(line.partition("=")[2], "%b %d %H:%M:%S %Y GMT")) for line in printed.splitlines())
    return begin, end
