# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pods of different robots: which robots have routes to each other, and which pods may come from there.

A route needs a network of pods that no other robot has, and an IPv4 address. Whether two robots are on one link they know themselves. Where
robots have a network of IPv6 for their pods and an address of it too, the same holds of that, and nothing depends on it.
"""

from __future__ import annotations

import ipaddress
import json
import typing as t

from ....module_utils._engine import plan
from ...fleet.placement import GroupKey, Placement
from ...fleet.robots import Fleet, Robot
from ...job.addresses import plain
from ...job.errors import Problem, few
from ...job.model.job import Job
from ..site.placed import Pod
from ..site.site import NAMED, Site, sites_of
from . import pods, told
from .choice import Held

if t.TYPE_CHECKING:
    from ....module_utils._engine.plan import Expected, Resource

    Network = t.Union[ipaddress.IPv4Network, ipaddress.IPv6Network]

_OR = "constrain both groups to the same robots, or call it through `upstreams`"


class Routed(t.NamedTuple):
    """A robot to whose pods there are routes: its addresses of IPv4, and of IPv6 where that is routed, too."""

    addresses: tuple[str, ...]
    addresses6: tuple[str, ...] = ()


class Across(t.NamedTuple):
    """What the robots of a fleet know of each other's pods.

    `robots`: those with routes to each other. `alone`: those whose network of pods is theirs alone. `pods`: each group's pods on the
    former, with an IPv6 address where that is routed; of other jobs as far as their robots have said. `named_by`: by a group of the run,
    who has it in its `reach`, and where that is written, empty of another job. `jobs`: namespace and name of the run's. `unheard`: robots
    that have never told which pods they have. `text`: what all robots are told; empty where no two have routes to each other.
    """

    robots: t.Mapping[str, Routed] = {}
    alone: t.Container[str] = ()
    pods: t.Mapping[GroupKey, t.Mapping[str, tuple[Pod, ...]]] = {}
    named_by: t.Mapping[GroupKey, t.Sequence[tuple[GroupKey, str]]] = {}
    jobs: t.Container[tuple[str, str]] = ()
    unheard: tuple[str, ...] = ()
    text: str = ""

    def is_six(self, robot: str) -> bool:
        """Whether IPv6 is routed to a robot."""
        return robot in self.robots and bool(self.robots[robot].addresses6)


def known(
    jobs: t.Sequence[Job],
    fleet: Fleet,
    placement: Placement,
    named: t.Callable[[str], Held],
    said: told.Said = told.NOTHING,
    unheard: t.Container[str] = (),
) -> Across:
    """Computed once for all robots. `named` tells which addresses a robot has named."""
    if not any(group.are_pods for job in jobs for group in job.task_groups):
        return Across()
    alone, robots = _routed(fleet)
    if len(robots) < 2:
        return Across(robots, alone)
    found: dict[GroupKey, dict[str, tuple[Pod, ...]]] = {}
    for name in robots:
        here = [site for site in sites_of(jobs, fleet, placement, fleet.robot(name)) if site.are_pods]
        chosen = pods.choose(here, named(name) if here else {}).pods
        others = told.pods(jobs, fleet.robot(name), said)
        for group, mine in [*((site.names, chosen.get(site.id, ())) for site in here), *others.items()]:
            found.setdefault(group, {})[name] = tuple(mine) if robots[name].addresses6 else _with_four(mine)
    return Across(
        robots=robots,
        alone=alone,
        pods=found,
        named_by=_named_by(jobs, told.reaching(jobs, fleet, said)),
        jobs={(job.namespace, job.name) for job in jobs},
        unheard=tuple(name for name in robots if name in unheard),
        text=_text(fleet, robots),
    )


def _text(fleet: Fleet, robots: t.Mapping[str, Routed]) -> str:
    told_of = {}
    for name, routed in robots.items():
        told_of[name] = {"range": fleet.robot(name).pods, "addresses": routed.addresses}
        if routed.addresses6:
            told_of[name].update(range6=fleet.robot(name).pods6, addresses6=routed.addresses6)
    return json.dumps({"version": plan.KEPT_VERSION, "robots": told_of}, sort_keys=True, indent=1) + "\n"


def asks(jobs: t.Sequence[Job], fleet: Fleet) -> bool:
    """Whether a run has to know which robots have pods of other jobs."""
    return told.beyond(jobs) and len(_routed(fleet)[1]) > 1


def _routed(fleet: Fleet) -> tuple[set[str], dict[str, Routed]]:
    """`Across.alone` and `Across.robots`, where there are two of the latter."""
    alone = _alone((ipaddress.IPv4Network(robot.pods), robot.name) for robot in fleet.robots)
    alone_six = _alone((ipaddress.IPv6Network(robot.pods6), robot.name) for robot in fleet.robots if robot.pods6)
    found: dict[str, Routed] = {}
    for robot in fleet.robots:
        addresses = _addresses(robot, ipaddress.IPv4Address) if robot.name in alone else ()
        if addresses:
            found[robot.name] = Routed(addresses, _addresses(robot, ipaddress.IPv6Address) if robot.name in alone_six else ())
    return alone, found


def _alone(owned: t.Iterable[tuple[Network, str]]) -> set[str]:
    """The owners of networks that have no address in common with another's. Two networks have nothing in common, or one is in the other."""
    networks = sorted(owned)
    shared: set[str] = set()
    widest, owner = None, ""
    for network, name in networks:
        if widest is not None and network.network_address in widest:
            shared |= {owner, name}
        else:
            widest, owner = network, name
    return {name for _network, name in networks} - shared


