# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The network and IPC of a pod, for a container of Docker.

Docker has a container enter no namespaces but those of another one, which it finds by that one's first process. So while a container
starts, there is an anchor: its first process enters those of the pod by itself, and gives up what it may for that. Once the container
has started, it is in them by itself, and the anchor goes.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time

from .api import ANSWER, gone, need, request

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

# Its image is empty, so that it needs none and nobody's programs run with these privileges but the robot's own.
REPOSITORY = "k8s4r.local/pod"
EMPTY = bytes(1024)
PROGRAMS = ("/usr", "/bin", "/lib", "/lib64")
NETWORK, IPC = "/k8s4r/network", "/k8s4r/ipc"
ENTERS = ("/usr/bin/nsenter", f"--net={NETWORK}", f"--ipc={IPC}")
GIVES_UP = ("/usr/bin/setpriv", "--reuid=65535", "--regid=65535", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all")
WAITS = ("/bin/sleep", "infinity")
PRIVILEGES = ["SYS_ADMIN", "SETUID", "SETGID", "SETPCAP"]


def anchored(task: dict[str, t.Any], made: dict[str, t.Any]) -> dict[str, str]:
    """Have the anchor in the pod; what a container wants of its host that is to be there, too."""
    name = anchor(task)
    status, text = request("POST", f"/images/create?fromSrc=-&repo={REPOSITORY}&tag={name}", EMPTY)
    if status >= 400 or '"error"' in text:
        sys.exit(f"docker: no empty image can be made for the pod: {text.strip()}")
    own = need("POST", f"/containers/create?name={name}", anchor_body(task, made))["Id"]
    need("POST", f"/containers/{own}/start")
    end = time.monotonic() + ANSWER
    while True:
        state = need("GET", f"/containers/{own}/json")["State"]
        if is_in_pod(state["Pid"], task["pod"]):
            return {"NetworkMode": f"container:{own}", "IpcMode": f"container:{own}"}
        if not state["Running"] or time.monotonic() >= end:
            _status, said = request("GET", f"/containers/{own}/logs?stdout=1&stderr=1")
            # Behind the head of what it has written.
            sys.exit(f"docker: the pod cannot be entered: {''.join(filter(str.isprintable, said[8:]))}")
        time.sleep(0.01)


def anchor(task: dict[str, t.Any]) -> str:
    """Its name, which is also its image's tag."""
    return f"{task['name']}.pod"


def anchor_body(task: dict[str, t.Any], made: dict[str, t.Any]) -> dict[str, t.Any]:
    """It is in the slice of the container, where it can be killed without Docker. Who enters its network has its host name."""
    robots = {path: path for path in PROGRAMS if os.path.exists(path)}
    places = {**robots, NETWORK: task["pod"]["network"], IPC: task["pod"]["ipc"]}
    host = {
        "CapAdd": PRIVILEGES,
        "CapDrop": ["ALL"],
        "CgroupParent": made["HostConfig"]["CgroupParent"],
        # Its first process is what enters, and what it says is read.
        "Init": False,
        "LogConfig": {"Type": "json-file"},
        "IpcMode": "shareable",
        "Mounts": [{"Type": "bind", "Source": source, "Target": target, "ReadOnly": True} for target, source in places.items()],
        "NetworkMode": "none",
        "ReadonlyRootfs": True,
        "RestartPolicy": {"Name": "no"},
        "SecurityOpt": ["no-new-privileges"],
        # Of this one are the namespaces of a pod, whatever containers have.
        "UsernsMode": "host",
    }
    of_task = {"Labels": made["Labels"], "Hostname": task["pod"]["host"]}
    return {**of_task, "Image": f"{REPOSITORY}:{anchor(task)}", "Entrypoint": [*ENTERS, *GIVES_UP, *WAITS], "HostConfig": host}


def is_in_pod(process: int, pod: dict[str, str]) -> bool:
    with contextlib.suppress(OSError):
        pairs = (("net", pod["network"]), ("ipc", pod["ipc"]))
        return all(os.path.samefile(f"/proc/{process}/ns/{kind}", place) for kind, place in pairs)
    return False


def unanchored(task: dict[str, t.Any]) -> bool:
    """Have the anchor removed; whether nothing of it is there any more."""
    removed = gone(f"/containers/{anchor(task)}?force=1&v=1")
    return gone(f"/images/{REPOSITORY}:{anchor(task)}") and removed
