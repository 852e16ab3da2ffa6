# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What must be true of a container, its task and its group."""

from __future__ import annotations

import collections.abc as c

from ..declare.quantities import spelled
from ..errors import Finding, Mistake, quoted
from ..model.brings.docker import DockerConfig
from ..model.brings.volumes import Volume
from ..model.group import TaskGroup
from ..model.network import Network
from ..model.resources import Resources
from ..model.task import InitTask, Task
from ..model.vocabulary import DockerNetwork, Driver, Hook, NetworkType, Pull

# Where a container finds what is its task's, and what Docker makes itself.
_TAKEN = ("/local", "/secrets", "/alloc", "/k8s4r", "/proc", "/sys", "/dev")
_NO_WAY = "no engine of containers has an option for it"
# What starts a container, runc, is within the container's own limits until the program takes its place. It has had seven threads there,
# and ends with a dump of its registers where it may not have one more. Docker takes no lower limit of memory.
_LEAST_TASKS, _LEAST_MEMORY = 10, 6 * 2**20


def errors(group: TaskGroup, path: str) -> c.Iterator[Finding]:
    """What is wrong with the containers of a group at `path`, whose network is known."""
    members: tuple[tuple[str, tuple[Task | None, ...]], ...] = (("initTasks", group.init_tasks or ()), ("tasks", group.tasks or ()))
    if group.resources and any(task is not None and task.contained for _key, tasks in members for task in tasks):
        yield from _room(group.resources, f"{path}.resources")
    for key, tasks in members:
        for number, task in enumerate(tasks):
            if task is not None and task.contained:
                yield from _of_task(task, f"{path}.{key}[{number}]")
                config = task.config.docker_config if task.config else None
                if config is not None:
                    at = f"{path}.{key}[{number}].config.dockerConfig"
                    yield from _of_config(config, at)
                    if task.driver is Driver.PODMAN:
                        yield from _of_podman(config, at)
                    if group.are_pods and not isinstance(task, InitTask):
                        yield from _in_pod(config, at, group.network)
                    else:
                        yield from _network(config, at, group.network)
                    yield from _addresses(config, f"{at}.ports", group.network)


def warnings(group: TaskGroup, task: Task, path: str) -> c.Iterator[Finding]:
    """What does less than it seems to."""
    config = task.config.docker_config if task.config else None
    if config is not None and config.network_mode is DockerNetwork.HOST and not group.are_pods:
        for number, port in enumerate(config.ports):
            if port and port.to and port.to != port.value:
                what = "in networkMode host nothing is passed on: the program itself must listen on the robot's port, NOMAD_PORT_<label>"
                yield f"{path}.config.dockerConfig.ports[{number}].to", Mistake(what, "write networkMode: bridge", value=str(port.to))


def _of_task(task: Task, path: str) -> c.Iterator[Finding]:
    if isinstance(task, InitTask):
        yield from _of_init(task, path)
    if task.driver is Driver.DOCKER and task.lifecycle and task.lifecycle.hook is Hook.POSTSTOP:
        limits = {"memoryHigh": task.resources.memory_high, "iops": task.resources.iops, "ioWeight": task.resources.io_weight}
        for key, limit in limits.items():
            if limit is not None:
                why = "the container of a poststop hook is not in its group's slice, which is being stopped, and Docker has no such option"
                yield f"{path}.resources.{key}", Mistake(why, "remove it, or use exec")
    for key, value in (("nice", task.resources.nice), ("realtime", task.resources.realtime)):
        if value is not None:
            yield f"{path}.resources.{key}", Mistake(_NO_WAY, "remove it, or use exec")
    yield from _room(task.resources, f"{path}.resources")
    yield from _targets(task.volumes, f"{path}.volumes")


def _room(resources: Resources, path: str) -> c.Iterator[Finding]:
    """Limits in which no container could start."""
    if resources.tasks is not None and resources.tasks < _LEAST_TASKS:
        why = "what starts the container needs some of these for its own threads"
        yield f"{path}.tasks", Mistake(why, f"write {_LEAST_TASKS} or more", value=str(resources.tasks))
    if resources.memory is not None and resources.memory < _LEAST_MEMORY:
        why = "no container starts with so little memory"
        yield f"{path}.memory", Mistake(why, f"write {spelled(_LEAST_MEMORY)} or more", value=spelled(resources.memory))


