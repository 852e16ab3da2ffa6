# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the robots of an inventory would get of some jobs, as one table for a person."""

from __future__ import annotations

from ..fleet.placement import Placement
from ..fleet.robots import Fleet
from ..job.errors import few
from .summary import MOST
from .table import aligned

HEADER = ("group", "robot", "gets")


def overview(placement: Placement, fleet: Fleet, reasons: bool = False) -> list[str]:
    """A line for each group and robot that runs some of it, and one for those that do not; `reasons`: one for each of those, too."""
    rows = [HEADER]
    for key, held in placement.instances.items():
        name = "/".join(key).removeprefix("default/")
        rows += [(name, robot, ", ".join(f"r{index}" for index in indices)) for robot, indices in sorted(held.items())]
        without = [robot.name for robot in fleet.robots if robot.name not in held]
        if reasons:
            rows += [(name, robot, f"nothing: {placement.reason(key, robot)}") for robot in without]
        elif without:
            rows.append((name, few(without, MOST), "nothing"))
    return aligned(rows)
