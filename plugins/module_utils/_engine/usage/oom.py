# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which units lost a process because memory ran out, by the kernel's log of this boot.

systemd knows it on cgroup v2 only, and of the last start alone: on v1 it sees a program that signal 9 ended. The kernel's log has all, as
long as there is room in it; it is read only where somebody asks.
"""

from __future__ import annotations

import os
import re
import signal
import time

from ..system import systemd
from ..system.own import unit_in_slice

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    # When it happened, of the monotonic clock, by the unit's name.
    Kills = t.Mapping[str, t.Sequence[float]]


LOG = "/dev/kmsg"
# The kernel's own text, since Linux 5.0 (dump_oom_victim of mm/oom_kill.c). What stands behind it is the program's name, which anybody can
# choose.
_KILL, _WHERE = b"oom-kill:", b",task_memcg="
_UNIT = re.compile(rb"/(k8s4r-[^/]+\.service|k8s4r-[^/-]+-[^/-]+\.slice)(?:/|$)")
# Longer than a record can be.
_RECORD = 16384
# Seconds. The log's clock and systemd's differ by little where both are recent.
TOLERANCE = 10.0


def kills(path: str = LOG) -> Kills:
    """All that the kernel's log has; nothing where there is none, as in most containers."""
    found: dict[str, list[float]] = {}
    try:
        log = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return found
    # The log's clock is never set right, so over weeks the monotonic one runs away from it.
    ahead = time.monotonic() - time.clock_gettime(time.CLOCK_MONOTONIC_RAW)
    try:
        for record in _records(log):
            head, _semicolon, text = record.partition(b";")
            # Of the head: priority, number, microseconds, flags. The kernel alone writes with the facility 0; a program may write, too.
            kernel = head.split(b",")[0].isdigit() and int(head.split(b",")[0]) < 8
            unit = _UNIT.search(text.partition(_WHERE)[2].partition(b",")[0]) if kernel and text.startswith(_KILL) else None
            if unit:
                name = unit.group(1).decode("ascii", "replace")
                found.setdefault(unit_in_slice(name) or name, []).append(int(head.split(b",")[2]) / 1e6 + ahead)
    finally:
        os.close(log)
    return found


def _records(log: int) -> t.Iterator[bytes]:
    """Each read gives one record."""
    while True:
        try:
            record = os.read(log, _RECORD)
        except BrokenPipeError:
            # The next one was overwritten meanwhile; go on with the oldest that is left.
            continue
        except BlockingIOError:
            return
        if not record:
            return
        yield record


def told(shown: systemd.Shown, known: Kills | None = None) -> systemd.Shown:
    """What systemd reported, with the result that it would have given had it known of the kernel's part. ``known``: what `kills` found."""
    suspects = [name for name, values in shown.items() if _by_kill(values)]
    if not suspects:
        return shown
    if known is None:
        known = kills()
    victims = [name for name in suspects if any(_in_its_time(shown[name], moment) for moment in known.get(name, ()))]
    return {**shown, **{name: {**shown[name], "Result": "oom-kill"} for name in victims}}


def _by_kill(values: systemd.Properties) -> bool:
    """Whether signal 9 ended a program; a shell around it reports that as a status."""
    if values.get("Result") not in ("signal", "exit-code"):
        return False
    return values.get("ExecMainStatus") in (str(int(signal.SIGKILL)), str(128 + signal.SIGKILL))


def _in_its_time(values: systemd.Properties, moment: float) -> bool:
    started, ended = (systemd.seconds(values, f"ExecMain{which}TimestampMonotonic") for which in ("Start", "Exit"))
    return started - TOLERANCE <= moment and abs(moment - ended) <= TOLERANCE
