# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ports that two groups want on one robot, found before anything changes. The robot itself finds ports that others use."""

from __future__ import annotations

import typing as t

from ...envoy.address import Address
from ...job.addresses import ALWAYS_THERE, LOOPBACK, clash, here, plain
from ...job.errors import Problem
from ...job.model.ingress import Ingress
from ...job.model.network import InboundService
from ...job.model.ports import Port
from ...job.model.services import Service
from ...job.model.vocabulary import Provider, Transport
from ..site.site import Site

if t.TYPE_CHECKING:
    from ....module_utils._engine import plan as wire


class Listener(t.NamedTuple):
    """An address and port that a group listens on, its path in the job file, and the full names of the services that are found there.
    `addressed` is the path of the address, where the job names one.
    """

    address: str
    port: int
    path: str
    transport: Transport = Transport.TCP
    serves: tuple[str, ...] = ()
    addressed: str = ""

    @property
    def called(self) -> str:
        """What a person calls it: the name of its service, or its key below `network`."""
        return self.serves[0].rpartition("/")[2] if self.serves else self.path.rpartition(".network.")[2]

    def meets(self, other: Listener) -> bool:
        """Whether only one of the two can be had."""
        return self.port == other.port and self.transport is other.transport and clash(self.address, other.address)

    def with_served(self, port: wire.Port) -> wire.Port:
        """The port of a plan, with what is found there."""
        return {**port, "serves": list(self.serves)} if self.serves else port

    def where_addressed(self, site: Site) -> str:
        """The job file's path of an address that a robot may not have; empty for any other."""
        return site.where(self.addressed) if self.addressed and self.address not in ALWAYS_THERE else ""


def listeners(site: Site) -> t.Iterator[Listener]:
    """All that the group's proxy listens on, of the robot; of a pod's, the ports of the robot that lead to it."""
    if site.network is None:
        return
    for number, upstream in enumerate(site.network.upstreams if not site.are_pods else ()):
        yield Listener(LOOPBACK, upstream.local_port, f"{site.path}.network.upstreams[{number}].localPort")
    for number, service in enumerate(site.network.services):
        path, serves = f"{site.path}.network.services[{number}]", (site.full_name(service.name),)
        yield Listener(_host(site, service.address), service.port, f"{path}.port", serves=serves, addressed=f"{path}.address")
    if site.network.ingress:
        outside, path = site.network.ingress, f"{site.path}.network.ingress"
        yield Listener(_host(site, outside.address), outside.port, f"{path}.port", addressed=f"{path}.address")


def inside(site: Site) -> t.Iterator[Listener]:
    """All that a pod's proxy listens on, in the pod."""
    if site.network is None or site.pod is None:
        return
    for number, upstream in enumerate(site.network.upstreams):
        yield Listener(LOOPBACK, upstream.local_port, f"{site.path}.network.upstreams[{number}].localPort")
    for number, service in enumerate(site.network.services):
        yield Listener(proxy_host(site, service), service.port, f"{site.path}.network.services[{number}].port")
    if site.network.ingress:
        yield Listener(proxy_host(site, site.network.ingress), site.network.ingress.port, f"{site.path}.network.ingress.port")


def of_tasks(site: Site) -> t.Iterator[Listener]:
    """The static ports that the group's tasks may listen on."""
    for port in site.declared_ports:
        if port.static:
            yield of_task(site, port, port.static)


def of_task(site: Site, port: Port, number: int) -> Listener:
    """A port of a task, whose number is this one."""
    everywhere = port.host_ip is None or (site.are_pods and port.host_ip == "::")
    found = [service.name for task in site.group.tasks for service in task.services if is_offered(service, port)]
    serves = tuple(site.full_name(name) for name in dict.fromkeys(found))
    address = _every(site) if everywhere else port.host_ip or ""
    return Listener(address, number, port.number_path, port.protocol, serves, f"{port.path}.hostIP")


