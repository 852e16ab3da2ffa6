# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Docker or Podman is told about a task's container: a file that the unit's program reads, and the image.

The container is in a slice of the task's own, below its group's. So systemd enforces its limits, as it does for other tasks, and its
processes can be counted and killed without Docker. On the robot, the image gets a name of ours: a tag that somebody moves changes nothing
for the task.
"""

from __future__ import annotations

import hashlib
import json
import pathlib
import posixpath
import re
import typing as t

from ....module_utils._engine import plan
from ...job.declare.keys import Secret
from ...job.errors import Problem, quoted
from ...job.model.brings.docker import IMAGE, DockerConfig
from ...job.model.task import Task
from ...job.model.vocabulary import DockerNetwork, Driver, Hook
from .. import names
from ..site.placed import PlacedTask, Pod
from ..site.rendering import Unrendered
from ..site.site import Site
from . import artifacts
from .environment import Environment
from .substitution import each_of, substituted, words

if t.TYPE_CHECKING:
    from ....module_utils._engine.plan import Expected, Resource

# Who has a container of which nothing else is said.
DEFAULT = Driver.DOCKER.value
# Where a task finds its directories, as with Nomad's driver.
LOCAL, SECRETS, ALLOC = "/local", "/secrets", "/alloc"


class Container(t.NamedTuple):
    """`resources` are the image and the file that describes the container."""

    resources: tuple[Resource, ...]
    expects: tuple[Expected, ...]
    errors: tuple[Problem, ...]


class Entered(t.NamedTuple):
    """The pod that a container is in: the file of the IPC namespace of the pod's tasks; and what of the robot these see, each with its
    place in the container.
    """

    pod: Pod
    ipc: str
    shared: tuple[tuple[str, str], ...]


def slice_of(site: Site, task: PlacedTask[Task]) -> str:
    return names.task_slice(site.id, task.id, task.instance is None)


def description(task: PlacedTask[Task]) -> str:
    """The file that describes the container."""
    return f"{task.environment_file[: -len('.env')]}.json"


def runtime(task: PlacedTask[Task]) -> str:
    """The directory in which root keeps what it needs while the container runs, without `/run/`."""
    return f"{plan.RUNTIME.removeprefix('/run/')}/containers/{task.id}"


def _loaded_from(
    site: Site, task: PlacedTask[Task], config: DockerConfig, environment: Environment
) -> tuple[dict[str, t.Any] | None, list[Problem]]:
    """The artifact that `load` names, or the file of the controller's; None for a file of the robot's own."""
    if not config.load or config.load.startswith("/"):
        return None, []
    room, _slash, below = config.load.partition("/")
    if room not in ("local", "alloc"):
        return _of_controller(site, config.load, f"{task.path}.config.dockerConfig.load")
    place = f"{site.alloc if room == 'alloc' else f'{task.directory}/{room}'}/{below}"
    found, all_known = artifacts.file_at(site, task, environment.variables, place)
    if found or not all_known:
        return found, []
    what = f"{quoted(config.load)} is no file that an artifact of this task is"
    remedy = 'name one, by its relativeDest and its name; an archive stays one with getterOptions: {archive: "false"}'
    return None, [site.problem(f"{task.path}.config.dockerConfig.load", what, remedy)]


def _of_controller(site: Site, name: str, where: str) -> tuple[dict[str, t.Any] | None, list[Problem]]:
    """A file beside the job file. Its address is for the controller, which sends it; the robot is told its digest alone."""
    try:
        digest = site.render.digest(site, name)
    except Unrendered as error:
        return None, [site.problem(where, str(error), error.remedy)]
    empty = ("user", "password", "ref", "key", "region", "archive", "subdir", "to")
    path = str(pathlib.PurePosixPath(site.job.path).parent / name)
    found = {
        "get": plan.BESIDE,
        "url": path,
        "shown": name,
        "checksum": f"sha256:{digest}",
        "name": posixpath.basename(name),
        "mode": "file",
    }
    return {**dict.fromkeys(empty, ""), **found, "headers": {}, "depth": 0}, []


def container(site: Site, task: PlacedTask[Task], environment: Environment, entered: Entered | None, processes: int) -> Container:
    """``processes``: so many threads it may have, where no slice of the task's own says so."""
    config, where = task.spec.config.docker_config, f"{task.path}.config.dockerConfig"
    if config is None:
        # The job's rules have refused it.
        return Container((), (), ())
    reference, wrong_image = substituted(site, config.image, f"{where}.image", environment.variables)
    if isinstance(reference, Secret):
        # Before anything else: the name would be in other errors, the ledger and a label of the container.
        reference, wrong_image = "", (site.problem(f"{where}.image", "a secret cannot be part of an image's name", "write another name"),)
    # What stands for any robot has labels that need not make sense.
    unknown = wrong_image or (site.robot.address.endswith(artifacts.NOWHERE) and reference != config.image)
    unnamed = [] if unknown else _no_reference(site, f"{where}.image", reference)
    program, wrong_program = _program(site, where, config, environment)
    hidden = sorted(_all_that_is_written(task, environment) if site.job.opaque else environment.hidden)
    source, wrong_source = _loaded_from(site, task, config, environment)
    image = _image(site, task, reference, config, f"{where}.image", shell=bool(hidden) or _in_lines(task, environment), source=source)
    published = _published(site, task, config)
    body: dict[str, t.Any] = {
        "Image": image["name"],
        **program,
        "Labels": {"k8s4r.task": task.id, "k8s4r.image": reference},
        "ExposedPorts": {inner: {} for inner in published},
        "HostConfig": {**_host(site, task, config, entered), **_apart(task, processes), "PortBindings": published},
    }
    content = json.dumps(_described(site, task, hidden, body, entered), sort_keys=True, separators=(",", ":")) + "\n"
    file = plan.file(description(task), content, mode="0600")
    return Container((image, file), tuple(_expected(site, config, where)), (*wrong_image, *unnamed, *wrong_program, *wrong_source))


