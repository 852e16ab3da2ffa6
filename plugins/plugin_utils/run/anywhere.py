# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with jobs wherever they run: they are compiled for a robot that has, and can do, all that a job may name."""

from __future__ import annotations

import collections.abc as c

from ..compile import names
from ..compile.mesh import outside
from ..compile.site.site import Rendering, as_written
from ..fleet import constraints
from ..fleet.placement import Placement
from ..fleet.robots import ASSUMED_CAPABILITIES, DEFAULT_AGENT_SOCKET, Fleet, Robot
from ..job.errors import JobErrors, Problem, together
from ..job.model.job import Job
from . import plans

# No message names it.
ROBOT = "any"


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
