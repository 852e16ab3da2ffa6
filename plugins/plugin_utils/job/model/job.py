# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The job: task groups and the robots that may run them."""

import typing as t
from dataclasses import field as attribute

from ..declare.keys import Support, key
from ..declare.record import record
from ..errors import Position, Problem, position_of
from .group import TaskGroup
from .policies import Constraint, Update
from .vocabulary import DEFAULT_NAMESPACE, NAME, ZONE, JobType


@record
class Schedule:
    """When a job runs. A start that falls due while it still runs is skipped; starts that were missed are made up for, once."""

    cron: str = key(
        "Five fields as crontab(5) has them, such as `*/15 6-20 * * mon-fri`, or @hourly, @daily, @weekly, @monthly or @yearly."
    )
    time_zone: str = key("Time zone of `cron`, such as `Europe/Berlin`.", default="UTC", pattern=ZONE, expected="the name of a time zone")
    prohibit_overlap: bool = key("No run begins before the last one has ended. This is always so.", default=True)


@record
class Job:
    """Task groups and the robots that may run them."""

    name: str = key("Name, unique in its namespace.", pattern=NAME)
    task_groups: tuple[TaskGroup, ...] = key("At least one task group.", min_items=1, meant_by=("group", "groups"))
    namespace: str = key("Jobs of the same name are different jobs in different namespaces.", default=DEFAULT_NAMESPACE, pattern=NAME)
    type: JobType = key("`service` keeps running, `batch` runs to its end, `system` keeps running on every robot.", default=JobType.SERVICE)
    robot_selector: t.Mapping[str, str] = key("Labels that a robot must have, all of them. Default: any robot.", factory=dict)
    datacenters: tuple[str, ...] = key("Datacenters whose robots may run the job. Default: any.", factory=tuple)
    priority: int = key("Priority over other jobs.", default=50, minimum=0, maximum=100, support=Support.NO_EFFECT)
    strict: bool = key("A limit or key that a robot accepts but does not carry out is an error, not a warning.", default=False, ours=True)
    meta: t.Mapping[str, str] = key("Each key reaches every task as `NOMAD_META_<KEY>`.", factory=dict, substituted=True, secret=True)
    constraints: tuple[Constraint, ...] = key("Conditions on robots, for every group.", factory=tuple)
    update: Update | None = key("How a new version replaces the old one.", default=None, ours=True)
    schedule: Schedule | None = key(
        "When a batch job runs, again and again. Default: once, when it is deployed.", default=None, ours=True, meant_by=("periodic",)
    )
    # Whether its values are shown nowhere: the file was rendered, and any value may be a vaulted variable's, or it was all encrypted.
    opaque: bool = attribute(default=False, compare=False)
    # Where the job is written: file, line, what precedes its keys in their paths (`spec.` in a k8s4r document), and the
    # line and column of every path.
    path: str = attribute(default="", compare=False)
    line: int = attribute(default=0, compare=False)
    root: str = attribute(default="", compare=False)
    positions: t.Mapping[str, Position] = attribute(default_factory=dict, compare=False, repr=False)

    def problem(self, path: str, message: str, remedy: str = "") -> Problem:
        """An error or warning about the key `path` of this job, `taskGroups[0].name`."""
        full = self.root + path
        return Problem(self.path, message, remedy, full, *position_of(self.positions, full, (self.line, 0)))
