# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the unit of a pod calls: ``up <pod id>`` before its start, ``down <pod id>`` after its end. Both may be called again."""

from __future__ import annotations

import fcntl
import os
import sys

from .. import plan
from ..say.errors import CommandFailed
from ..system import files as disk
from . import files, link, names, walls


def up(id: str) -> None:
    pod = files.one(id)
    if pod is None:
        raise CommandFailed(f"{plan.PODS}/{id} is not there, or is damaged; run the deployment again")
    names.write(id, pod)
    link.up(id, pod)
    walls.ensure()


def down(id: str) -> None:
    link.down(id)
    disk.remove(f"{plan.POD_STATES}/{id}")


def main() -> None:
    """One pod at a time: the bridge is made with the first and goes with the last."""
    verb, id = sys.argv[1:]
    os.makedirs(plan.POD_STATES, mode=0o755, exist_ok=True)
    with open(f"{plan.POD_STATES}/.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            {"up": up, "down": down}[verb](id)
        except (CommandFailed, OSError) as error:
            raise SystemExit(f"{id}: {error}") from None