def _addresses(robot: Robot, family: t.Callable[[str], object]) -> tuple[str, ...]:
    return tuple(host for host in map(plain, robot.reached_at) if _is_address(host, family))


def _is_address(host: str, family: t.Callable[[str], object]) -> bool:
    try:
        family(host)
    except ValueError:
        return False
    return True


def _with_four(pods: t.Iterable[Pod]) -> tuple[Pod, ...]:
    """As they are known where IPv6 leads nowhere."""
    return tuple(pod._replace(address6="") if pod.address6 else pod for pod in pods)


def _named_by(jobs: t.Iterable[Job], others: t.Iterable[tuple[GroupKey, GroupKey]]) -> dict[GroupKey, list[tuple[GroupKey, str]]]:
    found: dict[GroupKey, list[tuple[GroupKey, str]]] = {}
    for job in jobs:
        for index, group in enumerate(job.task_groups):
            for number, each in enumerate(group.network.reach if group.are_pods and group.network else ()):
                where = f"{job.path}: {job.root}taskGroups[{index}].network.reach[{number}]"
                found.setdefault(told.full(job, each), []).append(((job.namespace, job.name, group.name), where))
    for named, other in others:
        found.setdefault(named, []).append((other, ""))
    return found


def _reach(site: Site) -> list[tuple[str, GroupKey]]:
    """The paths of a group's `reach`, and which groups these are."""
    reach = site.group.network.reach if site.are_pods and site.group.network else ()
    return [(f"{site.path}.network.reach[{number}]", told.full(site.job, each)) for number, each in enumerate(reach)]


def elsewhere(site: Site, across: Across) -> dict[str, dict[str, list[str]]]:
    """By the keys of a pod's file for IPv4 and IPv6, and by group, the addresses of pods on other robots that may open connections to pods
    of this site.
    """
    others = _on_others(site, across, (named for _path, named in _reach(site)))
    four = {group: [pod.address for pod in pods] for group, pods in others.items()}
    six = {group: at for group, pods in others.items() if (at := [pod.address6 for pod in pods if pod.address6])}
    return {key: found for key, found in (("elsewhere", four), ("elsewhere6", six)) if found}


