# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The services of tasks, as templates look them up: every instance in the fleet by the service's name, as Nomad has it.

No proxy is on the way. Who looks a service up gets the ports of the robots that its tasks listen on.
"""

from __future__ import annotations

import hashlib
import json
import re
import typing as t

from ...envoy.address import Address
from ...fleet.placement import Placement
from ...fleet.robots import Fleet, Robot
from ...job.addresses import LOOPBACK, LOOPBACK_HOSTS, WILDCARDS, plain
from ...job.errors import did_you_mean, few, quoted
from ...job.model.group import TaskGroup
from ...job.model.job import Job
from ...job.model.vocabulary import PORT, Provider
from .. import names
from ..network import choice, ports
from ..site.placed import PlacedPort
from ..site.rendering import InConsul, LookedUp, Unfound
from ..site.site import Site, sites_of

# The most names that a message lists.
SHOWN = 6
TOGETHER = (
    "if another job has it, deploy that first, or both together: -e job=<this file>,<the other job's file>; if it is in Consul, write "
    "`provider: consul` beside the template's text"
)


_Instance = t.Mapping[str, t.Any]


class _Offer(t.NamedTuple):
    """A service of a task, in the group of a job: its label, and the `hostIP` of the port that this stands for; None where it is no port of
    the group. `group` is None where the job is not in the run; then `numbers` are its ports, by robot and instance.
    """

    names: tuple[str, str, str]
    task: str
    service: str
    label: str
    tags: tuple[str, ...]
    host: str | None
    in_pods: bool
    group: TaskGroup | None = None
    numbers: t.Mapping[str, t.Mapping[int, int]] = {}

    @property
    def name(self) -> str:
        """namespace/job/group/service."""
        return "/".join((*self.names, self.service))


class _What(t.NamedTuple):
    """What tells an offer of a job that is not in the run from others; `name` is that of the service, with its job's and group's."""

    name: str
    task: str
    label: str
    tags: tuple[str, ...]
    host: str
    in_pods: bool


# What a robot says of a port where a task of a job offers services: `terms` are those that `terms` has made.
Said = t.Mapping[str, t.Any]


def terms(site: Site, placed: PlacedPort) -> dict[str, t.Any]:
    """What a run of those who look up what is offered at a port must know of it; nothing where nothing is."""
    offers = [
        {"name": site.full_name(service.name), "task": task.name, "tags": list(service.tags)}
        for task in site.group.tasks
        for service in task.services
        if ports.is_offered(service, placed.spec)
    ]
    of_port = {"instance": placed.instance, "label": placed.spec.label, "host": placed.spec.host_ip or "", "pods": site.are_pods}
    return {**of_port, "offers": offers} if offers else {}


class Offered:
    """The services of the tasks of a run's jobs. Most runs look none up, so nothing is computed before one does.

    `named` tells which ports a robot has named. `others` are what robots say that jobs have which are not in the run, each with its robot;
    `anyone`: whether any other service may be there, too.
    """

    def __init__(
        self,
        jobs: t.Sequence[Job],
        fleet: Fleet,
        placement: Placement,
        named: t.Callable[[str], choice.Held],
        others: t.Sequence[tuple[str, Said]] = (),
        anyone: bool = False,
    ) -> None:
        self._jobs, self._fleet, self._placement, self._named, self._others = jobs, fleet, placement, named, others
        self._anyone = anyone
        self._index: dict[str, dict[str, list[_Offer]]] | None = None
        self._ports: dict[str, t.Mapping[str, t.Sequence[PlacedPort]]] = {}

    def beside(self, others: t.Sequence[tuple[str, Said]], anyone: bool = False, /) -> Offered:
        """The same, and what others have."""
        return Offered(self._jobs, self._fleet, self._placement, self._named, others, anyone)

    def __call__(self, site: Site, name: str, /) -> LookedUp:
        """Every instance of the services with this name in the namespace of the site's job, as its tasks reach them. Raises `Unfound`."""
        offers = self._offers(site.job.namespace, name)
        if not offers and self._anyone:
            return LookedUp([_INVENTED], {})
        if not offers:
            raise self._unknown(site, name)
        instances: list[_Instance] = []
        unreached: dict[str, list[str]] = {}
        services: dict[str, list[_Instance]] = {}
        for offer in offers:
            if offer.host is None:
                raise _without_port(offer)
            found = self._instances(offer, offer.host, site.robot, site.are_pods, unreached)
            instances += found
            # Several tasks of a group may have it.
            services.setdefault(offer.name, []).extend(found)
        if unreached and (NAMELESS in unreached or not instances):
            why = NAMELESS if NAMELESS in unreached else min(unreached)
            raise Unfound(f"the service {quoted(name)} {why.format(few(unreached[why], SHOWN))}", _REMEDIES[why])
        instances.sort(key=lambda each: (each["JobID"], each["ID"]))
        return LookedUp(instances, {name: _digest(found) for name, found in services.items()})

    def seen(self, robot: Robot, from_pods: bool, service: str, /) -> str:
        """The digest of what `LookedUp` would have of one service, `namespace/job/group/name`; empty where nothing can be found."""
        namespace, _job, _group, name = service.split("/")
        offers = [offer for offer in self._offers(namespace, name) if offer.name == service and offer.host is not None]
        found = [each for offer in offers for each in self._instances(offer, offer.host or "", robot, from_pods, {})]
        return _digest(found) if offers else ""

    def _offers(self, namespace: str, name: str) -> t.Sequence[_Offer]:
        if self._index is None:
            self._index = _index(self._jobs)
            for offer in _of_others(self._others):
                self._index.setdefault(offer.names[0], {}).setdefault(offer.service, []).append(offer)
        return self._index.get(namespace, {}).get(name, ())

    def _instances(
        self, offer: _Offer, host_ip: str, caller: Robot, from_pods: bool, unreached: dict[str, list[str]]
    ) -> t.Sequence[_Instance]:
        """All in the fleet, as a task on the robot of the `caller` reaches them. Collects `unreached` robots, by why they are."""
        instances: list[_Instance] = []
        held = self._placement.instances.get(offer.names, {}) if offer.group else offer.numbers
        for name, numbers in sorted(held.items()):
            robot = self._fleet.robot(name)
            host, why = _host(caller, from_pods, robot, host_ip, offer.in_pods)
            if why:
                unreached.setdefault(why, []).append(name)
            else:
                instances += (_instance(offer, robot, number, host, self._number(name, offer, number)) for number in sorted(numbers))
        return instances

    def _number(self, robot: str, offer: _Offer, instance: int) -> int:
        """The port of the robot that an instance has."""
        if not offer.group:
            return offer.numbers[robot][instance]
        if robot not in self._ports:
            sites = sites_of(self._jobs, self._fleet, self._placement, self._fleet.robot(robot))
            self._ports[robot] = choice.choose(sites, self._named(robot)).ports
        ports = self._ports[robot].get(names.group_id(*offer.names), ())
        # Where none is left, that is an error of that robot's own.
        return next((each.number for each in ports if each.instance == instance and each.spec.label == offer.label), 0)

    def _unknown(self, site: Site, name: str) -> Unfound:
        known = sorted((self._index or {}).get(site.job.namespace, {}))
        tasks = (task for job in self._jobs if job.namespace == site.job.namespace for group in job.task_groups for task in group.tasks)
        if any(service.name == name for task in tasks for service in task.services):
            # All others are in the index.
            return InConsul(f"the service {quoted(name)} is in Consul", "use `service`, and leave the template's `provider` out")
        what = f"no task of this run has the service {quoted(name)}, nor has one that robots run"
        inbound = [
            f"{job.name}/{group.name}/{name}"
            for job in self._jobs
            if job.namespace == site.job.namespace
            for group in job.task_groups
            if group.network and group.network.enabled and any(service.name == name for service in group.network.services)
        ]
        if inbound:
            return Unfound(
                f"{what}; {inbound[0]} is an inbound service, behind a proxy", f"call it by network.upstreams, with service: {inbound[0]}"
            )
        there = f"there are: {few(known, SHOWN)}" if known else "the run's tasks have none in this namespace"
        return Unfound(what, did_you_mean(name, known) or f"{there}; {TOGETHER}")


