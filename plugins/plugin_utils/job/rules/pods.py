# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What must be true of a group whose instances are pods (network.mode: group), and what its tasks share without saying so."""

from __future__ import annotations

import collections.abc as c
import dataclasses
import re

from ..addresses import LOOPBACK, WILDCARDS, clash
from ..errors import Finding, Mistake, child, quoted
from ..model.group import TaskGroup
from ..model.isolation import Isolation
from ..model.job import Job
from ..model.network import Network
from ..model.task import Task
from ..model.vocabulary import ADDRESS, NetworkMode, NetworkType, Sharing, Transport
from . import names

_HOST = "applies only to pods"
_IPV4 = "pods take only IPv4 addresses here"


def lifted(group: TaskGroup) -> TaskGroup:
    """A group of pods, whose tasks share IPC and the host name unless they say otherwise."""
    if not group.are_pods:
        return group
    return dataclasses.replace(group, tasks=tuple(_sharing(task) if task else task for task in group.tasks or ()))


def _sharing(task: Task) -> Task:
    if task.contained or not task.confined:
        return task
    asked = task.isolation or Isolation()
    shared = dataclasses.replace(asked, ipc=asked.ipc or Sharing.GROUP, uts=asked.uts or Sharing.GROUP)
    return dataclasses.replace(task, isolation=shared)


def errors(job: Job, group: TaskGroup, path: str, root: str, known: c.Container[str] = ()) -> c.Iterator[Finding]:
    """What is wrong with a group, at `path`, that has a network. ``root``: what precedes the paths of ports. ``known``: paths of ports
    with an error already.
    """
    network = group.network
    if network is None:
        return
    here = f"{path}.network"
    if network.mode is not NetworkMode.GROUP:
        given: dict[str, object] = {"hostname": network.hostname, "extraHosts": network.extra_hosts, "reach": network.reach}
        given["dns"] = network.dns and (network.dns.servers or network.dns.searches)
        for name, value in given.items():
            if value:
                yield f"{here}.{name}", Mistake(_HOST, "write mode: group, or remove it", rests_on=[f"{here}.mode"])
        return
    yield from _reach(job, network, f"{here}.reach")
    yield from _addresses(network, here, root)
    yield from (finding for finding in _within(network, here, root) if finding[0] not in known)


def _reach(job: Job, network: Network, path: str) -> c.Iterator[Finding]:
    """Of groups of other jobs the robot knows: those that it does not have open nothing."""
    groups = {group.name: group for group in job.task_groups if group and group.name}
    for number, each in enumerate(network.reach):
        if not each or not each.group or each.job not in (None, job.name) or each.namespace not in (None, job.namespace):
            continue
        named = groups.get(each.group)
        if named is None:
            yield f"{path}[{number}].group", names.not_of_this_job(job, each.group, f"{path}[{number}]")
        elif not named.are_pods:
            yield f"{path}[{number}].group", names.not_pods(each.group)


def _addresses(network: Network, here: str, root: str) -> c.Iterator[Finding]:
    for name, address in (network.extra_hosts or {}).items():
        at = child(f"{here}.extraHosts", name)
        if not re.fullmatch(ADDRESS, str(address)):
            yield at, Mistake("expected an IP address", value=quoted(str(address)))
        elif ":" in address:
            yield at, Mistake(_IPV4, "write an IPv4 address", value=quoted(str(address)))
    for number, server in enumerate(network.dns.servers if network.dns else ()):
        if server and ":" in server:
            yield f"{here}.dns.servers[{number}]", Mistake(_IPV4, "write an IPv4 address", value=quoted(server))
    for number, service in enumerate(network.services):
        if service and service.address and ":" in service.address and service.address not in WILDCARDS:
            yield f"{here}.services[{number}].address", Mistake(_IPV4, "write an IPv4 address", value=quoted(service.address))
    outside = network.ingress.address if network.ingress else None
    if outside and ":" in outside and outside not in WILDCARDS:
        yield f"{here}.ingress.address", Mistake(_IPV4, "write an IPv4 address", value=quoted(outside))
    for port in network.ports:
        if port.host_ip and ":" in port.host_ip and port.host_ip not in WILDCARDS:
            yield f"{root}{port.path}.hostIP", Mistake(_IPV4, "write an IPv4 address", value=quoted(port.host_ip))


def _within(network: Network, here: str, root: str) -> c.Iterator[Finding]:
    """In a pod, its proxy listens, and the tasks do where the robot's ports lead to."""
    taken: list[tuple[int, str, str, Transport]] = []
    if network.type is NetworkType.ENVOY:
        tcp = Transport.TCP
        taken += [(each.local_port, LOOPBACK, f"{here}.upstreams[{i}].localPort", tcp) for i, each in enumerate(network.upstreams) if each]
        taken += [(each.port, "0.0.0.0", f"{here}.services[{i}].port", tcp) for i, each in enumerate(network.services) if each]
        taken += [(each.port, "0.0.0.0", f"{here}.ingress.port", tcp) for each in (network.ingress,) if each]
    for port in network.ports:
        inside, at = port.to or port.static, f"{root}{port.path}.to" if port.to else f"{root}{port.number_path}"
        for number, address, other, transport in taken if inside else ():
            if inside == number and port.protocol is transport and clash("0.0.0.0", address or ""):
                yield at, Mistake(f"{other} already uses this port in the pod", "choose another port", value=str(inside))
                break
        if inside:
            taken.append((inside, "0.0.0.0", at, port.protocol))
