# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Services of a task and their health checks."""

from ..declare.keys import Seconds, key
from ..declare.record import record
from .vocabulary import NAME, CheckStatus, CheckType


@record
class Check:
    """A health check of a service."""

    name: str = key("Name of the check.", pattern=NAME)
    type: CheckType = key("How the service is checked.")
    command: str | None = key("Command of a script check.", default=None)
    args: tuple[str, ...] = key("Arguments of that command.", factory=tuple)
    path: str | None = key("Path of an http check.", default=None)
    protocol: str | None = key("Protocol of an http check: http or https.", default=None, pattern="https?", expected="http or https")
    port_label: str | None = key("Label of the port to check. Default: the service's.", default=None)
    interval: Seconds | None = key("Time between two checks.", default=None, minimum=0.1)
    timeout: Seconds | None = key("How long to wait for an answer.", default=None, minimum=0.1)
    initial_status: CheckStatus | None = key("Status before the first check.", default=None)


@record
class Service:
    """A service that a task offers, for service discovery."""

    name: str = key("Name of the service.", pattern=NAME)
    port_label: str = key("Label of the port on which it listens.")
    tags: tuple[str, ...] = key("Tags.", factory=tuple)
    checks: tuple[Check, ...] = key("Health checks.", factory=tuple)
