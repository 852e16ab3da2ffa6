# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which instances of a group run on which robot: a pure function of the job and the whole inventory.

Evenly to within one, and stable: every pair (instance, robot) has a score of its own that nothing else enters into,
and pairs are taken in the order of their scores while both sides have room. A robot that comes or goes therefore
moves few instances beyond its own share.
"""

from __future__ import annotations

import array
import hashlib
import sys
import typing as t

from ..job.errors import JobErrors, Problem
from ..job.model import Job, JobType, TaskGroup
from . import constraints
from .robots import Fleet

GroupKey = tuple[str, str, str]


class Placement(t.NamedTuple):
    """Where the instances of each group belong.

    `instances` maps (namespace, job, group) to {robot: [index, ...]}, only robots that hold one. `refused` maps the
    same keys to {robot: [reason, ...]}.
    """

    instances: t.Mapping[GroupKey, t.Mapping[str, t.Sequence[int]]]
    refused: t.Mapping[GroupKey, t.Mapping[str, t.Sequence[str]]] = {}

    def on(self, robot: str, key: GroupKey) -> t.Sequence[int]:
        return self.instances.get(key, {}).get(robot, ())

    def reason(self, key: GroupKey, robot: str) -> str:
        """Why the robot holds what it holds of a group, in one sentence."""
        if robot in self.refused.get(key, {}):
            return "; ".join(self.refused[key][robot])
        held = self.on(robot, key)
        matching = f"{len(self.instances[key])} robots hold this group"
        return f"holds {', '.join(f'r{index}' for index in held)}; {matching}" if held else f"matches, but count is used up: {matching}"


def place(jobs: t.Sequence[Job], fleet: Fleet) -> Placement:
    """Place every group of every job; raises `JobErrors` with all groups that cannot be placed."""
    instances: dict[GroupKey, t.Mapping[str, t.Sequence[int]]] = {}
    refused: dict[GroupKey, t.Mapping[str, t.Sequence[str]]] = {}
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
                instances[key] = {name: [0] for name in matching}
            else:
                instances[key] = spread("\0".join(key), group.count, matching)
    if errors:
        raise JobErrors(errors)
    return Placement(instances, refused)


def _candidates(job: Job, group: TaskGroup, path: str, fleet: Fleet) -> tuple[list[str], dict[str, list[str]], list[Problem]]:
    problems = [
        job.problem(f"{where}.rTarget", wrong)
        for where, constraint in constraints.constraints_of(job, group, path)
        if (wrong := constraints.check(constraint))
    ]
    matching: list[str] = []
    refused: dict[str, list[str]] = {}
    unknown: dict[str, list[str]] = {}
    for robot in fleet.robots if not problems else ():
        try:
            reasons = list(constraints.refusals(job, group, path, robot))
        except constraints.UnknownAttribute as error:
            unknown.setdefault(error.name, []).append(robot.name)
            continue
        except JobErrors as error:
            problems += error.errors
            continue
        if reasons:
            refused[robot.name] = reasons
        else:
            matching.append(robot.name)
    for name, robots in sorted(unknown.items()):
        problems.append(
            job.problem(
                f"{path}.constraints",
                f"${{attr.{name}}} is not known of {_some(robots)}",
                "probe them (playbook k8s4r.robot.probe) or declare it in k8s4r_attributes of the inventory",
            )
        )
    return matching, refused, problems


def _nowhere(job: Job, path: str, refused: t.Mapping[str, t.Sequence[str]]) -> Problem:
    by_reason: dict[str, list[str]] = {}
    for robot, reasons in refused.items():
        by_reason.setdefault(reasons[0].split(", the robot")[0], []).append(robot)
    removed = "; ".join(f"{reason} removed {_some(robots)}" for reason, robots in sorted(by_reason.items()))
    found = f"no robot may hold it: {removed}" if removed else "no robot may hold it: the inventory group `robots` is empty"
    return job.problem(path, found, "change the selector or constraint, or the robots' labels")


def _some(names: t.Sequence[str], limit: int = 8) -> str:
    shown = ", ".join(names[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit} more"


def spread(key: str, count: int, robots: t.Sequence[str]) -> dict[str, list[int]]:
    """Give `count` instances to `robots`, evenly to within one; only robots that get one are in the answer."""
    share, extra = divmod(count, len(robots)) if robots else (0, 0)
    scores = [_scores(f"{key}\0{robot}", count) for robot in robots]
    room, waiting = len(robots) * [share], set(range(count))
    taken: list[list[int]] = [[] for robot in robots]
    # Scores are taken band by band, so that 1,000 robots x 1,000 instances need not all be sorted.
    low, high = 0, min(2**32, 2**36 // max(1, len(robots)))
    while waiting:
        band = [
            (score, index, number)
            for number, row in enumerate(scores)
            if room[number] or extra
            for index, score in enumerate(row)
            if low <= score < high and index in waiting
        ]
        for _score, index, number in sorted(band):
            if index not in waiting:
                continue
            if room[number]:
                room[number] -= 1
            elif extra and len(taken[number]) == share:
                extra -= 1
            else:
                continue
            taken[number].append(index)
            waiting.discard(index)
        low, high = high, min(2**32, high * 4)
    return {robot: sorted(held) for robot, held in zip(robots, taken, strict=True) if held}


def _scores(seed: str, count: int) -> array.array[int]:
    """One 32-bit score per instance; each depends on the robot and the instance alone."""
    scores = array.array("I", hashlib.shake_128(seed.encode()).digest(4 * count))
    if sys.byteorder == "big":
        scores.byteswap()
    return scores
