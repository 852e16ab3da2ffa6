# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ports of a group's tasks, wherever they are written, and what must be true of them."""

from __future__ import annotations

import collections.abc as c
import dataclasses
import re

from ..addresses import LOOPBACK, clash, plain
from ..errors import Finding, Mistake, did_you_mean, quoted
from ..model.group import TaskGroup
from ..model.network import Network
from ..model.ports import Port
from ..model.resources import Resources
from ..model.task import Task
from ..model.vocabulary import PORT, NetworkMode, NetworkType, Transport
from ..variables import variable
from .names import RENAME


def lifted(group: TaskGroup, path: str) -> TaskGroup:
    """A group with all its ports in its network, each with the path where it is written. ``path``: the group's, below the job's root."""
    ports = [*_of_network(group.network, f"{path}.network"), *_of_resources(group.resources, f"{path}.resources")]
    for key, tasks in (("initTasks", group.init_tasks), ("tasks", group.tasks)):
        for number, task in enumerate(tasks or ()):
            ports += _of_resources(task.resources if task else None, f"{path}.{key}[{number}].resources")
    known = {port.label for port in ports}
    for number, task in enumerate(group.tasks or ()):
        ports += _of_container(task, f"{path}.tasks[{number}].config.dockerConfig.ports", known)
    if not (ports or (group.network and group.network.ports)):
        return group
    return dataclasses.replace(group, network=dataclasses.replace(group.network or Network(type=NetworkType.NONE), ports=tuple(ports)))


def declared(group: TaskGroup, path: str) -> list[str]:
    """Where a group at `path` may declare its ports: one that could not be read is none, and its label is not known."""
    members = [(f"{path}.{key}", tasks) for key, tasks in (("initTasks", group.init_tasks), ("tasks", group.tasks))]
    tasks = [f"{where}[{number}]" for where, them in members for number, _task in enumerate(them or ())]
    of_tasks = [f"{task}.{key}" for task in tasks for key in ("resources.networks", "config.dockerConfig.ports")]
    return [f"{path}.network.ports", f"{path}.resources.networks", *of_tasks]


def _of_network(network: Network | None, path: str) -> c.Iterator[Port]:
    for number, port in enumerate(network.ports if network else ()):
        if port and port.label:
            here = f"{path}.ports[{number}]"
            yield dataclasses.replace(port, path=here, number_path=f"{here}.static" if port.static else here)


def _of_resources(resources: Resources | None, path: str) -> c.Iterator[Port]:
    """The ports that k8s4r has on tasks."""
    for number, network in enumerate(resources.networks if resources else ()):
        for index, reserved in enumerate(network.reserved_ports if network else ()):
            if reserved and reserved.label and reserved.value:
                here = f"{path}.networks[{number}].reservedPorts[{index}]"
                yield Port(label=reserved.label, static=reserved.value, path=here, number_path=f"{here}.value")
        for index, dynamic in enumerate(network.dynamic_ports if network else ()):
            if dynamic and dynamic.label:
                here = f"{path}.networks[{number}].dynamicPorts[{index}]"
                yield Port(label=dynamic.label, to=dynamic.to, path=here, number_path=here)


def _of_container(task: Task | None, path: str, known: c.Container[str]) -> c.Iterator[Port]:
    """The ports that are written in a container alone."""
    config = task.config.docker_config if task and task.config else None
    for number, port in enumerate(config.ports if config else ()):
        if port and port.label and (port.value or port.label not in known):
            here = f"{path}[{number}]"
            at = f"{here}.value" if port.value else here
            yield Port(label=port.label, static=port.value, to=port.to, host_ip=port.host_ip, path=here, number_path=at)


def errors(group: TaskGroup, network: Network, path: str, root: str) -> c.Iterator[Finding]:
    """What is wrong with the ports of a group's network, at `path`, and with what refers to them. ``root``: what precedes their paths."""
    yield from _labels(network.ports, root)
    yield from _numbers(network, path, root)
    for port in network.ports:
        usual = plain(port.host_ip or "")
        if port.host_ip and usual != port.host_ip:
            reason, remedy = "not the usual spelling of this address", "write it in its shortest form"
            at = f"{root}{port.path}.hostIP"
            yield at, Mistake(reason, remedy, value=quoted(port.host_ip), value_remedy=f"write {usual}")
    known, there = {port.label: port for port in network.ports}, declared(group, path.removesuffix(".network"))
    for number, service in enumerate(network.services):
        if service is None or service.to is None or ":" in service.to:
            continue
        named = known.get(service.to)
        if named is None:
            meant = did_you_mean(service.to, known)
            remedy = "write host:port, or the label of a port in network.ports"
            why = "no port of the group has this label"
            mistake = Mistake(why, remedy, value=quoted(service.to), value_remedy=meant, rests_on=there)
            yield f"{path}.services[{number}].to", mistake
        elif named.protocol is Transport.UDP:
            yield f"{path}.services[{number}].to", Mistake("this is a UDP port", "name a TCP port", value=quoted(service.to))


def _labels(ports: c.Iterable[Port], root: str) -> c.Iterator[Finding]:
    """Labels are unique, and so are the variables that they give."""
    first: dict[str, Port] = {}
    for port in ports:
        if re.fullmatch(PORT, port.label):
            why = "is a number, and where a label may stand it is taken for that port"
            yield f"{root}{port.path}.label", Mistake(why, "name what listens there", value=quoted(port.label))
        other = first.setdefault(variable(port.label), port)
        if other is not port:
            same = f"already the label of {root}{other.path}"
            why = same if other.label == port.label else f"sets the variable NOMAD_PORT_{variable(port.label)}, as {root}{other.path} does"
            yield f"{root}{port.path}.label", Mistake(why, RENAME, value=quoted(port.label))


def _numbers(network: Network, path: str, root: str) -> c.Iterator[Finding]:
    """Static ports meet neither one another nor the listeners of the group's proxy."""
    taken: list[tuple[int, str, str, Transport]] = []
    if network.type is NetworkType.ENVOY:
        tcp = Transport.TCP
        # Those of a pod are its own.
        upstreams = network.upstreams if network.mode is NetworkMode.HOST else ()
        taken += [(each.local_port, LOOPBACK, f"{path}.upstreams[{i}].localPort", tcp) for i, each in enumerate(upstreams) if each]
        taken += [(each.port, each.address, f"{path}.services[{i}].port", tcp) for i, each in enumerate(network.services) if each]
        taken += [(each.port, each.address, f"{path}.ingress.port", tcp) for each in (network.ingress,) if each]
    for port in network.ports:
        address, at = port.host_ip or "::", f"{root}{port.number_path}"
        for number, other_address, other, transport in taken:
            if number and port.static == number and port.protocol is transport and clash(address, other_address or ""):
                yield at, Mistake(f"{other} already uses this port", "choose another port", value=str(number))
                break
        if port.static:
            taken.append((port.static, address, at, port.protocol))
