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
from ...job.model.ports import Port
from ...job.model.services import Service
from ...job.model.vocabulary import PORT, Provider
from .. import names
from ..network import choice
from ..site.placed import PlacedPort
from ..site.rendering import InConsul, LookedUp, Unfound
from ..site.site import Site, sites_of

# The most names that a message lists.
SHOWN = 6
TOGETHER = (
    "if another job has it, deploy both together: -e job=<this file>,<the other job's file>; if it is in Consul, write `provider: consul` "
    "beside the template's text"
)


_Instance = t.Mapping[str, t.Any]


class _Offer(t.NamedTuple):
    """A service of a task, in the group of a job. `port` is the one that its label stands for; None where that is no port of the group."""

    job: Job
    group: TaskGroup
    task: str
    service: Service
    port: Port | None

    @property
    def names(self) -> tuple[str, str, str]:
        return self.job.namespace, self.job.name, self.group.name

    @property
    def name(self) -> str:
        """namespace/job/group/service."""
        return "/".join((*self.names, self.service.name))


class Offered:
    """The services of the tasks of a run's jobs. Most runs look none up, so nothing is computed before one does.

    `named` tells which ports a robot has named.
    """

    def __init__(self, jobs: t.Sequence[Job], fleet: Fleet, placement: Placement, named: t.Callable[[str], choice.Held]) -> None:
        self._jobs, self._fleet, self._placement, self._named = jobs, fleet, placement, named
        self._index: dict[str, dict[str, list[_Offer]]] | None = None
        self._ports: dict[str, t.Mapping[str, t.Sequence[PlacedPort]]] = {}

    def __call__(self, site: Site, name: str, /) -> LookedUp:
        """Every instance of the services with this name in the namespace of the site's job, as its tasks reach them. Raises `Unfound`."""
        offers = self._offers(site.job.namespace, name)
        if not offers:
            raise self._unknown(site, name)
        instances: list[_Instance] = []
        unreached: dict[str, list[str]] = {}
        services: dict[str, str] = {}
        for offer in offers:
            if offer.port is None:
                raise _without_port(offer)
            found = self._instances(offer, offer.port, site.robot, site.are_pods, unreached)
            instances += found
            # Several tasks of a group may have it.
            services[offer.name] = _digest(found, services.get(offer.name, ""))
        if unreached and (NAMELESS in unreached or not instances):
            why = NAMELESS if NAMELESS in unreached else min(unreached)
            raise Unfound(f"the service {quoted(name)} {why.format(few(unreached[why], SHOWN))}", _REMEDIES[why])
        instances.sort(key=lambda each: (each["JobID"], each["ID"]))
        return LookedUp(instances, services)

    def seen(self, robot: Robot, from_pods: bool, service: str, /) -> str:
        """The digest of what `LookedUp` would have of one service, `namespace/job/group/name`; empty where nothing can be found."""
        namespace, _job, _group, name = service.split("/")
        digest = ""
        for offer in self._offers(namespace, name):
            if offer.name == service and offer.port:
                digest = _digest(self._instances(offer, offer.port, robot, from_pods, {}), digest)
        return digest

    def _offers(self, namespace: str, name: str) -> t.Sequence[_Offer]:
        if self._index is None:
            self._index = _index(self._jobs)
        return self._index.get(namespace, {}).get(name, ())

    def _instances(
        self, offer: _Offer, port: Port, caller: Robot, from_pods: bool, unreached: dict[str, list[str]]
    ) -> t.Sequence[_Instance]:
        """All in the fleet, as a task on the robot of the `caller` reaches them. Collects `unreached` robots, by why they are."""
        instances: list[_Instance] = []
        for name, held in sorted(self._placement.instances.get(offer.names, {}).items()):
            robot = self._fleet.robot(name)
            host, why = _host(caller, from_pods, robot, port, offer.group.are_pods)
            if why:
                unreached.setdefault(why, []).append(name)
            else:
                instances += (_instance(offer, robot, number, host, self._number(name, offer, number)) for number in sorted(held))
        return instances

    def _number(self, robot: str, offer: _Offer, instance: int) -> int:
        """The port of the robot that an instance has."""
        if robot not in self._ports:
            sites = sites_of(self._jobs, self._fleet, self._placement, self._fleet.robot(robot))
            self._ports[robot] = choice.choose(sites, self._named(robot)).ports
        ports = self._ports[robot].get(names.group_id(*offer.names), ())
        # Where none is left, that is an error of that robot's own.
        return next((each.number for each in ports if each.instance == instance and each.spec.label == offer.service.port_label), 0)

    def _unknown(self, site: Site, name: str) -> Unfound:
        known = sorted((self._index or {}).get(site.job.namespace, {}))
        tasks = (task for job in self._jobs if job.namespace == site.job.namespace for group in job.task_groups for task in group.tasks)
        if any(service.name == name for task in tasks for service in task.services):
            # All others are in the index.
            return InConsul(f"the service {quoted(name)} is in Consul", "use `service`, and leave the template's `provider` out")
        what = f"no task of this run has the service {quoted(name)}"
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
        there = f"there is {few(known, SHOWN)}" if known else "the run's tasks have none in this namespace"
        return Unfound(what, did_you_mean(name, known) or f"{there}; {TOGETHER}")


