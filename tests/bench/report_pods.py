# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The figures of pods as tables."""

from __future__ import annotations

import statistics

from .pods import PODS, Pods
from .tables import met, table


def pods(found: Pods) -> str:
    more = found.pod - found.host
    starts = [
        ["on the robot's own network", f"{found.host:.0f}", "", ""],
        ["in a pod", f"{found.pod:.0f}", f"{more:.0f}", met(more <= 150, "at most 150 ms more")],
    ]
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
            table(["from the order to start a group until its program runs", "median, ms", "more, ms", "goal"], starts),
            table([f"{PODS} pods on a robot", "median", "over ping", "goal"], fifty),
            table(["16 connections", "ours", "by hand", "ours over it", "quartiles", "goal"], carried),
        )
    )
