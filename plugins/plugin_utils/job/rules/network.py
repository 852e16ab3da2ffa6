# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What must be true between the keys of a group's network."""

from __future__ import annotations

import collections.abc as c
import dataclasses
import typing as t

from ..addresses import ALWAYS_THERE, LOOPBACK, LOOPBACK_HOSTS, WILDCARDS, clash, plain
from ..errors import Finding, Mistake, quoted
from ..model.group import TaskGroup
from ..model.job import Job
from ..model.network import InboundService, Network, Spiffe, Tls, Upstream
from ..model.ports import Port
from ..model.vocabulary import AccessLog, NetworkMode, NetworkType, Protocol, TlsMode
from ..variables import is_database
from . import names
from .outside import ingress


class Lifted(t.NamedTuple):
    """A group with the network that its tasks declare. ``origin``: the path of the task that the network came from."""

    group: TaskGroup
    origin: str | None
    mistakes: list[Finding]


def lifted(group: TaskGroup, path: str) -> Lifted:
    """A group has one network, which a task may declare. `enabled: false` is as if it were not written."""
    network, owner, origin = _enabled(group.network), "the group", None
    mistakes: list[Finding] = []
    changed: dict[str, t.Any] = {}
    for attribute, key, tasks in (("init_tasks", "initTasks", group.init_tasks), ("tasks", "tasks", group.tasks)):
        for number, task in enumerate(tasks):
            own = _enabled(task.network) if task else None
            here = f"{path}.{key}[{number}]"
            if own is None:
                continue
            if network is None:
                network, owner, origin = own, here, here
            elif own != network:
                mistake = Mistake(f"differs from the network of {owner}", "a group has one network: write it once, on the group")
                mistakes.append((f"{here}.network", mistake))
        if any(task and task.network for task in tasks):
            changed[attribute] = tuple(dataclasses.replace(task, network=None) if task else task for task in tasks)
    if changed or network is not group.network:
        group = dataclasses.replace(group, network=network, **changed)
    return Lifted(group, origin, mistakes)


def _enabled(network: Network | None) -> Network | None:
    return network if network and network.enabled else None


def errors(job: Job, network: Network, path: str, wrong: c.Container[str] = ()) -> c.Iterator[Finding]:
    """What is wrong with a group's network, at `path`. ``wrong``: paths that have an error already."""
    yield from names.unique(network.upstreams, f"{path}.upstreams")
    yield from names.unique(network.services, f"{path}.services")
    upstreams = [(f"{path}.upstreams[{i}]", each) for i, each in enumerate(network.upstreams) if each]
    services = [(f"{path}.services[{i}]", each) for i, each in enumerate(network.services) if each]
    if network.type is NetworkType.NONE:
        if services:
            remedy = "write type: envoy, or remove the services"
            yield f"{path}.services", Mistake("need a proxy, but the network's type is none", remedy)
        if network.ingress:
            remedy = "write type: envoy, or remove the ingress"
            yield f"{path}.ingress", Mistake("needs a proxy, but the network's type is none", remedy)
        return
    yield from _ports(upstreams, services, network, f"{path}.ingress")
    yield from names.upstreams(upstreams)
    for here, upstream in upstreams:
        yield from _where(upstream, here, wrong)
        if upstream.tls and upstream.tls.mode is TlsMode.NONE and upstream.tls.spiffe_id:
            yield f"{here}.tls.spiffeId", Mistake("applies only to mode spiffe", "remove it, or write mode: spiffe")
    for here, service in services:
        yield from _service(job, service, here)
    if network.ingress:
        yield from ingress.errors(network.ingress, f"{path}.ingress", wrong)


def warnings(network: Network, path: str) -> c.Iterator[Finding]:
    """What is read of a group's network, at `path`, but does less than it seems to."""
    if network.type is NetworkType.NONE and any(network.upstreams):
        yield f"{path}.upstreams", Mistake("are not reached through a proxy: the network's type is none")
    for number, upstream in enumerate(network.upstreams):
        if upstream:
            yield from _database(upstream, f"{path}.upstreams[{number}]")
    yield from _open_beside(network, path)
    for key, given in (("accessLog", network.access_log is not AccessLog.CONNECTIONS), ("spiffe", network.spiffe != Spiffe())):
        if given and network.type is NetworkType.NONE:
            yield f"{path}.{key}", Mistake("has no effect, because the network's type is none")


