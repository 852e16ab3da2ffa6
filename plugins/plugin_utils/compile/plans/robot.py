# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The jobs of a run on one robot: its plan, its registration entries, and what people should know."""

from __future__ import annotations

import typing as t

from ....module_utils._engine import plan
from ...fleet.placement import Placement
from ...fleet.robots import Fleet, Robot
from ...job.errors import JobErrors, Problem
from ...job.model.job import Job
from ..network import peers, ports
from ..site import Site
from .group import compile_group

# unshare, setpriv and what the units ask for: Debian 11 is the oldest that we know.
OLDEST_SYSTEMD = 245


class CompiledRobot(t.NamedTuple):
    """`plan` is what `module_utils/plan.py` describes; `entries` are for the SPIRE server; `peers` are the identities found
    for the addresses of upstreams that name none; `warnings` are for people.
    """

    plan: dict[str, t.Any]
    entries: tuple[dict[str, t.Any], ...]
    peers: t.Mapping[str, str]
    warnings: tuple[Problem, ...]


def compile_robot(
    jobs: t.Sequence[Job], fleet: Fleet, placement: Placement, name: str, directory: peers.Directory | None = None
) -> CompiledRobot:
    """Compile what `name` shall hold of the jobs; a job that it holds nothing of becomes an empty job plan.

    `directory` is `peers.known_services` of the same run, to be computed once for many robots. Raises `JobErrors`.
    """
    robot = fleet.robot(name)
    services = peers.known_services(jobs, fleet, placement) if directory is None else directory
    plans, entries, sites = [], [], []
    for job in jobs:
        groups = []
        for number, group in enumerate(job.task_groups):
            instances = placement.on(name, (job.namespace, job.name, group.name))
            if not instances:
                continue
            site = Site(job, number, robot, fleet, instances)
            compiled = compile_group(site, services)
            groups.append(compiled.plan)
            entries += [compiled.entry] if compiled.entry else []
            sites.append(site)
        plans.append(plan.job(job.namespace, job.name, groups))
    errors = [problem for site in sites for problem in (*site.errors, *_unfit(site, robot))]
    errors += ports.conflicts(sites, name)
    if errors:
        raise JobErrors(dict.fromkeys(errors))
    warnings = tuple(dict.fromkeys(problem for site in sites for problem in site.warnings))
    found = {address: identity for site in sites for address, identity in site.peers.items()}
    return CompiledRobot(plan.robot(plans), tuple(entries), found, warnings)


def _unfit(site: Site, robot: Robot) -> t.Iterator[Problem]:
    """What the robot's systemd cannot do and no helper does in its place: refused, because it would be ignored."""
    if robot.systemd < OLDEST_SYSTEMD:
        found = f"robot {robot.name} has systemd {robot.systemd}, {OLDEST_SYSTEMD} is the oldest that can hold it"
        yield site.job.problem(site.path, found, "exclude the robot by a constraint, or update it")
    if robot.capabilities.get("cgroup.memory") == "no":
        found = f"robot {robot.name} cannot limit memory, its kernel has that controller off"
        limited = [("", site.group.resources), *((f".tasks[{n}]", task.resources) for n, task in enumerate(site.group.tasks))]
        for where, resources in limited:
            if resources and resources.memory:
                remedy = "start its kernel with cgroup_enable=memory, or leave the limit out"
                yield site.job.problem(f"{site.path}{where}.resources.memory", found, remedy)