def is_offered(service: Service, port: Port) -> bool:
    """Whether a service of a task is found at a port of its group."""
    return service.port_label == port.label and service.provider is not Provider.CONSUL


def in_the_pod(site: Site, port: Port) -> set[int]:
    """What a port cannot be that is the same number in its pod: what else listens there."""
    if not site.are_pods or port.to:
        return set()
    others = {each.to or each.static for each in site.declared_ports if each.protocol is port.protocol}
    return {number for number in others | (_of_the_proxy(site) if port.protocol is Transport.TCP else set()) if number}


def _of_the_proxy(site: Site) -> set[int]:
    if site.network is None:
        return set()
    outside = (site.network.ingress,) if site.network.ingress else ()
    return {*(each.local_port for each in site.network.upstreams), *(each.port for each in (*site.network.services, *outside))}


def proxy_host(site: Site, entrance: InboundService | Ingress) -> str:
    """The address that the proxy listens on for what comes in. In a pod it is every one: what is for one address of the robot is published
    there alone.
    """
    return _host(site, "::" if site.are_pods else entrance.address)


def _host(site: Site, address: str) -> str:
    """An address of the robot, or of a pod."""
    host = plain(address)
    return _every(site) if host == "::" else host


def _every(site: Site) -> str:
    """All addresses of the robot, or of a pod. One whose kernel has no IPv6 cannot listen on those of both families, and not all robots
    give their pods both.
    """
    only_old = (site.are_pods and not site.robot.pods6) or site.robot.capabilities.get("ipv6") == "no"
    return "0.0.0.0" if only_old else "::"


def of_label(site: Site, label: str) -> list[Address]:
    """Where the proxy reaches the ports with this label, one of each instance on the robot."""
    held = [each for each in site.ports if each.spec.label == label]
    if site.are_pods:
        return [Address(LOOPBACK, each.inside) for each in held]
    return [Address(here(each.spec.host_ip or LOOPBACK), each.number) for each in held]


def conflicts(sites: t.Sequence[Site]) -> t.Iterator[Problem]:
    """An error for each listener that overlaps with an earlier one on the same robot, or with the port of a program that another
    group serves: whichever starts second would not get the port, and its callers would reach the other.
    """
    served = [(site, each) for site in sites for each in served_by(site)]
    taken: dict[int, list[tuple[Site, Listener]]] = {}
    for site in sites:
        for listener in (*listeners(site), *of_tasks(site)):
            for owner, other in (*taken.get(listener.port, ()), *((owner, each) for owner, each in served if owner is not site)):
                if listener.meets(other):
                    found = f"{Address(listener.address, listener.port)} on {site.robot.called} is taken by {owner.where(other.path)}"
                    yield site.problem(listener.path, found, "choose another port")
            taken.setdefault(listener.port, []).append((site, listener))
        if len(site.instances) > 1:
            fewer = "lower count so that a robot has one instance"
            remedies = [(listener, f"leave the port to be chosen, or {fewer}") for listener in of_tasks(site)]
            # The port of an inbound service of pods is one of the robot, too.
            remedies += [(listener, fewer) for listener in (listeners(site) if site.are_pods else ())]
            for listener, remedy in remedies:
                found = f"{site.robot.called} has {len(site.instances)} instances, and only one can have port {listener.port}"
                yield site.problem(listener.path, found, remedy)


def served_by(site: Site) -> t.Iterator[Listener]:
    """Where on the robot programs should be listening whom the group serves to others."""
    for number, service in enumerate(site.network.services if site.network and not site.are_pods else ()):
        host, _colon, port = service.to.rpartition(":")
        address = LOOPBACK if host == "localhost" else plain(host)
        # What is served elsewhere takes no port of this robot.
        if address in (*ALWAYS_THERE, site.robot.name, plain(site.robot.address)):
            yield Listener(address, int(port), f"{site.path}.network.services[{number}].to")