def _open_beside(network: Network, path: str) -> c.Iterator[Finding]:
    """A port that a service protects, and that others reach past the proxy."""
    pods = network.mode is NetworkMode.GROUP
    for service in network.services if network.type is not NetworkType.NONE else ():
        for number, port in enumerate(network.ports):
            if (
                not (service and service.to and port and port.label and _leads_to(service, port, pods))
                or plain(port.host_ip or "") in LOOPBACK_HOSTS
            ):
                continue
            why = f"is open to everybody, without mTLS, beside the service {service.name}, which leads to it"
            away = "write the number at which the program listens, to: 127.0.0.1:<number>, in that service, and remove this port"
            alone = "remove this port" if service.to != port.label else away
            remedy = alone if pods else "write hostIP: 127.0.0.1, so that only the proxy and this robot reach it"
            yield f"{path}.ports[{number}]", Mistake(why, remedy)


def _leads_to(service: InboundService, port: Port, pods: bool) -> bool:
    """Whether a service passes connections on to the program that listens on a port."""
    host, _colon, number = service.to.rpartition(":")
    listens = port.to if pods and port.to else port.static
    return service.to == port.label or (number == str(listens) and plain(host) in (*LOOPBACK_HOSTS, *WILDCARDS))


def _where(upstream: Upstream, path: str, wrong: c.Container[str]) -> c.Iterator[Finding]:
    """An upstream says in one way where it is."""
    keys = ("upstream", "service", "consul")
    first, *more = [key for key in keys if getattr(upstream, key)] or [""]
    for key in more:
        yield f"{path}.{key}", Mistake("the upstream says where it is already", f"remove `{first}` or `{key}`")
    if not (first or any(f"{path}.{key}" in wrong for key in keys)):
        yield path, Mistake("does not say where it is", "write upstream: host:port, service: job/group/name or consul: name")
    elif upstream.consul and upstream.tls and upstream.tls.mode is TlsMode.SPIFFE and not upstream.tls.spiffe_id and not more:
        reason = "Consul does not say which identity to expect there"
        yield f"{path}.tls", Mistake(reason, "write tls: {mode: spiffe, spiffeId: <its SPIFFE ID>}, or tls: false for plaintext")
    elif upstream.service and upstream.tls not in (None, Tls()):
        reason = "has no meaning beside `service`, which is always called over mTLS as the group that it names"
        yield f"{path}.tls", Mistake(reason, "remove it")


def _database(upstream: Upstream, path: str) -> c.Iterator[Finding]:
    """DATABASE_URL alone has a scheme and the name of a database."""
    if not upstream.name or is_database(upstream):
        return
    named = upstream.protocol is not Protocol.TCP and is_database(dataclasses.replace(upstream, protocol=Protocol.TCP))
    remedy = f"remove it, or {'write protocol: tcp' if named else 'rename the upstream'}"
    for key in ("database", "scheme"):
        if getattr(upstream, key) not in (None, Upstream.__dataclass_fields__[key].default):
            why = "has no effect, because only a tcp upstream whose name contains database or db gives DATABASE_URL"
            yield f"{path}.{key}", Mistake(why, remedy)


def _ports(
    upstreams: list[tuple[str, Upstream]], services: list[tuple[str, InboundService]], network: Network, at: str
) -> c.Iterator[Finding]:
    """Listeners of one proxy do not meet; a wildcard address meets every other, and in a pod each has one."""
    taken: list[tuple[int, str, str]] = []
    outside, pods = network.ingress, network.mode is NetworkMode.GROUP
    listeners = [(f"{path}.localPort", each.local_port, LOOPBACK) for path, each in upstreams]
    listeners += [(f"{path}.port", each.port, "::" if pods else each.address) for path, each in services]
    listeners += [(f"{at}.port", outside.port, "::" if pods else outside.address)] if outside else []
    for path, port, address in listeners:
        if port is None or address is None:
            continue
        for other_port, other_address, other in taken:
            if port == other_port and clash(address, other_address):
                yield path, Mistake(f"{other} already uses this port", "choose another port", value=str(port))
                break
        taken.append((port, address, path))


def _service(job: Job, service: InboundService, path: str) -> c.Iterator[Finding]:
    usual = plain(service.address or "")
    if service.address and usual != service.address:
        reason, remedy = "not the usual spelling of this address", "write it in its shortest form"
        yield f"{path}.address", Mistake(reason, remedy, value=quoted(service.address), value_remedy=f"write {usual}")
    host, _colon, port = (service.to or "").rpartition(":")
    own = (*LOOPBACK_HOSTS, *WILDCARDS) if service.address in ALWAYS_THERE else (service.address,)
    if port == str(service.port) and plain(host) in own:
        remedy = "choose another port, or set address to one of the robot's own addresses"
        yield f"{path}.to", Mistake("the service itself listens there", remedy, value=quoted(service.to))
    groups = [group.name for group in job.task_groups if group and group.name]
    for number, allowed in enumerate(service.allow):
        if allowed is None or allowed.group is None or allowed.group in groups:
            continue
        if allowed.job in (None, job.name) and allowed.namespace in (None, job.namespace):
            yield f"{path}.allow[{number}].group", names.not_of_this_job(job, allowed.group, f"{path}.allow[{number}]")
