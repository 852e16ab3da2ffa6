# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the unit of a pod calls: ``up <pod id>`` before its start, ``down <pod id>`` after its end. Both may be called again."""

from __future__ import annotations

import sys
import time

from .. import plan
from ..say.errors import CommandFailed
from ..system import files as disk
from . import files, link, names, walls

# Seconds. What requires a pod is not started once the pod's start has failed, and nothing starts it later.
_PATIENCE = 30


def up(id: str) -> None:
    pod = files.one(id)
    if pod is None:
        raise SystemExit(f"{plan.PODS}/{id} is missing or damaged; deploy the job again")
    with names.locked():
        names.write(id, pod)
        link.up(id, pod)
    walls.cover(id)


def down(id: str) -> None:
    with names.locked():
        link.down(id)
        disk.remove(f"{plan.POD_STATES}/{id}")


def main() -> None:
    """Others change the robot's network and its firewall at the same time, most of all at boot: so what fails is tried again."""
    verb, id = sys.argv[1:]
    until = time.monotonic() + (_PATIENCE if verb == "up" else 0)
    while True:
        try:
            return {"up": up, "down": down}[verb](id)
        except (CommandFailed, OSError) as error:
            if time.monotonic() >= until:
                raise SystemExit(f"{id}: {error}") from None
        time.sleep(1)
