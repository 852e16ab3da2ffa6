# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiles the jobs of a run for one robot: its plan, its registration entries and its warnings."""

from __future__ import annotations

import typing as t

from ...module_utils._engine import plan
from ..fleet.placement import Placement
from ..fleet.robots import Fleet
from ..job.errors import JobErrors, Problem
from ..job.model.job import Job
from . import fitness
from .group import compile_group
from .mesh import peers
from .mesh.identity import Entry
from .network import ports
from .site import Site

if t.TYPE_CHECKING:
    from ...module_utils._engine.plan import JobPlan, RobotPlan


class CompiledRobot(t.NamedTuple):
    """`plan` is what `plan.py` of the engine describes; `entries` are for the SPIRE server; `warnings` are for people."""

    plan: RobotPlan
    entries: tuple[Entry, ...]
    warnings: tuple[Problem, ...]


def compile_robot(jobs: t.Sequence[Job], fleet: Fleet, placement: Placement, name: str, known: peers.KnownServices) -> CompiledRobot:
    """Compile what the robot `name` gets of the jobs. A job of which it gets nothing becomes an empty job plan.

    `known` is `peers.known_services` of the same run, computed once for all robots. Raises `JobErrors`.
    """
    robot = fleet.robot(name)
    plans: list[JobPlan] = []
    sites: list[Site] = []
    entries: list[Entry] = []
    # The instances of a group often share an error or a warning: each is reported once.
    errors: dict[Problem, None] = {}
    warnings: dict[Problem, None] = {}
    for job in jobs:
        groups = []
        for number, group in enumerate(job.task_groups):
            instances = placement.on(name, (job.namespace, job.name, group.name))
            if instances:
                site = Site(job, number, robot, fleet, tuple(instances))
                compiled = compile_group(site, known)
                sites.append(site)
                groups.append(compiled.plan)
                entries += [compiled.entry] if compiled.entry else []
                lacks = tuple(fitness.warnings(site))
                errors |= dict.fromkeys((*compiled.errors, *fitness.errors(site), *(lacks if job.strict else ())))
                warnings |= dict.fromkeys((*compiled.warnings, *(() if job.strict else lacks)))
        plans.append(plan.job(job.namespace, job.name, groups))
    errors |= dict.fromkeys(ports.conflicts(sites))
    if errors:
        raise JobErrors(errors)
    return CompiledRobot(plan.robot(plans), tuple(entries), tuple(warnings))
