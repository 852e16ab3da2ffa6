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
from .failures import Refused, Silent, Unavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

SOCKET = "/run/docker.sock"
# Seconds. An image may take long to come, but something of it comes all the time. A large one takes long to delete.
ANSWER, SILENCE = 20, 120
# At boot, which waits: for the first answer, and for those after one that did not come.
AT_BOOT, SILENT_AT_BOOT = 3, 0.1
_HURRY: dict[str, float] = {}
# While layers come, and while those of a file are taken in.
COMING = ("Downloading", "Loading layer")


def hurry() -> None:
    """From now on, ask an engine that gives no answer only once. What we wait for may itself wait for the boot to go on."""
    _HURRY["seconds"] = AT_BOOT


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
    return _request("DELETE", path, timeout=SILENCE)[0] in (200, 204, 404)


def has(path: str) -> bool:
    return _request("HEAD", path)[0] == 200


def pull(path: str, auth: t.Mapping[str, str] | None, tell: t.Callable[[str], None]) -> None:
    """Says how far it is while the layers come."""
    head = [] if auth is None else ["X-Registry-Auth: " + base64.urlsafe_b64encode(json.dumps(auth).encode("utf-8")).decode("ascii")]
    with _connection(SILENCE) as connection:
        connection.sendall(_head("POST", path, 0, head))
        _follow(connection, tell)


def load(file: str, tell: t.Callable[[str], None]) -> None:
    """Says how much of it has been taken in. Quiet, it would say nothing before the end, however long that takes."""
    size = os.path.getsize(file)
    with open(file, "rb") as stream, _connection(SILENCE) as connection:
        connection.sendall(_head("POST", "/images/load?quiet=0", size, ["Content-Type: application/x-tar"]))
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            # It does not read to the end what it does not take.
            connection.sendfile(stream)
        _follow(connection, tell)


def _follow(connection: socket.socket, tell: t.Callable[[str], None]) -> None:
    """An answer of many lines, each a piece of news. Errors come within one that began well."""
    had: dict[str, int] = {}
    told = time.monotonic()
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
            if news.get("status") in COMING:
                had[str(news.get("id"))] = int((news.get("progressDetail") or {}).get("current") or 0)
            if had and time.monotonic() - told >= 1:
                tell(disk.size(sum(had.values())))
                told = time.monotonic()


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


@contextlib.contextmanager
def _connection(timeout: float) -> t.Iterator[socket.socket]:
    """Raises `Unavailable` where nobody is there, and `Silent` where who is there says nothing for so long, or nothing that makes sense."""
    timeout = min(timeout, _HURRY.get("seconds", timeout))
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(timeout)
        try:
            connection.connect(SOCKET)
        except OSError as error:
            raise Unavailable(error.strerror or str(error)) from error
        try:
            yield connection
        except socket.timeout as error:
            if _HURRY:
                _HURRY["seconds"] = SILENT_AT_BOOT
            raise Silent(f"none within {timeout:g} s") from error
        except (OSError, ValueError, IndexError) as error:
            raise Silent("it ended the connection") from error


def _head(method: str, path: str, size: int, head: t.Sequence[str]) -> bytes:
    lines = [f"{method} {path} HTTP/1.0", "Host: docker", f"Content-Length: {size}", *head, "", ""]
    return "\r\n".join(lines).encode("utf-8")


def _answer(connection: socket.socket) -> tuple[int, str]:
    """HTTP/1.0: it ends when the other side closes."""
    text = b"".join(iter(lambda: connection.recv(65536), b"")).decode("utf-8", "replace")
    head, _end, body = text.partition("\r\n\r\n")
    return int(head.split(" ")[1]), body
