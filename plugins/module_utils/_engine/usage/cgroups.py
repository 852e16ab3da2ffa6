# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the processes of a unit or a slice use, as the kernel counts it for their control group: cgroup v2, v1, and both beside each other.

cgroups(7); in the kernel's documentation, admin-guide/cgroup-v2.rst and admin-guide/cgroup-v1/.
"""

from __future__ import annotations

import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    class Cpu(t.TypedDict):
        seconds: float | None  # since the control group was made: of a unit, since it was started
        percent: float | None  # of one core, within the time of the sample
        limit: float | None  # cores
        percent_of_limit: float | None
        throttled_seconds: float | None  # for how long processes had to wait because of the limit, all of them together

    class Memory(t.TypedDict):
        """Bytes, with what the kernel keeps of their files."""

        current: int | None
        peak: int | None
        limit: int | None
        oom_kills: int | None

    class Io(t.TypedDict):
        """What went to and came from disks. Operations are counted where the control group has a limit or a share of them only."""

        read_bytes: int | None
        written_bytes: int | None
        reads: int | None
        writes: int | None

    class Usage(t.TypedDict):
        """Null is what the robot does not count, and all of what does not run."""

        cpu: Cpu
        memory: Memory
        io: Io
        processes: int | None
        threads: int | None
        threads_limit: int | None


ROOT = "/sys/fs/cgroup"
# What the kernel writes where there is no limit of memory on cgroup v1, or a little more.
UNLIMITED = 2**60


class Cgroups:
    """The control groups of a robot, by the path that systemd calls ControlGroup=; empty for a unit that does not run."""

    def __init__(self, root: str = ROOT) -> None:
        self._root = root
        self._unified = os.path.exists(f"{root}/cgroup.controllers")
        self._before: dict[str, tuple[float, float]] = {}

    def sample(self, groups: t.Iterable[str], seconds: float) -> None:
        """Take the time that `usage` then says the percentage of."""
        self._before = {group: (spent, time.monotonic()) for group in groups for spent in [self._cpu_seconds(group)] if spent is not None}
        if self._before:
            time.sleep(seconds)

    def usage(self, group: str, oom_kills: int | None = None) -> Usage:
        """What a control group uses. ``oom_kills``: how many of its processes are known to have been killed for want of memory."""
        events = self._pairs("memory", group, "memory.events" if self._unified else "memory.oom_control")
        counts = [count for count in (oom_kills, events.get("oom_kill")) if count is not None]
        pids = self._pids(group)
        return {
            "cpu": self._cpu(group),
            "memory": {
                "current": self._number("memory", group, "memory.current", "memory.usage_in_bytes"),
                "peak": self._number("memory", group, "memory.peak", "memory.max_usage_in_bytes"),
                "limit": self._number("memory", group, "memory.max", "memory.limit_in_bytes"),
                "oom_kills": max(counts, default=None),
            },
            "io": self._io(group, pids),
            "processes": len(pids) if group else None,
            "threads": self._number("pids", group, "pids.current"),
            "threads_limit": self._number("pids", group, "pids.max"),
        }

    def _cpu(self, group: str) -> Cpu:
        spent, limit, percent = self._cpu_seconds(group), self._cpu_limit(group), None
        if spent is not None and group in self._before:
            before, moment = self._before[group]
            percent = max(0.0, spent - before) / (time.monotonic() - moment) * 100
        stat = self._pairs("cpu", group, "cpu.stat")
        name, parts = ("throttled_usec", 1e6) if self._unified else ("throttled_time", 1e9)
        throttled = stat[name] / parts if name in stat else None
        return {
            "seconds": _rounded(spent),
            "percent": _rounded(percent),
            "limit": limit,
            "percent_of_limit": _rounded(percent / limit) if percent is not None and limit else None,
            "throttled_seconds": _rounded(throttled),
        }

    def _cpu_seconds(self, group: str) -> float | None:
        # Beside cgroup v1, cgroup v2 counts it too, and for every unit.
        path = f"{self._root}{group}" if self._unified else f"{self._root}/unified{group}"
        spent = _pairs(_read(f"{path}/cpu.stat")).get("usage_usec") if group else None
        if spent is not None:
            return spent / 1e6
        spent = self._number("cpuacct", group, "cpuacct.usage")
        return None if spent is None else spent / 1e9

    def _cpu_limit(self, group: str) -> float | None:
        if self._unified:
            quota, period = (self._text("cpu", group, "cpu.max").split() or ["", ""])[:2]
        else:
            quota, period = (self._text("cpu", group, f"cpu.cfs_{name}_us").strip() for name in ("quota", "period"))
        return int(quota) / int(period) if quota.isdigit() and period.isdigit() else None

    def _io(self, group: str, pids: t.Sequence[str]) -> Io:
        """By device if the control group counts it. Else by process, with those that a process has waited for; a unit whose main process
        has not ended loses little by that. (cgroup v1 would count all that is written from memory later as nobody's.)
        """
        if not group:
            return {"read_bytes": None, "written_bytes": None, "reads": None, "writes": None}
        by_device = f"{self._root}{group}/io.stat"
        if self._unified and os.path.exists(by_device):
            # Of one that has used no disk yet, there is no line.
            devices = [_assignments(line) for line in _read(by_device).splitlines()]
            read, written, reads, writes = (sum(each.get(name, 0) for each in devices) for name in ("rbytes", "wbytes", "rios", "wios"))
            return {"read_bytes": read, "written_bytes": written, "reads": reads, "writes": writes}
        found = [_pairs(_read(f"/proc/{pid}/io").replace(":", "")) for pid in pids]
        read = sum(each.get("read_bytes", 0) for each in found)
        written = sum(each.get("write_bytes", 0) - each.get("cancelled_write_bytes", 0) for each in found)
        return {"read_bytes": read, "written_bytes": max(0, written), "reads": None, "writes": None}

    def _pids(self, group: str) -> list[str]:
        """The processes of a control group and of those below it."""
        if not group:
            return []
        directory = self._path("systemd", group)
        return [pid for path, _directories, _names in os.walk(directory) for pid in _read(f"{path}/cgroup.procs").split()]

    def _path(self, controller: str, group: str) -> str:
        return f"{self._root}{group}" if self._unified else f"{self._root}/{controller}{group}"

    def _text(self, controller: str, group: str, name: str) -> str:
        # The root has files of other names.
        return _read(f"{self._path(controller, group)}/{name}") if group else ""

    def _pairs(self, controller: str, group: str, name: str) -> dict[str, int]:
        return _pairs(self._text(controller, group, name))

    def _number(self, controller: str, group: str, unified: str, legacy: str = "") -> int | None:
        text = self._text(controller, group, unified if self._unified else legacy or unified).strip()
        return int(text) if text.isdigit() and int(text) < UNLIMITED else None


def _read(path: str) -> str:
    """What a file says; nothing if it is not there, as after the end of a process."""
    try:
        with open(path, encoding="utf-8") as stream:
            return stream.read()
    except OSError:
        return ""


def _pairs(text: str) -> dict[str, int]:
    """Lines of a name and a number."""
    words = [line.split() for line in text.splitlines()]
    return {pair[0]: int(pair[1]) for pair in words if len(pair) == 2 and pair[1].isdigit()}


def _assignments(line: str) -> dict[str, int]:
    """A line of io.stat: a device, and a number for each name."""
    pairs = [word.partition("=") for word in line.split()[1:]]
    return {name: int(value) for name, _equals, value in pairs if value.isdigit()}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
