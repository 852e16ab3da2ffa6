# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A script inside of a container, whoever runs it: what it is called, and how what it leaves behind is found and ended.

The engine, or its runtime, alone knows all of a container's walls: with the namespaces and capabilities also its filter of system calls
and its profile of AppArmor. Whoever entered a container by hand would leave some of them behind, and lend it a program of the robot.
"""

from __future__ import annotations

import contextlib
import os
import zlib
from time import monotonic, sleep

from ...say import jsontext

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    import typing as t

    from ..states import Check
else:
    import _signal as signal

# The variable by which what a script has started is known again.
MARK = "K8S4R_CHECK"
# Of a script's output, so much is kept in memory: its end.
OUTPUT = 4096
# Where a slice is found, without cgroup v2 and with it. Without, crun leaves a script where it is among the groups of systemd's own.
ROOTS = (("/sys/fs/cgroup/systemd", "/sys/fs/cgroup/pids"), ("/sys/fs/cgroup",))


class Script:
    """`started` is what the program of the unit says of the container."""

    def __init__(self, check: Check, started: t.Mapping[str, t.Any]) -> None:
        self._check = check
        self._slice, self._argv = started["slice"], [*started["takes"], *check["argv"]]
        # The same each time, so that one is found which was begun when its time was up.
        self._mark = f"{MARK}={zlib.crc32(jsontext.dumps(check).encode('ascii')):08x}"
        self._deadline = monotonic() + check["timeout"]
        self._said = b""

    def _kill(self, rounds: int = 20) -> None:
        """Kill what is left: what has the mark, and what else is known to be the script's."""
        for _round in range(rounds):
            left = [pid for pid in self._processes() if self._is_of_script(pid)]
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if not left:
                return
            sleep(0.01)

    def _processes(self) -> t.Iterator[int]:
        """Of the container, which is alone in its slice."""
        for root in ROOTS[os.path.exists(f"{ROOTS[1][0]}/cgroup.controllers")]:
            for path, _directories, _names in os.walk(root + self._slice):
                with contextlib.suppress(OSError), open(f"{path}/cgroup.procs", encoding="ascii") as stream:
                    yield from map(int, stream.read().split())

    def _is_of_script(self, pid: int) -> bool:
        try:
            if self._began(pid):
                return True
            with open(f"/proc/{pid}/environ", "rb") as stream:
                return self._mark.encode("ascii") in stream.read(1 << 20).split(b"\0")
        except OSError:
            return False

    def _began(self, _pid: int) -> bool:
        """Whether the script has begun this process, also if that has none of its variables."""
        return False