# Of a service of which nothing is known.
_INVENTED: _Instance = {
    **dict.fromkeys(("ID", "Name", "Node", "Datacenter", "JobID", "AllocID"), "any"),
    "Address": "192.0.2.1",
    "Port": 1,
    "Tags": [],
}
NAMELESS = "runs on {}, for which the inventory has no IP address that other robots reach"
_LOOPBACK = "listens on the loopback of {}, which cannot be reached from here"
IPV6 = "can only be reached over IPv4, and the inventory has only IPv6 addresses for {}"
_REMEDIES = {
    NAMELESS: "set k8s4r_address of these robots to their IP addresses",
    _LOOPBACK: "remove the hostIP of its port",
    IPV6: "add an IPv4 address to k8s4r_address of these robots",
}


def _index(jobs: t.Sequence[Job]) -> dict[str, dict[str, list[_Offer]]]:
    """By namespace and name."""
    found: dict[str, dict[str, list[_Offer]]] = {}
    for job in jobs:
        for group in job.task_groups:
            labelled = {port.label: port for port in group.network.ports} if group.network and group.network.enabled else {}
            for task in group.tasks:
                for service in task.services:
                    if service.provider is not Provider.CONSUL:
                        port = labelled.get(service.port_label)
                        host = None if port is None else port.host_ip or ""
                        of = (job.namespace, job.name, group.name)
                        offer = _Offer(of, task.name, service.name, service.port_label, service.tags, host, group.are_pods, group)
                        found.setdefault(job.namespace, {}).setdefault(service.name, []).append(offer)
    return found


