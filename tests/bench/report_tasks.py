# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The figures of the life of a task as tables."""

from __future__ import annotations

from .fifty import TASKS, Fifty
from .log_path import LogPath
from .start import Start
from .tables import met, table


def fifty(found: Fifty) -> str:
    rows = [
        ["ping playbook", f"{found.ping:.2f}", "1.00", ""],
        [
            "unchanged",
            f"{found.unchanged:.2f}",
            f"{found.unchanged / found.ping:.2f}",
            met(found.unchanged <= 1.2 * found.ping, "at most 1.2 x ping"),
        ],
        ["one task changed, which alone is restarted", f"{found.one:.2f}", f"{found.one / found.ping:.2f}", ""],
        [f"first deploy of the {TASKS}", f"{found.first:.2f}", f"{found.first / found.ping:.2f}", met(found.first <= 15, "at most 15 s")],
    ]
    return table([f"{TASKS} tasks on a robot", "median, s", "over ping", "goal"], rows)


def start(found: Start) -> str:
    more = found.task - found.bare
    rows = [
        ["a bare transient unit", f"{found.bare:.1f}", "", ""],
        ["a task of the driver exec", f"{found.task:.1f}", f"{more:.1f}", met(more <= 25, "at most 25 ms more")],
    ]
    return table(["from the order to start it until the program runs", "median, ms", "more, ms", "goal"], rows)


def log_path(found: LogPath) -> str:
    rows = [
        [
            f"{size:,}",
            *(f"{rates[name]:,.0f}" for name in ("ours", "svlogd", "file")),
            met(rates["ours"] >= min(200, rates["file"]), "at least 200 MB/s, or what the disk takes"),
        ]
        for size, rates in found.rates.items()
    ]
    text = table(["bytes of each write", "into our log files, MB/s", "into svlogd, MB/s", "into a file, MB/s", "goal"], rows)
    memory = ["what writes the log files, after that", f"{found.memory:,}", met(found.memory < 8192, "under 8 MB")]
    return f"{text}\n{table(['memory', 'proportional, KiB', 'goal'], [memory])}"
