# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with jobs wherever they run: they are compiled for a robot that has, and can do, all that a job may name. The same of the
robots of an inventory, of which only what they can do is not known.
"""

from __future__ import annotations

import collections.abc as c
import dataclasses

from ..compile import names
from ..compile.mesh import outside
from ..compile.site.site import Rendering, as_written
from ..fleet import constraints
from ..fleet.placement import Placement
from ..fleet.robots import ASSUMED_CAPABILITIES, DEFAULT_AGENT_SOCKET, Fleet, Robot
from ..job.errors import JobErrors, Problem, together
from ..job.model.job import Job
from ..job.model.policies import Constraint
from ..job.model.vocabulary import Operand
from . import placing, plans

# No message names it.
ROBOT = "any"


# Holds on every robot. In place of another, it leaves the paths of those after it as they are.
_HOLDS = Constraint("${node.unique.name}", Operand.NOT_EQUAL)


class _Whatever(str):
    """The fleet's word for something that a job may name, too: whatever that one says."""

    __slots__ = ()

    def __eq__(self, _other: object) -> bool:
        return True

    def __ne__(self, _other: object) -> bool:
        return False

    def __hash__(self) -> int:
        return 0


class _All(c.Mapping[str, str]):
    """A mapping that has a value for every name."""

    def __init__(self, value: str) -> None:
        self._value = value

    def __getitem__(self, name: str) -> str:
        return self._value

    def __iter__(self) -> c.Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


class _Any(Robot):
    """Stands for all of them."""

    @property
    def named(self) -> tuple[str, ...]:
        return ()

    @property
    def called(self) -> str:
        return "any robot"


class _Able(_All):
    """What such a robot reports of itself."""

    def __getitem__(self, name: str) -> str:
        return ASSUMED_CAPABILITIES.get(name, self._value)


def check(jobs: c.Sequence[Job], render: Rendering = as_written) -> list[str]:
    """Warnings; raises `JobErrors`. What is only wrong on some robots, or depends on who else is in the inventory, is not found."""
    wrong = [
        problem
        for job in jobs
        for number, group in enumerate(job.task_groups)
        for problem in constraints.problems(job, group, f"taskGroups[{number}]")
    ]
    if wrong:
        raise JobErrors(wrong)
    robot = _Any(ROBOT, "any.invalid", labels=_All("x"), node_class="x", capabilities=_Able("x"))
    fleet = Fleet((robot,), _Whatever("any"), _Whatever(DEFAULT_AGENT_SOCKET), peers=_All(names.spiffe_id("any", "any", "any", "any")))
    # Who serves what is called is not known here.
    remembered = plans.Remembered(said=outside.as_if_there(jobs, fleet), anyone=True)
    errors: dict[Problem, None] = {}
    warnings: dict[str, None] = {}
    for group in [(job.namespace, job.name, group.name) for job in jobs for group in job.task_groups]:
        # Each alone: how many are on one robot, and so want one port, is the inventory's.
        try:
            warnings |= dict.fromkeys(plans.check(jobs, fleet, Placement({group: {ROBOT: [0]}}), render, remembered))
        except JobErrors as found:
            errors |= dict.fromkeys(found.errors)
    if errors:
        raise JobErrors(together(errors))
    return list(warnings)


def check_in(fleet: Fleet, unasked: c.Container[str], jobs: c.Sequence[Job], render: Rendering = as_written) -> None:
    """Raises `JobErrors` for what is wrong with jobs in this fleet whatever the robots report that are `unasked`: what does not rest on
    their reports comes from the inventory and the job files alone. `render` need not render for any robot, as which services a template
    finds is not known.
    """
    robots = [robot._replace(capabilities=_Able("x")) if robot.name in unasked else robot for robot in fleet.robots]
    able = fleet._replace(robots=tuple(robots))
    whole = [_without_reports(job) for job in jobs]
    placement = placing.placed(whole, able)
    if whole == list(jobs):
        # Where everything is placed is known, too, and with it what every robot gets.
        plans.check(jobs, able, placement, render, plans.Remembered(said=outside.as_if_there(jobs, able), anyone=True))


def _without_reports(job: Job) -> Job:
    """A job without the constraints that ask what robots report."""
    groups = [
        dataclasses.replace(
            group,
            constraints=_kept(group.constraints),
            tasks=tuple(dataclasses.replace(task, constraints=_kept(task.constraints)) for task in group.tasks),
            init_tasks=tuple(dataclasses.replace(task, constraints=_kept(task.constraints)) for task in group.init_tasks),
        )
        for group in job.task_groups
    ]
    return dataclasses.replace(job, constraints=_kept(job.constraints), task_groups=tuple(groups))


def _kept(found: tuple[Constraint, ...]) -> tuple[Constraint, ...]:
    return tuple(_HOLDS if "${attr." in each.l_target + each.r_target else each for each in found)
