# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the engine of Docker is told of a task's container: a file that the unit's program reads, and the image.

The container is in a slice of the task's own, below its group's. So its limits are systemd's, as those of other tasks are, and its
processes can be counted and ended without Docker. The engine of the robot gives the image a name of ours when it is there: a tag that
somebody moves changes nothing for the task.
"""

from __future__ import annotations

import hashlib
import json
import typing as t

from ....module_utils._engine import plan
from ...job.errors import Problem
from ...job.model.brings.docker import DockerConfig
from ...job.model.task import Task
from ...job.model.vocabulary import DockerNetwork
from .. import names
from ..site import PlacedTask, Site
from .environment import Environment
from .substitution import each_of, substituted, words

if t.TYPE_CHECKING:
    from ....module_utils._engine.plan import Expected, Resource

# Where a task finds its directories, as Nomad's driver has it.
LOCAL, SECRETS, ALLOC = "/local", "/secrets", "/alloc"


class Container(t.NamedTuple):
    """`resources` are the image and the file that describes the container."""

    resources: tuple[Resource, ...]
    expects: tuple[Expected, ...]
    errors: tuple[Problem, ...]


def slice_of(site: Site, task: PlacedTask[Task]) -> str:
    return names.task_slice(site.id, task.id)


def description(task: PlacedTask[Task]) -> str:
    """The file that describes the container."""
    return f"{task.environment_file[: -len('.env')]}.json"


def runtime(task: PlacedTask[Task]) -> str:
    """What root keeps of it as long as it runs, without `/run/`."""
    return f"{plan.RUNTIME.removeprefix('/run/')}/containers/{task.id}"


def image(site: Site, reference: str, config: DockerConfig, shell: bool) -> str:
    """Our name for an image of the group. Tasks that want the same of it have it together."""
    auth = str(config.auth.username) if config.auth else ""
    wanted = json.dumps([reference, config.pull.value, config.load, auth, shell, bool(config.gpus)])
    return f"{plan.IMAGES}/{site.id}:{hashlib.sha256(wanted.encode()).hexdigest()[:12]}"


def container(site: Site, task: PlacedTask[Task], environment: Environment) -> Container:
    config, where = task.spec.config.docker_config, f"{task.path}.config.dockerConfig"
    if config is None:
        # The job's rules have refused it.
        return Container((), (), ())
    reference, wrong = substituted(site, config.image, f"{where}.image", environment.variables)
    errors = list(wrong)
    hidden = sorted(_all_that_is_written(task, environment) if site.job.opaque else environment.hidden)
    program, more = _program(site, where, config, environment)
    errors += more
    name, published = image(site, reference, config, bool(hidden)), _published(site, task, config)
    described = {
        "name": f"k8s4r-{task.id}",
        "slice": f"/{plan.ROOT_SLICE}/{site.slice}/{slice_of(site, task)}",
        "environment": task.environment_file,
        "hidden": hidden,
        "secrets": f"{plan.RUNTIME}/secrets/{task.id}",
        "runtime": f"/run/{runtime(task)}",
        "user": task.spec.user or "",
        "groups": [site.user, *task.spec.groups],
        "devices": [device.path for device in task.spec.devices],
        "body": {
            "Image": name,
            **program,
            "Labels": {"k8s4r.task": task.id, "k8s4r.image": reference},
            "ExposedPorts": {inner: {} for inner in published},
            "HostConfig": {**_host(site, task, config), "PortBindings": published},
        },
    }
    auth = config.auth
    made = plan.image(
        name,
        reference,
        config.pull.value,
        site.where(f"{where}.image"),
        load=config.load or "",
        auth={"username": str(auth.username), "password": str(auth.password)} if auth else None,
        shell=bool(hidden),
        gpus=bool(config.gpus),
    )
    content = json.dumps(described, sort_keys=True, separators=(",", ":")) + "\n"
    file = plan.file(description(task), content, mode="0600")
    return Container((made, file), tuple(_expected(site, config, where)), tuple(errors))


def _all_that_is_written(task: PlacedTask[Task], environment: Environment) -> set[str]:
    """The variables whose values come from a job file whose values all count as secret."""
    return {name for name in environment.variables if name in task.spec.env or name.startswith("NOMAD_META_")}


def _program(site: Site, where: str, config: DockerConfig, environment: Environment) -> tuple[dict[str, list[str] | str], list[Problem]]:
    """What runs in the container; without a key it is what the image has."""
    entry = each_of(f"{where}.entrypoint", config.entrypoint)
    command = {f"{where}.command": config.command} if config.command is not None else {}
    command |= each_of(f"{where}.args", config.args)
    found: dict[str, list[str] | str] = {}
    errors: list[Problem] = []
    for key, written in (("Entrypoint", entry), ("Cmd", command)):
        if written:
            found[key], wrong = words(site, written, environment.variables)
            errors += wrong
    if config.work_dir:
        found["WorkingDir"] = config.work_dir
    return found, errors


def _host(site: Site, task: PlacedTask[Task], config: DockerConfig) -> dict[str, t.Any]:
    resources = task.spec.resources
    own = ((f"{task.directory}/local", LOCAL), (f"{plan.RUNTIME}/secrets/{task.id}", SECRETS), (site.alloc, ALLOC))
    mounts = [_bind(source, target, False) for source, target in own]
    mounts += [_bind(each.source, each.target, each.read_only) for each in (*task.spec.volumes, *config.volumes)]
    cpus = resources.cpus or (site.group.resources.cpus if site.group.resources else None)
    limits = {"nofile": resources.open_files, "memlock": resources.locked_memory}
    found: dict[str, t.Any] = {
        "AutoRemove": True,
        "LogConfig": {"Type": "none"},
        "Mounts": mounts,
        "NetworkMode": config.network_mode.value,
        "RestartPolicy": {"Name": "no"},
        "Ulimits": [{"Name": name, "Soft": int(most), "Hard": int(most)} for name, most in limits.items() if most is not None],
    }
    # The slice has them too; programs that adapt to their limits look for these.
    if resources.memory:
        found |= {"Memory": int(resources.memory), "MemorySwap": int(resources.memory)}
    if resources.cpu:
        found["NanoCpus"] = int(resources.cpu) * 10**6
    if cpus:
        found["CpusetCpus"] = cpus
    if config.shm_size:
        found["ShmSize"] = int(config.shm_size)
    if config.gpus:
        found["DeviceRequests"] = [{"Driver": "", "Count": config.gpus, "Capabilities": [["gpu"]]}]
    return found


def _bind(source: str, target: str, read_only: bool) -> dict[str, t.Any]:
    return {"Type": "bind", "Source": source, "Target": target, "ReadOnly": read_only}


def _published(site: Site, task: PlacedTask[Task], config: DockerConfig) -> dict[str, list[dict[str, str]]]:
    """The ports of the robot that lead to some of the container: those are known by number and protocol."""
    if config.network_mode is not DockerNetwork.BRIDGE:
        return {}
    found: dict[str, list[dict[str, str]]] = {}
    held = {port.spec.label: port for port in site.ports if port.instance == task.instance}
    for published in config.ports:
        if published.label in held:
            port = held[published.label]
            inner = f"{published.to or port.spec.to or port.number}/{port.spec.protocol.value}"
            found.setdefault(inner, []).append({"HostIp": port.spec.host_ip or "", "HostPort": str(port.number)})
    return found


def _expected(site: Site, config: DockerConfig, where: str) -> t.Iterator[Expected]:
    for number, volume in enumerate(config.volumes):
        yield plan.expected("source", volume.source, site.where(f"{where}.volumes[{number}].source"))
