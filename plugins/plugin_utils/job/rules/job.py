# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What must be true between the keys of a job, beyond the rules of each key by itself.

A value that already has an error is None here, or its default, and gives no second error.
"""

from __future__ import annotations

import collections.abc as c
import dataclasses
import typing as t

from ..errors import Finding, Mistake, Position, without_consequences
from ..model.group import TaskGroup
from ..model.job import Job
from ..model.policies import RestartPolicy
from ..model.vocabulary import JobType
from . import docker, isolation, lifecycle, names, network, pods, ports, resources, schedule, services, tasks


class Checked(t.NamedTuple):
    """A job whose tasks' networks are their groups', with positions for what has moved, and what is wrong with it.

    A group that could not be read has an error already and is left out.
    """

    job: Job
    errors: list[Finding]
    warnings: list[Finding]


def checked(job: Job, wrong: c.Collection[str] = ()) -> Checked:
    """The job after every check. ``wrong``: paths that have an error already. What may be a consequence of these is left out."""
    groups: list[TaskGroup | None] = []
    errors: list[Finding] = []
    warnings: list[Finding] = []
    positions = dict(job.positions)
    for number, group in enumerate(job.task_groups or ()):
        path = f"{job.root}taskGroups[{number}]"
        if group is not None:
            lift = network.lifted(group, path)
            group = pods.lifted(ports.lifted(lift.group, path[len(job.root) :]))
            errors += [*_group(job, group, path, wrong), *lift.mistakes]
            if lift.origin:
                positions = {**_moved(job.positions, lift.origin, path), **positions}
                wrong = {*wrong, *_moved(dict.fromkeys(wrong, (0, 0)), lift.origin, path)}
            taken: list[Finding] = []
            if group.network:
                errors += network.errors(job, group.network, f"{path}.network", wrong)
                taken += ports.errors(group, group.network, f"{path}.network", job.root)
                warnings += network.warnings(group.network, f"{path}.network")
            for member, task in enumerate(group.tasks or ()):
                if task is not None:
                    warnings += tasks.warnings(task, f"{path}.tasks[{member}]")
                    warnings += services.warnings(group, task, f"{path}.tasks[{member}]")
                    warnings += docker.warnings(group, task, f"{path}.tasks[{member}]")
            # Two ports that are the same on the robot are so in the pod, too.
            errors += [*taken, *pods.errors(job, group, path, job.root, {at for at, _mistake in taken})]
            errors += services.errors(job, group, path)
            errors += docker.errors(group, path)
        groups.append(group)
    errors += names.unique(groups, f"{job.root}taskGroups")
    errors += names.meta(job.meta, f"{job.root}meta")
    if job.update:
        errors += services.of_update(job.update, f"{job.root}update")
    errors += schedule.errors(job, f"{job.root}schedule", wrong)
    job = dataclasses.replace(job, task_groups=tuple(group for group in groups if group is not None), positions=positions)
    return Checked(job, without_consequences(errors, wrong), without_consequences(warnings, wrong))


def _moved(positions: t.Mapping[str, Position], task: str, group: str) -> dict[str, Position]:
    """An error in the group's network is reported where its task has written it."""
    return {group + path[len(task) :]: at for path, at in positions.items() if path.startswith(f"{task}.network")}


def _group(job: Job, group: TaskGroup, path: str, wrong: c.Container[str]) -> c.Iterator[Finding]:
    if job.type is JobType.SYSTEM and group.count > 1:
        yield f"{path}.count", Mistake("a job of type system runs once on every robot", "remove count", value=str(group.count))
    yield from names.unique(group.init_tasks, f"{path}.initTasks")
    yield from names.unique(group.tasks, f"{path}.tasks")
    for key, members in (("initTasks", group.init_tasks), ("tasks", group.tasks)):
        for number, task in enumerate(members):
            if task is not None:
                yield from tasks.errors(task, f"{path}.{key}[{number}]", wrong)
                yield from _restarts(job, task.restart_policy, f"{path}.{key}[{number}].restartPolicy", wrong)
    yield from _restarts(job, group.restart_policy, f"{path}.restartPolicy", wrong)
    yield from resources.errors(group, path)
    yield from lifecycle.errors(group, path)
    yield from isolation.among(group, path)
    yield from names.meta(group.meta, f"{path}.meta", job.meta, f"{job.root}meta")
    serves = group.network and (group.network.services or group.network.ingress)
    if not group.tasks and f"{path}.tasks" not in wrong and not serves:
        remedy = "add one: only a group with an inbound service (network.services) or an ingress (network.ingress) may have none"
        outside = (f"{path}.network.services", f"{path}.network.ingress")
        yield f"{path}.tasks", Mistake("has no task", remedy, rests_on=outside)


def _restarts(job: Job, written: RestartPolicy | None, path: str, wrong: c.Container[str]) -> c.Iterator[Finding]:
    """As Nomad has it: an interval that is over before its restarts are used up begins anew for ever."""
    if written is None or any(f"{path}.{key}" in wrong for key in ("attempts", "interval", "delay")):
        return
    policy = written.complete(job.type)
    least = policy.attempts * policy.delay
    if least > policy.interval:
        why = f"less than attempts times delay ({policy.attempts} x {policy.delay:g}s), so the attempts would never be used up"
        remedy = f"write at least {least:g}s, or remove restartPolicy for restarts without a limit"
        yield f"{path}.interval", Mistake(why, remedy, value=f"{policy.interval:g}s")
