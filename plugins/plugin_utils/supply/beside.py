# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a robot gets from files beside the job file. It is a file of its own since every run asks, and few have any."""

from __future__ import annotations

import typing as t

from ...module_utils._engine.plan import BESIDE

if t.TYPE_CHECKING:
    from ...module_utils._engine.plan import Resource, RobotPlan


def needed(plan: RobotPlan) -> bool:
    """Whether the controller has a file that the robot is to get, whoever downloads."""
    return any(is_beside(resource) for job in plan["jobs"] for group in job["groups"] for resource in group["resources"])


def is_beside(resource: Resource) -> bool:
    """Whether it is an image that is loaded from such a file."""
    return resource["kind"] == "image" and bool(resource.get("source", {}).get("get") == BESIDE)
