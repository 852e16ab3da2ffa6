# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which instances of a group run on which robot: a pure function of the job and the complete inventory."""

from __future__ import annotations

import typing as t

from ..job.errors import JobErrors, Problem, did_you_mean, few
from ..job.model.group import TaskGroup
from ..job.model.job import Job
from ..job.model.vocabulary import JobType
from . import constraints
from .constraints import Refusal
from .robots import Fleet
from .spread import spread

GroupKey = tuple[str, str, str]
# Robots that a message names, of all that it could.
SHOWN = 8
# And so many different things that robots have in place of what is required.
REASONS = 3


class Placement(t.NamedTuple):
    """Where the instances of each group belong.

    `instances` maps (namespace, job, group) to {robot: [index, ...]}, only robots that run one. `refused` maps the
    same keys to {robot: [refusal, ...]}.
    """

    instances: t.Mapping[GroupKey, t.Mapping[str, t.Sequence[int]]]
    refused: t.Mapping[GroupKey, t.Mapping[str, t.Sequence[Refusal]]] = {}

    def on(self, robot: str, key: GroupKey) -> t.Sequence[int]:
        return self.instances.get(key, {}).get(robot, ())

    def reason(self, key: GroupKey, robot: str) -> str:
        """Why the robot runs these instances of a group, or none, in one sentence."""
        if robot in self.refused.get(key, {}):
            return "; ".join(map(str, self.refused[key][robot]))
        held = self.on(robot, key)
        if not held:
            others = "all its instances are on other robots" if self.instances[key] else "its count is 0"
            return f"could run this group, but {others}"
        robots = len(self.instances[key])
        return f"runs {', '.join(f'r{index}' for index in held)}; {robots} {'robot runs' if robots == 1 else 'robots run'} this group"


def place(jobs: t.Sequence[Job], fleet: Fleet) -> Placement:
    """Place every group of every job; raises `JobErrors` with all groups that cannot be placed."""
    instances: dict[GroupKey, t.Mapping[str, t.Sequence[int]]] = {}
    refused: dict[GroupKey, t.Mapping[str, t.Sequence[Refusal]]] = {}
    errors: list[Problem] = []
    for job in jobs:
        for number, group in enumerate(job.task_groups):
            key, path = (job.namespace, job.name, group.name), f"taskGroups[{number}]"
            matching, refused[key], problems = _candidates(job, group, path, fleet)
            errors += problems
            if problems:
                continue
            if not matching and group.count:
                errors.append(_nowhere(job, path, refused[key]))
            elif job.type is JobType.SYSTEM:
                instances[key] = {name: [0] for name in matching} if group.count else {}
            else:
                instances[key] = spread("\0".join(key), group.count, matching)
    if errors:
        raise JobErrors(errors)
    return Placement(instances, refused)


def _candidates(job: Job, group: TaskGroup, path: str, fleet: Fleet) -> tuple[list[str], dict[str, list[Refusal]], list[Problem]]:
    problems = list(constraints.problems(job, group, path))
    matching: list[str] = []
    refused: dict[str, list[Refusal]] = {}
    unknown: dict[str, list[str]] = {}
    for robot in fleet.robots if not problems else ():
        try:
            refusals = list(constraints.refusals(job, group, path, robot))
        except constraints.UnknownAttribute as error:
            unknown.setdefault(error.name, []).append(robot.name)
            continue
        except JobErrors as error:
            problems += error.errors
            continue
        if refusals:
            refused[robot.name] = refusals
        else:
            matching.append(robot.name)
    known = {name for robot in fleet.robots for name in robot.capabilities}
    for name, robots in sorted(unknown.items()):
        meant = "" if name in known else did_you_mean(name, known)
        remedy = meant or "run the playbook k8s4r.robot.capabilities, or set the attribute in k8s4r_attributes"
        problems.append(job.problem(f"{path}.constraints", f"${{attr.{name}}} is unknown for {few(robots, SHOWN)}", remedy))
    return matching, refused, problems


def _nowhere(job: Job, path: str, refused: t.Mapping[str, t.Sequence[Refusal]]) -> Problem:
    by_rule: dict[str, dict[str, list[str]]] = {}
    for robot, refusals in refused.items():
        by_rule.setdefault(refusals[0].rule, {}).setdefault(refusals[0].robot, []).append(robot)
    ruled_out = "; ".join(f"{rule} (rules out {_with_reasons(robots)})" for rule, robots in sorted(by_rule.items()))
    found = f"no robot can run this group: {ruled_out or 'the inventory group `robots` is empty'}"
    return job.problem(path, found, "change the selector or constraint, or the robots' labels")


def _with_reasons(robots: t.Mapping[str, t.Sequence[str]]) -> str:
    """The robots, and what they have instead, where they have little of it."""
    if len(robots) > REASONS:
        return few(sorted(name for names in robots.values() for name in names), SHOWN)
    return "; ".join(f"{few(names, SHOWN)}: {'it' if len(names) == 1 else 'each'} {reason}" for reason, names in robots.items())