def _of_others(said: t.Iterable[tuple[str, Said]]) -> t.Iterator[_Offer]:
    """What several robots say of one service is one offer, if they say the same."""
    numbers: dict[_What, dict[str, dict[int, int]]] = {}
    for robot, port in said:
        of = port["terms"]
        for each in of["offers"]:
            if each["name"] == port["name"]:
                what = _What(each["name"], each["task"], of["label"], tuple(each["tags"]), of["host"], of["pods"])
                numbers.setdefault(what, {}).setdefault(robot, {})[of["instance"]] = port["port"]
    for what, found in numbers.items():
        namespace, job, group, service = what.name.split("/")
        yield _Offer((namespace, job, group), what.task, service, what.label, what.tags, what.host, what.in_pods, None, found)


def _without_port(offer: _Offer) -> Unfound:
    label = offer.label
    what = f"{offer.name} has the portLabel {quoted(label)}, which is {{}}"
    network = offer.group.network if offer.group else None
    served = [service.name for service in network.services] if network else []
    if label in served:
        behind = what.format("behind a proxy that admits only other proxies")
        return Unfound(behind, f"call it by network.upstreams, with service: {'/'.join((*offer.names[1:], label))}")
    found = "a port of its robot's loopback" if re.fullmatch(PORT, label) else "no port of the group"
    return Unfound(what.format(found), "add the port to network.ports of that group, and write its label")


def _digest(instances: t.Sequence[_Instance]) -> str:
    """That of instances in any order."""
    text = json.dumps(sorted(instances, key=lambda each: str(each["ID"])), sort_keys=True)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _host(caller: Robot, from_pods: bool, robot: Robot, host_ip: str, in_pods: bool) -> tuple[str, str]:
    """Where a task on the robot of the `caller` reaches a port of a robot, the NOMAD_IP of who listens where that is an address; or why it
    does not.
    """
    listening = plain(host_ip) if host_ip else ""
    here = robot.name == caller.name
    if listening in LOOPBACK_HOSTS:
        return (listening, "") if here and not from_pods else ("", _LOOPBACK)
    if listening and listening not in WILDCARDS:
        return listening, ""
    hosts = [plain(host) for host in robot.reached_at]
    addresses = [host for host in hosts if Address(host, 0).numeric]
    if not addresses:
        return (LOOPBACK, "") if here and not from_pods else ("", NAMELESS)
    # A template that writes an address and a port has no brackets for IPv6.
    addresses.sort(key=lambda host: ":" in host)
    only_old = listening == "0.0.0.0" or robot.capabilities.get("ipv6") == "no" or in_pods or from_pods
    return ("", IPV6) if only_old and ":" in addresses[0] else (addresses[0], "")


def _instance(offer: _Offer, robot: Robot, instance: int, host: str, number: int) -> _Instance:
    """What a template sees of an instance, by Nomad's names."""
    alloc = names.alloc_id(*offer.names, instance)
    return {
        "ID": f"_nomad-task-{alloc}-{offer.task}-{offer.service}-{offer.label}",
        "Name": offer.service,
        "Node": robot.name,
        "Address": host,
        "Port": number,
        "Datacenter": robot.datacenter,
        "Tags": list(offer.tags),
        "JobID": offer.names[1],
        "AllocID": alloc,
    }