NAMELESS = "runs on {}, for which the inventory has a name but no IP address"
_LOOPBACK = "listens on the loopback of {}, which cannot be reached from here"
_IPV6 = "can only be reached over IPv4, and the inventory has only IPv6 addresses for {}"
_REMEDIES = {
    NAMELESS: "set k8s4r_address of these robots to their IP addresses",
    _LOOPBACK: "remove the hostIP of its port",
    _IPV6: "add an IPv4 address to k8s4r_address of these robots",
}


def _index(jobs: t.Sequence[Job]) -> dict[str, dict[str, list[_Offer]]]:
    """By namespace and name."""
    found: dict[str, dict[str, list[_Offer]]] = {}
    for job in jobs:
        for group in job.task_groups:
            ports = {port.label: port for port in group.network.ports} if group.network and group.network.enabled else {}
            for task in group.tasks:
                for service in task.services:
                    if service.provider is not Provider.CONSUL:
                        offer = _Offer(job, group, task.name, service, ports.get(service.port_label))
                        found.setdefault(job.namespace, {}).setdefault(service.name, []).append(offer)
    return found


def _without_port(offer: _Offer) -> Unfound:
    label = offer.service.port_label
    what = f"{offer.name} has the portLabel {quoted(label)}, which is {{}}"
    served = [service.name for service in offer.group.network.services] if offer.group.network else []
    if label in served:
        behind = what.format("behind a proxy that admits only other proxies")
        return Unfound(behind, f"call it by network.upstreams, with service: {'/'.join((*offer.names[1:], label))}")
    found = "a port of its robot's loopback" if re.fullmatch(PORT, label) else "no port of the group"
    return Unfound(what.format(found), "add the port to network.ports of that group, and write its label")


def _digest(instances: t.Sequence[_Instance], before: str) -> str:
    """``before``: that of those before them."""
    text = json.dumps([before, *instances], sort_keys=True)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _host(caller: Robot, from_pods: bool, robot: Robot, port: Port, in_pods: bool) -> tuple[str, str]:
    """Where a task on the robot of the `caller` reaches a port of a robot, the NOMAD_IP of who listens where that is an address; or why it
    does not.
    """
    listening = plain(port.host_ip) if port.host_ip else ""
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
    return ("", _IPV6) if only_old and ":" in addresses[0] else (addresses[0], "")


def _instance(offer: _Offer, robot: Robot, instance: int, host: str, number: int) -> _Instance:
    """What a template sees of an instance, by Nomad's names."""
    alloc = names.alloc_id(*offer.names, instance)
    return {
        "ID": f"_nomad-task-{alloc}-{offer.task}-{offer.service.name}-{offer.service.port_label}",
        "Name": offer.service.name,
        "Node": robot.name,
        "Address": host,
        "Port": number,
        "Datacenter": robot.datacenter,
        "Tags": list(offer.service.tags),
        "JobID": offer.job.name,
        "AllocID": alloc,
    }