def _no_reference(site: Site, path: str, reference: str) -> list[Problem]:
    """What a robot's labels and the job's meta have made of the image's name: the engine would take a part of it for something else."""
    if re.fullmatch(IMAGE, reference):
        return []
    found = "what it becomes on" if site.job.opaque else f"{quoted(reference)}, which it becomes on"
    remedy = "correct the label or meta that it is made from"
    return [site.problem(path, f"{found} {site.robot.called}, is not an image name, such as registry.example:5000/team/app:1.2", remedy)]


def _in_lines(task: PlacedTask[Task], environment: Environment) -> bool:
    """Whether Podman, which takes variables from a file with a line for each, has some that do not fit into one."""
    several = any("\n" in value or "\r" in value for value in environment.variables.values())
    return task.spec.driver.value != DEFAULT and several


def _described(
    site: Site, task: PlacedTask[Task], hidden: t.Sequence[str], body: t.Mapping[str, t.Any], entered: Entered | None
) -> dict[str, t.Any]:
    """What the unit's program reads (helpers/run_container/). Docker's API is given `body` to make the container. `hidden` are the
    variables that must not be seen there.
    """
    engine = task.spec.driver.value
    return {
        **({} if engine == DEFAULT else {"engine": engine}),
        **({"last": True} if task.hook is Hook.POSTSTOP else {}),
        **({"pod": {"network": entered.pod.network, "ipc": entered.ipc, "host": entered.pod.host}} if entered else {}),
        "name": f"k8s4r-{task.id}",
        "slice": f"/{plan.ROOT_SLICE}/{site.slice}/{slice_of(site, task)}",
        "environment": task.environment_file,
        "hidden": hidden,
        "secrets": f"{plan.RUNTIME}/secrets/{task.id}",
        "runtime": f"/run/{runtime(task)}",
        "user": task.spec.user or "",
        "groups": [site.user, *task.spec.groups],
        "devices": [device.path for device in task.spec.devices],
        "body": body,
    }


def _image(
    site: Site, task: PlacedTask[Task], reference: str, config: DockerConfig, where: str, shell: bool, source: dict[str, t.Any] | None
) -> Resource:
    """The image, under a name of ours. Tasks of the group that want the same share it, but not one that is loaded from ``source``, an
    artifact of the task. ``shell``: it must have one.
    """
    auth = config.auth
    engine, username = task.spec.driver.value, str(auth.username) if auth else ""
    own = [*([] if engine == DEFAULT else [engine]), *([task.id] if source else [])]
    wanted = json.dumps([reference, config.pull.value, config.load, username, shell, bool(config.gpus), *own])
    return plan.image(
        f"{plan.IMAGES}/{site.id}:{hashlib.sha256(wanted.encode()).hexdigest()[:12]}",
        reference,
        config.pull.value,
        site.where(where),
        load=config.load or "",
        source=source,
        auth={"username": str(auth.username), "password": str(auth.password)} if auth else None,
        shell=shell,
        gpus=bool(config.gpus),
        engine=engine,
    )


def _all_that_is_written(task: PlacedTask[Task], environment: Environment) -> set[str]:
    """The variables whose values come from a job file whose values all count as secret."""
    return {name for name in environment.variables if name in task.spec.env or name.startswith("NOMAD_META_")}


def _program(site: Site, where: str, config: DockerConfig, environment: Environment) -> tuple[dict[str, list[str] | str], list[Problem]]:
    """What runs in the container. Where a key is missing, Docker takes what the image has."""
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


def _host(site: Site, task: PlacedTask[Task], config: DockerConfig, entered: Entered | None) -> dict[str, t.Any]:
    resources = task.spec.resources
    own = ((f"{task.directory}/local", LOCAL), (f"{plan.RUNTIME}/secrets/{task.id}", SECRETS), (site.alloc, ALLOC))
    mounts = [_bind(source, target, False) for source, target in own]
    mounts += [_bind(each.source, each.target, each.read_only) for each in (*task.spec.volumes, *config.volumes)]
    if entered:
        # Its program has no business with names; memory is what it shares.
        mounts += [_bind(source, target, target.startswith("/etc/")) for source, target in entered.shared]
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
    if task.spec.driver.value == DEFAULT:
        # A device that root of a container makes in a directory of the group's is one for its other tasks, too. And in the robot's network
        # it could read, and forge, what all groups send to their proxies. Podman's have neither.
        in_robots = config.network_mode is DockerNetwork.HOST and not entered
        found["CapDrop"] = ["MKNOD", *(["NET_RAW"] if in_robots else [])]
    # The slice has them too, but programs that adapt to their limits look for these.
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


def _apart(task: PlacedTask[Task], processes: int) -> dict[str, int]:
    """Docker cannot start the last container of an instance in a slice that systemd stops: it has limits of its own alone."""
    return {"PidsLimit": processes} if task.hook is Hook.POSTSTOP and task.spec.driver.value == DEFAULT else {}


def _bind(source: str, target: str, read_only: bool) -> dict[str, t.Any]:
    return {"Type": "bind", "Source": source, "Target": target, "ReadOnly": read_only}


def _published(site: Site, task: PlacedTask[Task], config: DockerConfig) -> dict[str, list[dict[str, str]]]:
    """The container's ports, by number and protocol, each with the ports of the robot that lead to it."""
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
