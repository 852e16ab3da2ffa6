# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pods: their addresses, and the file of each, from which the robot brings its network up (`_engine/pods/files.py`).

An address is chosen as a port is (`choice.py`): it depends on nothing but the instance and the robot, unless the robot has another one
for the pod. Among what the robot has named, an address is a number, under the instance alone: `r0`.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import typing as t

from ....module_utils._engine import plan
from ...job.errors import Problem
from ...job.model.resources import Resources
from .. import names
from ..site.placed import Pod
from ..site.site import Site
from ..systemd import Directives
from . import hosts, ports
from .choice import Held

if t.TYPE_CHECKING:
    from ....module_utils._engine.plan import Expected, Need, Resource


class Chosen(t.NamedTuple):
    """The pods of every group that has any, by its id, and errors."""

    pods: t.Mapping[str, tuple[Pod, ...]]
    errors: t.Sequence[Problem]


def choose(sites: t.Sequence[Site], held: Held) -> Chosen:
    """All pods of the groups on a robot. `held` are addresses that the robot has named, or has already."""
    wanted = [(site, instance, held.get(site.id, {}).get(f"r{instance}")) for site in sites if site.are_pods for instance in site.instances]
    taken: set[int] = set()
    found: dict[str, list[Pod]] = {}
    errors = []
    # What the robot has already gives way to nothing that is new.
    for site, instance, has in sorted(wanted, key=lambda each: each[2] is None):
        number = _free(site, instance, has, taken)
        if number is None:
            errors.append(site.problem(f"{site.path}.network.mode", f"{site.robot.called} has no address left in {site.robot.pods}"))
            continue
        taken.add(number)
        found.setdefault(site.id, []).append(_pod(site, instance, str(ipaddress.IPv4Address(number))))
    return Chosen({id: tuple(sorted(pods)) for id, pods in found.items()}, errors)


def _free(site: Site, instance: int, held: int | None, taken: t.Container[int]) -> int | None:
    """The first address from the pod's own one on that is not taken. The network's first is the robot's, its last is for all."""
    network = ipaddress.IPv4Network(site.robot.pods)
    first, count = int(network.network_address) + 2, network.num_addresses - 3
    name = json.dumps(["pod", *site.names, instance, site.robot.name])
    own = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
    begin = held - first if held is not None and 0 <= held - first < count else own
    numbers = (first + (begin + offset) % count for offset in range(count))
    return next((number for number in numbers if number not in taken), None)


def _pod(site: Site, instance: int, address: str) -> Pod:
    name = names.pod_name(*site.names, instance)
    host = site.group.network.hostname if site.group.network else None
    return Pod(instance, names.pod_id(site.id, instance), name, address, host or name, _six(site, address))


def _six(site: Site, address: str) -> str:
    """Of IPv6: that of IPv4 in the last 32 bits, so that it is no other pod's either (`_engine/pods/six/family.py`)."""
    if not site.robot.pods6:
        return ""
    first = ipaddress.IPv6Network(site.robot.pods6).network_address
    return str(ipaddress.IPv6Address(int(first) | int(ipaddress.IPv4Address(address))))


def directives(pod: Pod | None) -> Directives:
    """Of [Service], for what runs in a pod: its network, and the names that it knows."""
    if pod is None:
        return []
    binds = " ".join(f"{source}:{target}" for source, target in names_of(pod))
    return [("NetworkNamespacePath", pod.network), ("BindReadOnlyPaths", binds)]


def names_of(pod: Pod) -> list[tuple[str, str]]:
    """The files with the names that all in a pod know, and what they are there."""
    return [(f"{plan.POD_STATES}/{pod.id}/{name}", f"/etc/{name}") for name in ("hosts", "resolv.conf")]


def file(
    site: Site,
    pod: Pod,
    elsewhere: t.Mapping[str, t.Mapping[str, t.Sequence[str]]],
    named: t.Mapping[str, t.Mapping[str, t.Sequence[str]]],
) -> Resource:
    """What the robot knows of a pod. `elsewhere`: who may come from other robots, by the file's own keys. `named`: which pods there have
    names here.
    """
    network = site.group.network
    if network is None:
        raise ValueError("a pod has a network")
    job = site.job
    content = {
        "version": plan.KEPT_VERSION,
        "name": pod.name,
        "group": "/".join(site.names),
        "address": pod.address,
        "range": site.robot.pods,
        "reach": sorted({f"{each.namespace or job.namespace}/{each.job or job.name}/{each.group}" for each in network.reach}),
        "ports": _published(site, pod),
        "hosts": hosts.known(site, pod),
        "dns": {
            "servers": list(network.dns.servers),
            "searches": list(network.dns.searches),
            **({"domain": site.robot.dns, "loopback": site.robot.dns_loopback} if site.robot.dns else {}),
            **({"pods": named} if named else {}),
        },
        **elsewhere,
        **({"mbits": limit[1]} if (limit := bandwidth(site)) else {}),
        **({"address6": pod.address6, "range6": site.robot.pods6} if pod.address6 else {}),
    }
    return plan.file(pod.file, json.dumps(content, sort_keys=True, indent=1) + "\n", label=f"network of r{pod.instance}")


def bandwidth(site: Site) -> tuple[str, int] | None:
    """How many Mbit/s a pod may send, and receive: what the group says, or else all its tasks together; with its place in the job file."""
    group = site.group
    limits = list(_limits(f"{site.path}.resources", group.resources)) if group.resources else []
    if not limits:
        of_tasks = (_limits(f"{site.path}.tasks[{number}].resources", task.resources) for number, task in enumerate(group.tasks))
        limits = [each for found in of_tasks for each in found]
    return (limits[0][0], min(sum(mbits for _path, mbits in limits), plan.FASTEST)) if limits else None


def _limits(path: str, resources: Resources) -> t.Iterator[tuple[str, int]]:
    for number, network in enumerate(resources.networks):
        if network.mbits:
            yield f"{path}.networks[{number}].mbits", network.mbits


def _published(site: Site, pod: Pod) -> list[dict[str, t.Any]]:
    """The tasks' ports, and those of inbound services, which are the same in the pod."""
    found = []
    for each in site.ports:
        if each.instance == pod.instance:
            listener = ports.of_task(site, each.spec, each.number)
            found.append((listener.address, listener.port, each.inside, listener.transport.value))
    found += [(listener.address, listener.port, listener.port, "tcp") for listener in ports.listeners(site)]
    return [{"address": address, "port": port, "to": to, "protocol": protocol} for address, port, to, protocol in sorted(found)]


def expected(site: Site) -> list[Expected]:
    """The robot's kernel can do it, and what limits it."""
    if not site.are_pods:
        return []
    limit = bandwidth(site)
    more = [plan.expected("pods", "bandwidth", site.where(limit[0]))] if limit else []
    return [plan.expected("pods", "ipv6" if site.robot.pods6 else "", site.where(f"{site.path}.network.mode")), *more]


def needs(site: Site) -> list[Need]:
    """What the walls between pods are made with."""
    return [plan.need(path, "nftables") for path in ("/usr/sbin/nft", "/sbin/tc")] if site.are_pods else []
