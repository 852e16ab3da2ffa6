# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fleet of a run as the inventory and the robots' own reports have it, and where its jobs belong."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleError

from ..fleet.catalogue import GROUP, fleet_from_inventory
from ..fleet.constraints import constraints_of
from ..fleet.placement import Placement, place
from ..fleet.robots import Fleet
from ..home import key
from ..home.capabilities import Capabilities
from ..job.errors import quoted
from ..job.model.job import Job
from ..job.model.vocabulary import Operand
from ..transport import deadline
from .action import ActionProblem, Variables
from .job_files.reading import reason

# What each robot last reported of itself, by robot.
Probed = t.Mapping[str, t.Mapping[str, str]]

# Placing groups on a thousand robots takes one.
PLACING_SECONDS = 10


def probed(variables: Variables) -> Probed:
    """What the robots of the inventory last reported, without those that never were asked."""
    cache = Capabilities(key.home())
    return {name: found for name in variables["groups"].get(GROUP, ()) if (found := cache.read(name)) is not None}


def fleet(variables: Variables, reports: Probed, templar: t.Any) -> Fleet:
    """All robots of the inventory. `templar` renders their variables."""
    hosts = variables["hostvars"]

    def render(host: str, value: t.Any) -> t.Any:
        try:
            return templar.copy_with_new_env(available_variables=hosts.raw_get(host)).template(value)
        except AnsibleError as error:
            raise ValueError(reason(error)) from None

    return fleet_from_inventory(variables["groups"], hosts.raw_get, reports, render)


def serving(jobs: t.Sequence[Job], placement: Placement) -> set[str]:
    """The robots on which groups with services are placed."""
    groups = [
        (job.namespace, job.name, group.name)
        for job in jobs
        for group in job.task_groups
        if (group.network and group.network.services) or any(task.services for task in group.tasks)
    ]
    return {robot for key in groups for robot in placement.instances.get(key, ())}


def placed(jobs: t.Sequence[Job], robots: Fleet) -> Placement:
    """Place the jobs. A regular expression can take practically forever, so those have a limit."""
    patterns = [
        str(job.problem(f"{where}.rTarget", quoted(constraint.r_target)))
        for job in jobs
        for number, group in enumerate(job.task_groups)
        for where, constraint in constraints_of(job, group, f"taskGroups[{number}]")
        if constraint.operand is Operand.REGEXP
    ]
    if not patterns:
        return place(jobs, robots)
    try:
        with deadline.limit(PLACING_SECONDS):
            return place(jobs, robots)
    except deadline.Elapsed:
        lines = "\n".join(dict.fromkeys(patterns))
        raise ActionProblem(
            f"comparing robots with regular expressions took more than {PLACING_SECONDS} s; write one without a repetition inside a "
            f"repetition, such as (a+)+. The jobs have:\n{lines}"
        ) from None
