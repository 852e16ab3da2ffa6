# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pods of jobs that are not in a run: where they are, and whom they let in, their robots have said (the engine's mesh/known.py).

A robot is believed in what can be true of it alone: that it has a pod of a group, under the name that pods of this group have, at an
address of the robot's own network of pods.
"""

from __future__ import annotations

import ipaddress
import re
import types
import typing as t

from ...fleet.placement import GroupKey
from ...fleet.robots import Fleet, Robot
from ...job.model.job import Job
from ...job.model.network import Allowed
from .. import names
from ..site.placed import Pod

Data = t.Mapping[str, t.Any]
# By robot.
Said = t.Mapping[str, Data]
NOTHING: Said = types.MappingProxyType({})


def full(job: Job, each: Allowed) -> GroupKey:
    """Which group an entry of a `reach` names."""
    return each.namespace or job.namespace, each.job or job.name, each.group


def concerns(jobs: t.Sequence[Job], said: Said) -> bool:
    """Whether pods of other jobs may matter to a run: because one of its groups has them in its `reach`, or the other way round."""
    if _beyond(jobs):
        return True
    mine = _jobs(jobs)
    others = (pod for known in said.values() for pod in known["pods"] if _key(pod["group"])[:2] not in mine)
    return any(_key(each)[:2] in mine for pod in others for each in pod["reach"])


def beyond(jobs: t.Sequence[Job]) -> bool:
    """Whether a group of the run lets pods of another job in."""
    return bool(_beyond(jobs))


def pods(jobs: t.Sequence[Job], robot: Robot, said: Said) -> dict[GroupKey, list[Pod]]:
    """The pods that a robot has, by their groups."""
    found: dict[GroupKey, list[Pod]] = {}
    for pod in _credible(jobs, robot, said):
        address6 = pod["address6"] if _is_in(robot.pods6, pod["address6"]) else ""
        found.setdefault(_key(pod["group"]), []).append(Pod(0, "", pod["name"], pod["address"], pod["name"], address6))
    return found


def reaching(jobs: t.Sequence[Job], fleet: Fleet, said: Said) -> list[tuple[GroupKey, GroupKey]]:
    """Each group that a pod has in its `reach`, and the group of that pod."""
    found = ((pod["group"], each) for robot in fleet.robots for pod in _credible(jobs, robot, said) for each in pod["reach"])
    return sorted({(_key(each), _key(group)) for group, each in found})


def _credible(jobs: t.Sequence[Job], robot: Robot, said: Said) -> list[Data]:
    if robot.name not in said:
        return []
    mine = _jobs(jobs)
    others = (pod for pod in said[robot.name]["pods"] if _key(pod["group"])[:2] not in mine)
    return [pod for pod in others if _is_in(robot.pods, pod["address"]) and _is_named_after_its_group(pod)]


def _is_named_after_its_group(pod: Data) -> bool:
    index = pod["name"].rpartition("-r")[2]
    return bool(re.fullmatch("[0-9]{1,9}", index)) and pod["name"] == names.pod_name(*_key(pod["group"]), int(index))


def _is_in(network: str, address: str) -> bool:
    return bool(network and address) and ipaddress.ip_address(address) in ipaddress.ip_network(network)


def _beyond(jobs: t.Sequence[Job]) -> set[GroupKey]:
    """The groups of other jobs that are in the `reach` of pods of the run."""
    mine = _jobs(jobs)
    networks = ((job, group.network) for job in jobs for group in job.task_groups if group.are_pods and group.network)
    return {key for job, network in networks for each in network.reach if (key := full(job, each))[:2] not in mine}


def _jobs(jobs: t.Iterable[Job]) -> set[tuple[str, str]]:
    return {(job.namespace, job.name) for job in jobs}


def _key(group: str) -> GroupKey:
    namespace, job, name = group.split("/")
    return namespace, job, name
