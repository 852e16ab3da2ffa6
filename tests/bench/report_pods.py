# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The figures of pods as tables."""

from __future__ import annotations

import statistics

from .pods import PODS, Pods
from .start_pods import BARE, HOST, NOMAD, POD, Lives, middle, more
from .tables import met, table


def lives(found: Lives) -> str:
    """Each way beside the same program on the robot's own network."""
    rows = []
    for name, says, than in (
        (HOST, "a group's task, on the robot's own network", ""),
        (POD, "the same task, in a pod", HOST),
        (BARE, "a bare unit, on the robot's own network", ""),
        (NOMAD, "the same unit, in a network of Nomad's bridge mode", BARE),
    ):
        start, stop = middle(found.turns[name])
        row = [says, f"{start:.0f}", "", "", f"{stop:.0f}", "", ""]
        if than:
            turns = more(found.turns[name], found.turns[than])
            low, late, high = statistics.quantiles([turn.start for turn in turns], n=4, method="inclusive")
            row[2:4] = f"{late:.0f}", f"{low:.0f}-{high:.0f}"
            row[5] = f"{middle(turns).stop:.0f}"
            row[6] = met(late <= 150, "at most 150 ms more") if name == POD else "beside it"
        rows.append(row)
    head = ["until the program runs, until all is gone", "start, ms", "more, ms", "quartiles, ms", "stop, ms", "more, ms", "goal"]
    first, last = found.loads
    return table(head, rows) + f"\nThe load average was {first:.1f} before these turns and {last:.1f} after them.\n"


def pods(found: Pods) -> str:
    fifty = [
        ["ping playbook", f"{found.ping:.2f} s", "1.00", ""],
        [
            "unchanged",
            f"{found.unchanged:.2f} s",
            f"{found.unchanged / found.ping:.2f}",
            met(found.unchanged <= 1.2 * found.ping, "at most 1.2 x ping"),
        ],
        ["memory of each pod beside its programs", f"{found.held:,.0f} KiB", "", met(found.held <= 300, "at most 0.3 MB")],
    ]
    carried = []
    for way, pairs in found.carried.items():
        ours, hand = (statistics.median(pair[side] for pair in pairs) for side in (0, 1))
        low, middle, high = statistics.quantiles([one / other for one, other in pairs], n=4, method="inclusive")
        goal = met(middle >= 0.95, "at least 0.95")
        carried.append([way, f"{ours:,.0f}", f"{hand:,.0f}", f"{middle:.3f}", f"{low:.3f}-{high:.3f}", goal])
    return "\n".join(
        (
            lives(found.lives),
            table([f"{PODS} pods on a robot", "median", "over ping", "goal"], fifty),
            table(["16 connections", "ours", "by hand", "ours over it", "quartiles", "goal"], carried),
        )
    )
