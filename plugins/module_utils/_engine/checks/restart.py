# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restarting a task whose checks have failed: it is asked to end as in any other stop, and killed where it does not. That it starts
again is its unit's own business: as after a crash, its restart policy counts.
"""

from __future__ import annotations

import contextlib
import os
from time import monotonic, sleep

from ..system import command, systemd
from .children import MARGIN, Child
from .up import running

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .children import Result
    from .states import Stop

INTERVAL = 0.1


class Restart:
    """A task is asked to end, by a child that waits until it has."""

    def __init__(self, unit: str, pid: int, stop: Stop) -> None:
        self.child = Child(lambda _writer: _end(unit, pid, stop), stop["seconds"] + 10 * MARGIN)

    def more(self) -> tuple[list[Result], bool]:
        return [], not self.child.read()

    def end(self) -> list[Result]:
        self.child.end()
        return []


def _end(unit: str, pid: int, stop: Stop) -> None:
    deadline = monotonic() + stop["seconds"]
    _ask(unit, pid, stop)
    while running([unit]).get(unit, (0, 0))[1] == pid:
        if monotonic() > deadline:
            systemd.ask(["systemctl", "kill", "--signal=SIGKILL", unit])
            return
        sleep(INTERVAL)


def _ask(unit: str, pid: int, stop: Stop) -> None:
    if stop["argv"]:
        # It waits until the task has ended.
        if not os.fork():
            os.execve(stop["argv"][0], stop["argv"], {**command.ENVIRONMENT, "MAINPID": str(pid)})
    elif stop["all"]:
        systemd.ask(["systemctl", "kill", f"--signal={stop['signal']}", unit])
    else:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, stop["signal"])
