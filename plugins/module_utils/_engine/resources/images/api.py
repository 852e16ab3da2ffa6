# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Docker's API on its socket. `docker` itself is asked nothing: it would need more time, and a file for each password."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import socket
import time

from ...say import disk
from .failures import Refused, Unavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

SOCKET = "/run/docker.sock"
# Seconds. An image may take long to come, but something of it comes all the time.
ANSWER, SILENCE = 20, 120


def get(path: str) -> t.Any:
    """What there is; None where there is nothing."""
    status, text = _request("GET", path)
    if status == 404:
        return None
    return json.loads(_well(status, text))


def post(path: str) -> None:
    _well(*_request("POST", path))


def make(path: str, content: object) -> t.Any:
    return json.loads(_well(*_request("POST", path, json.dumps(content).encode("utf-8"))))


def delete(path: str) -> bool:
    """Whether it is gone; one that others use stays."""
    return _request("DELETE", path)[0] in (200, 204, 404)


def has(path: str) -> bool:
    return _request("HEAD", path)[0] == 200


def pull(path: str, auth: t.Mapping[str, str] | None, tell: t.Callable[[str], None]) -> None:
    """Says how far it is while the layers come."""
    head = [] if auth is None else ["X-Registry-Auth: " + base64.urlsafe_b64encode(json.dumps(auth).encode("utf-8")).decode("ascii")]
    with _connection(SILENCE) as connection:
        connection.sendall(_head("POST", path, 0, head))
        _follow(connection, tell)


def load(file: str) -> None:
    size = os.path.getsize(file)
    with open(file, "rb") as stream, _connection(SILENCE) as connection:
        connection.sendall(_head("POST", "/images/load?quiet=1", size, ["Content-Type: application/x-tar"]))
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            # It does not read to the end what it does not take.
            connection.sendfile(stream)
        _follow(connection, lambda _text: None)


def _follow(connection: socket.socket, tell: t.Callable[[str], None]) -> None:
    """An answer of many lines, each a piece of news. Errors come within one that began well."""
    had: dict[str, int] = {}
    told = time.monotonic()
    try:
        with connection.makefile("rb") as stream:
            status = int(stream.readline().split()[1])
            while stream.readline().strip():
                pass
            if status >= 400:
                _well(status, stream.read().decode("utf-8", "replace"))
            for line in stream:
                news = _news(line)
                if news.get("error"):
                    raise Refused(str(news["error"]))
                if news.get("status") == "Downloading":
                    had[str(news.get("id"))] = int((news.get("progressDetail") or {}).get("current") or 0)
                if had and time.monotonic() - told >= 1:
                    tell(disk.size(sum(had.values())))
                    told = time.monotonic()
    except (OSError, ValueError, IndexError) as error:
        raise Unavailable("it gave no answer in time") from error


def _news(line: bytes) -> dict[str, t.Any]:
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _well(status: int, text: str) -> str:
    if status < 400:
        return text
    with contextlib.suppress(ValueError, KeyError, TypeError):
        text = json.loads(text)["message"]
    raise Refused(text.strip() or f"status {status}")


def _request(method: str, path: str, data: bytes = b"", head: t.Sequence[str] = (), timeout: float = ANSWER) -> tuple[int, str]:
    with _connection(timeout) as connection:
        # At once: the engine may have answered, and closed the connection, before a second part comes.
        connection.sendall(_head(method, path, len(data), ["Content-Type: application/json", *head]) + data)
        return _answer(connection)


def _connection(timeout: float) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(timeout)
    try:
        connection.connect(SOCKET)
    except OSError as error:
        connection.close()
        raise Unavailable(error.strerror or str(error)) from error
    return connection


def _head(method: str, path: str, size: int, head: t.Sequence[str]) -> bytes:
    lines = [f"{method} {path} HTTP/1.0", "Host: docker", f"Content-Length: {size}", *head, "", ""]
    return "\r\n".join(lines).encode("utf-8")


def _answer(connection: socket.socket) -> tuple[int, str]:
    """HTTP/1.0: it ends when the other side closes."""
    try:
        text = b"".join(iter(lambda: connection.recv(65536), b"")).decode("utf-8", "replace")
        head, _end, body = text.partition("\r\n\r\n")
        return int(head.split(" ")[1]), body
    except (OSError, ValueError, IndexError) as error:
        raise Unavailable("it gave no answer in time") from error