def _of_init(init: InitTask, path: str) -> c.Iterator[Finding]:
    if init.readiness and init.readiness.notify:
        yield f"{path}.readiness.notify", Mistake("a program in a container does not reach systemd", "write port, file or command")
    if init.config and init.config.docker_config and init.config.docker_config.ports:
        why = "ports are those of an instance, and an init task belongs to none"
        yield f"{path}.config.dockerConfig.ports", Mistake(why, "remove them, or make it a task with lifecycle.hook: prestart")


def _of_config(config: DockerConfig, path: str) -> c.Iterator[Finding]:
    if config.load and config.pull is Pull.NEVER:
        yield f"{path}.load", Mistake("with pull: never, the robot has the image already", "remove one of them")
    if config.load and config.auth:
        yield f"{path}.auth", Mistake("an image from a file needs no registry", "remove auth or load")
    yield from _targets(config.volumes, f"{path}.volumes")


def _of_podman(config: DockerConfig, path: str) -> c.Iterator[Finding]:
    if config.gpus:
        yield f"{path}.gpus", Mistake("podman is given none", "use docker")


def _targets(volumes: c.Iterable[Volume], path: str) -> c.Iterator[Finding]:
    for number, volume in enumerate(volumes):
        taken = next((place for place in _TAKEN if volume and f"{volume.target}/".startswith(f"{place}/")), "")
        if taken or (volume and volume.target == "/"):
            why = f"{taken} is the container's own" if taken else "the image would be hidden"
            yield f"{path}[{number}].target", Mistake(why, "name another place", value=quoted(volume.target))


def _addresses(config: DockerConfig, path: str, network: Network | None) -> c.Iterator[Finding]:
    """The robot's address belongs where the robot's port is written."""
    written = {port.label: port.path for port in network.ports} if network else {}
    for number, port in enumerate(config.ports):
        place = written.get(port.label, "") if port and port.host_ip else ""
        if place and not f"{path}[{number}]".endswith(place):
            why = f"the port is written elsewhere, at {place}"
            yield f"{path}[{number}].hostIP", Mistake(why, "write hostIP there", value=quoted(port.host_ip or ""))


def _network(config: DockerConfig, path: str, network: Network | None) -> c.Iterator[Finding]:
    mode = config.network_mode
    if mode is None or mode is DockerNetwork.HOST:
        return
    if mode is DockerNetwork.NONE and config.ports:
        yield f"{path}.ports", Mistake("a container without a network has no ports", "remove them, or write networkMode: bridge")
    if network and network.enabled and network.type is NetworkType.ENVOY and network.upstreams:
        why = "the group's upstreams are at the robot's 127.0.0.1, which such a container does not reach"
        yield f"{path}.networkMode", Mistake(why, "write host, or move the upstreams to a group of their own", value=mode.value)


def _in_pod(config: DockerConfig, path: str, network: Network | None) -> c.Iterator[Finding]:
    """It has the network, the host name and the memory of its pod, and the robot's ports lead there."""
    mode = config.network_mode
    if mode not in (None, DockerNetwork.HOST):
        yield f"{path}.networkMode", Mistake("in a pod, a container has the pod's network", "remove it", value=mode.value)
    if config.shm_size is not None:
        why = "in a pod, /dev/shm is the pod's, as large as half of the robot's memory"
        yield f"{path}.shmSize", Mistake(why, "remove it, and set resources.memory")
    known = {port.label: port for port in network.ports} if network else {}
    for number, port in enumerate(config.ports):
        named = known.get(port.label) if port else None
        if port and port.to and named and port.to != (named.to or named.static):
            why = f"in a pod, a port leads to the same place for all tasks, which is written at {named.path}"
            yield f"{path}.ports[{number}].to", Mistake(why, "remove it, or write `to` there", value=str(port.to))