def named(site: Site, across: Across) -> dict[str, dict[str, list[str]]]:
    """By group, the names of pods on other robots with their addresses, where the robot has a DNS server: of those that may open
    connections to pods of this site, and of those that let its pods in. Pods of a job of the type system have one name on all robots.
    """
    if not site.robot.dns:
        return {}
    both = [*(named for _path, named in _reach(site)), *(group for group, _where in across.named_by.get(site.names, ()))]
    own = {pod.name for pod in site.pods}
    found: dict[str, dict[str, list[str]]] = {}
    for group, others in _on_others(site, across, both).items():
        for pod in others:
            if pod.name not in own:
                found.setdefault(group, {}).setdefault(pod.name, []).extend(filter(None, (pod.address, pod.address6)))
    return found


def _on_others(site: Site, across: Across, groups: t.Iterable[GroupKey]) -> dict[str, list[Pod]]:
    """The pods of its own group, and of these, on other robots."""
    if site.robot.name not in across.robots:
        return {}
    found = {
        "/".join(group): [pod for name, pods in sorted(across.pods.get(group, {}).items()) if name != site.robot.name for pod in pods]
        for group in sorted({site.names, *groups})
    }
    if not across.is_six(site.robot.name):
        found = {group: list(_with_four(pods)) for group, pods in found.items()}
    return {group: pods for group, pods in found.items() if pods}


def resources(site: Site, across: Across) -> list[Resource]:
    """What the robot knows of the others."""
    if not site.are_pods or not across.text or site.robot.name not in across.robots:
        return []
    return [plan.file(f"{plan.ROUTES}/{site.id}", across.text, label="routes to pods of other robots")]


def expected(site: Site, across: Across) -> t.Iterator[Expected]:
    """A link to each robot of which pods come here, or let pods of this one in, because a `reach` says so."""
    if not site.are_pods or site.robot.name not in across.robots:
        return
    here = across.pods.get(site.names, {})
    for path, named in _reach(site):
        yield from _links(site, across, across.pods.get(named, {}).keys() - here.keys(), site.where(path))
    for group, where in across.named_by.get(site.names, ()):
        there = across.pods.get(group, {})
        if site.robot.name not in there:
            yield from _links(site, across, there.keys(), where or site.where(f"{site.path}.network"))


def _links(site: Site, across: Across, robots: t.Iterable[str], where: str) -> t.Iterator[Expected]:
    for name in sorted(robots):
        yield plan.expected("link", " ".join([name, site.fleet.robot(name).pods, *across.robots[name].addresses]), where)


def errors(site: Site, placement: Placement, across: Across) -> t.Iterator[Problem]:
    """For each group in a `reach` that also runs on robots where no pod of this group does: there must be routes between all of these."""
    mine = placement.instances.get(site.names, {}).keys()
    for path, named in _reach(site):
        others = placement.instances.get(named, {}).keys() - mine
        apart = sorted((mine | others) - across.robots.keys()) if others else ()
        if apart:
            found = f"{'/'.join(named)} runs on {few(sorted(others), NAMED)} too, and "
            shared = [name for name in apart if name not in across.alone]
            if shared:
                found += f"other robots have addresses of pods in the k8s4r_pod_cidr of {few(shared, NAMED)}"
                yield site.problem(path, found, f"give each robot a k8s4r_pod_cidr of its own, {_OR}")
            else:
                found += f"the inventory has no IPv4 address of {few(apart, NAMED)}"
                yield site.problem(path, found, f"add it to k8s4r_address, {_OR}")


def warnings(site: Site, across: Across) -> t.Iterator[Problem]:
    """Where pods are whose job is not in the run, only robots that have some can tell."""
    if across.text and site.robot.name in across.robots:
        for path, group in _reach(site):
            if group[:2] in across.jobs:
                continue
            name = "/".join(group)
            if across.unheard:
                robots, have = few(across.unheard, NAMED), "has" if len(across.unheard) == 1 else "have"
                found = f"pods of {name} on {robots} cannot get in: {robots} {have} not reported which pods run there"
                yield site.problem(path, found, f"run again when {robots} can be reached")
            elif group not in across.pods:
                found = f"pods of {name} on other robots cannot get in: their job is not in this run, and no robot has reported any"
                yield site.problem(path, found, "deploy this job again once they run, or deploy both jobs together")
