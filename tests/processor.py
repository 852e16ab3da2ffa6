# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How busy the machine was while the tests ran: where it idles, tests wait; where it does not, only less work is faster."""

from __future__ import annotations

import os
import time
import typing as t
from pathlib import Path

SHORTEST = 10.0
"""Seconds; of shorter runs nothing is told."""


class Reading(t.NamedTuple):
    """Seconds since the machine started: of the clock, and of all processors together, at work and in all."""

    clock: float
    busy: float
    total: float

    @classmethod
    def now(cls) -> Reading:
        """The first line of /proc/stat; see proc_stat(5). Time in guests is part of user time."""
        user, nice, system, idle, iowait, irq, softirq, steal = map(int, Path("/proc/stat").read_text().split()[1:9])
        busy = user + nice + system + irq + softirq
        ticks = os.sysconf("SC_CLK_TCK")
        return cls(time.monotonic(), busy / ticks, (busy + idle + iowait + steal) / ticks)


class Meter:
    """A plugin of pytest that says at the end how busy the processors were."""

    def __init__(self) -> None:
        """The clock starts."""
        self.start = Reading.now()

    def pytest_terminal_summary(self, terminalreporter: t.Any) -> None:
        """A line above pytest's own last one."""
        clock, busy, total = (after - before for before, after in zip(self.start, Reading.now()))
        if clock >= SHORTEST:
            share = 100 * busy / total
            terminalreporter.section("processor")
            terminalreporter.line(
                f"{os.cpu_count()} processors were {share:.0f} % busy for {clock / 60:.1f} min: {busy / 60:.1f} min of work"
            )
