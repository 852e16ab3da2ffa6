# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What must be true of a container, its task and its group."""

from __future__ import annotations

import collections.abc as c

from ..errors import Finding, Mistake, quoted
from ..model.brings.docker import DockerConfig
from ..model.brings.volumes import Volume
from ..model.group import TaskGroup
from ..model.network import Network
from ..model.task import InitTask, Task
from ..model.vocabulary import ChangeMode, CheckType, DockerNetwork, Driver, Hook, NetworkType, Pull

# Where a container finds what is its task's, and what Docker makes itself.
_TAKEN = ("/local", "/secrets", "/alloc", "/k8s4r", "/proc", "/sys", "/dev")
_NO_WAY = "no engine of containers has an option for it"


def errors(group: TaskGroup, path: str) -> c.Iterator[Finding]:
    """What is wrong with the containers of a group at `path`, whose network is known."""
    for number, init in enumerate(group.init_tasks or ()):
        if init is not None and init.contained:
            why = "init tasks prepare the robot, of which a container sees nothing"
            remedy = "use exec or raw_exec, or make it a task with lifecycle.hook: prestart"
            yield f"{path}.initTasks[{number}].driver", Mistake(why, remedy, value=init.driver.value)
    for number, task in enumerate(group.tasks or ()):
        if task is not None and task.contained and not isinstance(task, InitTask):
            yield from _of_task(task, f"{path}.tasks[{number}]")
            config = task.config.docker_config if task.config else None
            if config is not None:
                at = f"{path}.tasks[{number}].config.dockerConfig"
                yield from _of_config(config, at)
                if task.driver is Driver.PODMAN:
                    yield from _of_podman(config, at)
                    yield from _told_by_podman(task, f"{path}.tasks[{number}]")
                yield from _network(config, at, group.network)


def warnings(task: Task, path: str) -> c.Iterator[Finding]:
    """What does less than it seems to."""
    config = task.config.docker_config if task.config else None
    if config is not None and config.network_mode is DockerNetwork.HOST:
        for number, port in enumerate(config.ports):
            if port and port.to and port.to != port.value:
                what = "in networkMode host nothing is passed on: the program itself must listen on the robot's port, NOMAD_PORT_<label>"
                yield f"{path}.config.dockerConfig.ports[{number}].to", Mistake(what, "write networkMode: bridge", value=str(port.to))


def _of_task(task: Task, path: str) -> c.Iterator[Finding]:
    if task.lifecycle and task.lifecycle.hook is Hook.POSTSTOP:
        why = "it runs when the robot shuts down, too, and then systemd starts no container any more"
        yield f"{path}.driver", Mistake(why, "use exec or raw_exec for a poststop hook", value=task.driver.value)
    for key, value in (("nice", task.resources.nice), ("realtime", task.resources.realtime)):
        if value is not None:
            yield f"{path}.resources.{key}", Mistake(_NO_WAY, "remove it, or use exec")
    yield from _targets(task.volumes, f"{path}.volumes")


def _of_config(config: DockerConfig, path: str) -> c.Iterator[Finding]:
    if config.load and config.pull is Pull.NEVER:
        yield f"{path}.load", Mistake("with pull: never, the robot has the image already", "remove one of them")
    if config.load and config.auth:
        yield f"{path}.auth", Mistake("an image from a file needs no registry", "remove auth or load")
    yield from _targets(config.volumes, f"{path}.volumes")


def _of_podman(config: DockerConfig, path: str) -> c.Iterator[Finding]:
    if config.gpus:
        yield f"{path}.gpus", Mistake("podman is given none", "use docker")


def _told_by_podman(task: Task, path: str) -> c.Iterator[Finding]:
    for number, service in enumerate(task.services or ()):
        for place, check in enumerate(service.checks if service else ()):
            if check and check.type is CheckType.SCRIPT:
                why = "scripts do not run inside of Podman's containers yet"
                remedy = "write a check of type http, tcp or grpc, or use docker"
                yield f"{path}.services[{number}].checks[{place}].type", Mistake(why, remedy, value="script")
    for number, template in enumerate(task.templates or ()):
        if template and template.change_mode in (ChangeMode.SIGNAL, ChangeMode.SCRIPT):
            why = "nothing in a container of Podman's is told of a change yet"
            remedy = "write restart, or noop for a program that looks for itself; or use docker"
            yield f"{path}.templates[{number}].changeMode", Mistake(why, remedy, value=template.change_mode.value)


def _targets(volumes: c.Iterable[Volume], path: str) -> c.Iterator[Finding]:
    for number, volume in enumerate(volumes):
        taken = next((place for place in _TAKEN if volume and f"{volume.target}/".startswith(f"{place}/")), "")
        if taken or (volume and volume.target == "/"):
            why = f"{taken} is the container's own" if taken else "the image would be hidden"
            yield f"{path}[{number}].target", Mistake(why, "name another place", value=quoted(volume.target))


def _network(config: DockerConfig, path: str, network: Network | None) -> c.Iterator[Finding]:
    mode = config.network_mode
    if mode is None or mode is DockerNetwork.HOST:
        return
    if mode is DockerNetwork.NONE and config.ports:
        yield f"{path}.ports", Mistake("a container without a network has no ports", "remove them, or write networkMode: bridge")
    if network and network.enabled and network.type is NetworkType.ENVOY and network.upstreams:
        why = "the group's upstreams are at the robot's 127.0.0.1, which such a container does not reach"
        yield f"{path}.networkMode", Mistake(why, "write host, or move the upstreams to a group of their own", value=mode.value)
