# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which instances of a group run on which robot: a pure function of the job and the whole inventory.

Evenly to within one, and stable: every pair (instance, robot) has a score of its own that nothing else enters into,
and pairs are taken in the order of their scores while both sides have room. A robot that comes or goes therefore
moves few instances beyond its own share. The order must stay what it is, or an upgrade would move what already runs.
"""

from __future__ import annotations

import hashlib
import re
import typing as t

from ..job.errors import JobErrors, Problem
from ..job.model.group import TaskGroup
from ..job.model.job import Job
from ..job.model.vocabulary import JobType
from . import constraints
from .constraints import Refusal
from .robots import Fleet

GroupKey = tuple[str, str, str]
SCORES = 2**32


class Placement(t.NamedTuple):
    """Where the instances of each group belong.

    `instances` maps (namespace, job, group) to {robot: [index, ...]}, only robots that hold one. `refused` maps the
    same keys to {robot: [refusal, ...]}.
    """

    instances: t.Mapping[GroupKey, t.Mapping[str, t.Sequence[int]]]
    refused: t.Mapping[GroupKey, t.Mapping[str, t.Sequence[Refusal]]] = {}

    def on(self, robot: str, key: GroupKey) -> t.Sequence[int]:
        return self.instances.get(key, {}).get(robot, ())

    def reason(self, key: GroupKey, robot: str) -> str:
        """Why the robot holds these instances of a group, or none, in one sentence."""
        if robot in self.refused.get(key, {}):
            return "; ".join(map(str, self.refused[key][robot]))
        held = self.on(robot, key)
        holders = f"{len(self.instances[key])} robots hold this group"
        if not held:
            return f"may hold it, but all instances are placed: {holders}"
        return f"holds {', '.join(f'r{index}' for index in held)}; {holders}"


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
                instances[key] = {name: [0] for name in matching}
            else:
                instances[key] = spread("\0".join(key), group.count, matching)
    if errors:
        raise JobErrors(errors)
    return Placement(instances, refused)


def _candidates(job: Job, group: TaskGroup, path: str, fleet: Fleet) -> tuple[list[str], dict[str, list[Refusal]], list[Problem]]:
    problems = [
        job.problem(f"{where}.rTarget", wrong)
        for where, constraint in constraints.constraints_of(job, group, path)
        if (wrong := constraints.check(constraint))
    ]
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
    for name, robots in sorted(unknown.items()):
        problems.append(
            job.problem(
                f"{path}.constraints",
                f"${{attr.{name}}} is unknown for {_some(robots)}",
                "probe them (playbook k8s4r.robot.probe) or declare it in k8s4r_attributes of the inventory",
            )
        )
    return matching, refused, problems


def _nowhere(job: Job, path: str, refused: t.Mapping[str, t.Sequence[Refusal]]) -> Problem:
    by_rule: dict[str, list[str]] = {}
    for robot, refusals in refused.items():
        by_rule.setdefault(refusals[0].rule, []).append(robot)
    ruled_out = "; ".join(f"{rule}, which rules out {_some(robots)}" for rule, robots in sorted(by_rule.items()))
    found = f"no robot may hold it: {ruled_out or 'the inventory group `robots` is empty'}"
    return job.problem(path, found, "change the selector or constraint, or the robots' labels")


def _some(names: t.Sequence[str], limit: int = 8) -> str:
    shown = ", ".join(names[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit} more"


def spread(key: str, count: int, robots: t.Sequence[str]) -> dict[str, list[int]]:
    """Give `count` instances to `robots`, evenly to within one; only robots that get one are in the answer."""
    share, extra = divmod(count, len(robots)) if robots else (0, 0)
    room, waiting = len(robots) * [share], set(range(count))
    taken: list[list[int]] = [[] for _robot in robots]
    # Scores are taken band by band. The first holds some 8 candidates of each instance, which place all but a few.
    low, high = 0, min(SCORES, 8 * SCORES // max(1, len(robots)))
    while waiting:
        band = sorted(
            (score, index, number)
            for number, robot in enumerate(robots)
            if room[number] or (extra and len(taken[number]) == share)
            for score, index in _scores(f"{key}\0{robot}", count, waiting, low, high)
        )
        for _score, index, number in band:
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
        low, high = high, min(SCORES, high * 4)
    return {robot: sorted(held) for robot, held in zip(robots, taken, strict=True) if held}


def _scores(seed: str, count: int, waiting: t.Collection[int], low: int, high: int) -> t.Iterator[tuple[int, int]]:
    """The scores from `low` to below `high` that a robot's seed gives the waiting ones of `count` instances, with their indices.

    Each score depends on the robot and the instance alone: it is one 32-bit word, the lowest byte first, of the seed's SHAKE128.
    """
    words = hashlib.shake_128(seed.encode()).digest(4 * count)
    if len(waiting) == count:
        # Nearly all scores are too high: a search in the words' highest bytes finds those that may not be.
        highest = re.compile(rb"[\x00-\x%02x]" % (high - 1 >> 24))
        candidates: t.Iterable[int] = (found.start() for found in highest.finditer(words[3::4]))
    else:
        candidates = waiting
    for index in candidates:
        score = int.from_bytes(words[4 * index : 4 * index + 4], "little")
        if low <= score < high:
            yield score, index
