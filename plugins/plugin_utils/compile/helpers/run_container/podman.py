# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A container of Podman: `podman run` leaves conmon in its place."""

from __future__ import annotations

import json
import os
import sys

from .described import body
from .notes import leave_how
from .processes import KILLED

TYPE_CHECKING = False
if TYPE_CHECKING:
    import subprocess
    import typing as t

# The exit status of coreutils' timeout where the program is not there.
MISSING = 127
PODMAN = "podman"
# What it notes in the journal of all that it does would be among the task's own last lines.
BY_ITSELF = (PODMAN, "--events-backend=none")


def run_by_podman(task: dict[str, t.Any]) -> t.NoReturn:
    import resource

    made = body(task, True, image_by_podman)
    host = made["HostConfig"]
    # A unit that waits for its end, as that of a hook, is told of nothing.
    begun = ["--detach", "--sdnotify=conmon"] if os.environ.get("NOTIFY_SOCKET") else ["--rm"]
    fixed = ["--log-driver=passthrough", "--cgroups=no-conmon", "--pull=never", "--pids-limit=-1", "--http-proxy=false"]
    fixed += ["--no-healthcheck", "--systemd=false", "--security-opt=label=disable"]
    # Its own warnings are not for the task's log.
    argv = [
        *BY_ITSELF,
        *(["--cgroup-manager=cgroupfs"] if task.get("last") else []),
        "--log-level=error",
        "run",
        *begun,
        *fixed,
        f"--name={task['name']}",
        f"--pidfile={task['runtime']}/pid",
    ]
    argv += [f"--cgroup-parent={host['CgroupParent']}", *room_options(task.get("pod"), host)]
    for mount in host["Mounts"]:
        argv.append(f"--volume={mount['Source']}:{mount['Target']}:{'ro' if mount['ReadOnly'] else 'rw'}")
    # As many as may be here, where nothing else is said: Podman's own defaults are more than some robots have.
    most = {name: resource.getrlimit(number)[1] for name, number in (("nproc", resource.RLIMIT_NPROC), ("nofile", resource.RLIMIT_NOFILE))}
    most.update((limit["Name"], limit["Hard"]) for limit in host["Ulimits"])
    argv += [f"--ulimit={name}={number}:{number}" for name, number in most.items()]
    for inner, outer in host["PortBindings"].items():
        for each in outer:
            address = f"[{each['HostIp']}]" if ":" in each["HostIp"] else each["HostIp"]
            argv.append(f"--publish={address}{':' if address else ''}{each['HostPort']}:{inner}")
    for device in host["Devices"]:
        argv += device_options(device["PathInContainer"])
    argv += [f"--group-add={group}" for group in host["GroupAdd"]]
    argv += [f"--label={name}={value}" for name, value in made["Labels"].items()]
    argv += [f"--{option}={value}" for option, value in options(made, host) if value]
    argv += [f"--env-file={write_variables(task, made['Env'])}", made["Image"], *(made.get("Cmd") or ())]
    # Who wants to run one needs conmon, which is the unit's main process only when the container has started.
    leave_how(task, engine=PODMAN)
    try:
        os.execvp(PODMAN, argv)
    except FileNotFoundError:
        sys.exit("podman is not installed on this robot; install it (Debian's package podman)")


def room_options(pod: t.Optional[dict[str, str]], host: dict[str, t.Any]) -> list[str]:
    """Which network it has. Its pod's host name it has as its own: Podman would give another one to a namespace that it enters."""
    if not pod:
        return [f"--network={host['NetworkMode']}"]
    return [f"--network=ns:{pod['network']}", f"--ipc=ns:{pod['ipc']}", f"--hostname={pod['host']}"]


def device_options(path: str) -> list[str]:
    """A colon would end a path. So the device is there by its own name, and once more by the one that has a colon."""
    own = os.path.realpath(path) if ":" in path else path
    if ":" in own:
        sys.exit(f"podman: the name of the device {own} has a colon, which Podman's options cannot express; use docker")
    found = [f"--device={own}:{own}:rw"]
    if own != path:
        found.append(f'--mount=type=bind,"source={own}","target={path}"')
    return found


def options(made: dict[str, t.Any], host: dict[str, t.Any]) -> list[tuple[str, object]]:
    """Of what Docker's API has, what is there only sometimes."""
    cpus = host.get("NanoCpus", 0) / 10**9
    return [
        ("user", made.get("User")),
        ("workdir", made.get("WorkingDir")),
        ("entrypoint", json.dumps(made["Entrypoint"]) if made.get("Entrypoint") else ""),
        ("memory", host.get("Memory")),
        ("memory-swap", host.get("MemorySwap")),
        ("cpus", f"{cpus:g}" if cpus else ""),
        ("cpuset-cpus", host.get("CpusetCpus")),
        ("shm-size", host.get("ShmSize")),
    ]


def write_variables(task: dict[str, t.Any], variables: list[str]) -> str:
    """A file with a line for each. They are not Podman's own variables: what root runs for it on the robot, down to iptables, would obey
    them, and load what they name.
    """
    path = f"{task['runtime']}/variables"
    with open(path, "w", encoding="utf-8", newline="") as file:
        os.fchmod(file.fileno(), 0o600)
        file.writelines(f"{each}\n" for each in variables)
    return path


def image_by_podman(name: str) -> dict[str, t.Any]:
    """What the image says of itself."""
    asked = ask_podman("image", "inspect", "--format", "json", name)
    if asked.returncode:
        sys.exit(f"podman: the image {name} cannot be looked at: {asked.stderr.strip()}")
    (found,) = json.loads(asked.stdout)
    return found["Config"] or {}


def removed_by_podman(task: dict[str, t.Any]) -> bool:
    """Whether nothing is there any more. A robot that lost its Podman has nothing to remove."""
    try:
        status = ask_podman("rm", "--force", "--ignore", "--volumes", "--time=0", task["name"]).returncode
    except FileNotFoundError:
        return True
    return status in (0, MISSING)


def ask_podman(*words: str) -> subprocess.CompletedProcess[str]:
    """Nothing of what it says is for the task's log."""
    import subprocess

    argv = ["timeout", "--kill-after=2", str(KILLED), *BY_ITSELF, *words]
    return subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=False, encoding="utf-8")
