# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Docker's API: HTTP on a socket."""

from __future__ import annotations

import contextlib
import json
import socket
import sys
import urllib.parse

from .processes import KILLED, processes_in

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

SOCKET = "/run/docker.sock"
# Seconds, for an answer of the engine, and for one that comes when it has made or started a container.
ANSWER, WORK = 20, 120


def answers() -> bool:
    try:
        return request("GET", "/_ping")[0] == 200
    except (OSError, ValueError):
        return False


def gone(path: str) -> bool:
    """Have something removed; whether it is not there any more."""
    try:
        return request("DELETE", path)[0] == 404
    except (OSError, ValueError):
        return False


def need(method: str, path: str, content: object = None) -> t.Any:
    """A request that must end well; what it says."""
    status, text = request(method, path, content)
    if status >= 400:
        with contextlib.suppress(ValueError):
            text = json.loads(text)["message"]
        sys.exit(f"docker: {text}")
    return json.loads(text) if text.startswith("{") else None


def request(method: str, path: str, content: object = None) -> tuple[int, str]:
    connection, head = ask(method, path, content)
    with connection:
        text = b"".join(iter(lambda: connection.recv(65536), b""))
    return int(head.split(" ")[1]), text.decode("utf-8", "replace")


def ask(method: str, path: str, content: object = None, upgrade: bool = False) -> tuple[socket.socket, str]:
    """Send a request, and read the head of the answer. The rest comes until the other end closes, as HTTP/1.0 has it."""
    data = content if isinstance(content, bytes) else b"" if content is None else json.dumps(content).encode()
    lines = [f"{method} {urllib.parse.quote(path, safe='/?=&:')} HTTP/1.{int(upgrade)}", "Host: docker", f"Content-Length: {len(data)}"]
    kind = "x-tar" if isinstance(content, bytes) else "json"
    lines += [f"Content-Type: application/{kind}", *(["Connection: Upgrade", "Upgrade: tcp"] if upgrade else [])]
    connection = socket.socket(socket.AF_UNIX)
    # An engine that has lost its containerd waits long for what it removes; the processes have ended by then.
    connection.settimeout({"DELETE": KILLED / 2, "POST": WORK}.get(method, ANSWER))
    connection.connect(SOCKET)
    if nobody_is_behind(connection):
        raise ValueError("systemd holds the socket, and there is no engine yet")
    connection.sendall("\r\n".join([*lines, "", ""]).encode() + data)
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        more = connection.recv(1)
        if not more:
            raise ValueError("the engine has closed the connection")
        head += more
    if method != "DELETE":
        connection.settimeout(None)
    return connection, head.decode("latin-1")


def nobody_is_behind(connection: socket.socket) -> bool:
    """Whether systemd has the engine's socket in its place. It would answer some day; but if this unit stops, not before it has."""
    listener = int.from_bytes(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)[:4], sys.byteorder)
    return listener == 1 and not processes_in("/system.slice/docker.service")
