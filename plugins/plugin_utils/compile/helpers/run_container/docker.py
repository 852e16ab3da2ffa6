# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A container of Docker: the engine starts it, and what it writes is passed on."""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import sys
import time

from .anchor import anchored, unanchored
from .api import answers, ask, gone, need, request
from .described import body
from .notes import leave, leave_how, tell_systemd
from .processes import ALWAYS_UP

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

# Seconds, for the engine's word that a container has ended.
LATE = 5


def run_by_docker(task: dict[str, t.Any]) -> int:
    made = body(task, need("GET", "/info")["CgroupDriver"] == "systemd", image_by_docker)
    if task.get("pod"):
        made["HostConfig"].update(anchored(task, made))
    own = need("POST", f"/containers/create?name={task['name']}", made)["Id"]
    if made["HostConfig"]["CgroupParent"] == ALWAYS_UP:
        leave(task, "apart", f"/{ALWAYS_UP}/docker-{own}.scope")
    output, _head = ask("POST", f"/containers/{own}/attach?stream=1&stdout=1&stderr=1", upgrade=True)
    ended, _head = ask("POST", f"/containers/{own}/wait?condition=next-exit")
    need("POST", f"/containers/{own}/start")
    status, text = request("GET", f"/containers/{own}/json")
    # One that takes no time is gone by now, and what it has come to is in the answer that is waited for.
    first = int(json.loads(text)["State"]["Pid"]) if status < 400 else 0
    if task.get("pod"):
        # It is inside by now. What does not go yet goes with it.
        unanchored(task)
    leave(task, "pid", str(first))
    leave_how(task, id=own)
    tell_systemd()
    return follow(output, ended, first)


def image_by_docker(name: str) -> dict[str, t.Any]:
    """What the image says of itself."""
    return need("GET", f"/images/{name}/json")["Config"] or {}


def removed_by_docker(task: dict[str, t.Any]) -> bool:
    """Whether nothing is there any more, as far as the engine can say so."""
    if not answers():
        return True
    removed = gone(f"/containers/{task['name']}?force=1&v=1")
    return (not task.get("pod") or unanchored(task)) and removed


def follow(output: socket.socket, ended: socket.socket, first: int) -> int:
    """Pass on what the container writes, until it has ended; its exit status. ``first`` is its first process."""
    watched = watch(first)
    waiting: list[t.Union[socket.socket, int]] = [output, ended, *([] if watched is None else [watched])]
    buffered, answer, end = b"", b"", float("inf")
    while output in waiting or ended in waiting:
        rest = None if end == float("inf") else max(0.0, end - time.monotonic())
        found = select.select(waiting, [], [], rest)[0]
        if not found:
            break
        for ready in found:
            if not isinstance(ready, socket.socket):
                # The engine says so soon; if containerd has died meanwhile, it never does.
                waiting.remove(ready)
                end = time.monotonic() + LATE
                continue
            data = ready.recv(65536)
            if not data:
                waiting.remove(ready)
            elif ready is ended:
                answer += data
            else:
                buffered = pass_on(buffered + data)
    try:
        return int(json.loads(answer)["StatusCode"])
    except (ValueError, KeyError):
        # The engine has gone. What it has started is no longer looked after, and ExecStopPost= ends it.
        print("docker: the engine has ended, or lost the container", file=sys.stderr)
        return 1


def watch(process: int) -> t.Optional[int]:
    """A descriptor that is readable when the process has ended; none before Python 3.9 and Linux 5.3, and if it is gone already."""
    with contextlib.suppress(AttributeError, OSError):
        return os.pidfd_open(process)
    return None


def pass_on(data: bytes) -> bytes:
    """Write all complete frames of Docker's stream: a byte that says which of the two it is, three of nothing, four of the length."""
    while len(data) >= 8:
        end = 8 + int.from_bytes(data[4:8], "big")
        if len(data) < end:
            break
        write(2 if data[0] == 2 else 1, data[8:end])
        data = data[end:]
    return data


def write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
