# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scripts inside of a container of Docker's, whose engine runs them as `docker exec` does.

A container ends with its engine, so while there is something to check, that is there too.
"""

from __future__ import annotations

# Where socket has it from; but socket imports much more.
import _socket
import contextlib
import os
from time import monotonic, sleep

from ...say import jsontext
from .. import states
from ..states import CRITICAL, Outcome
from .inside import OUTPUT, Script

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ..states import Check

SOCKET = "/run/docker.sock"
NOT_FOUND = 404
# Seconds. So long at most the engine is silent while a script runs until it is asked whether that has ended, for what a script leaves
# behind may hold its output open; and so long is tried to end what was late, which is less than others wait for this process.
SILENCE, LATE = 0.3, 0.6


class _Refused(Exception):
    """The engine's answer is an error; its words."""


class Exec(Script):
    def __init__(self, check: Check, started: t.Mapping[str, t.Any]) -> None:
        super().__init__(check, started)
        self._container, self._unread = started["id"], b""
        self._id, self._leader = "", 0

    def outcome(self) -> Outcome:
        self._kill()
        try:
            wanted = {"AttachStdout": True, "AttachStderr": True, "Cmd": self._argv, "Env": [self._mark]}
            self._id = self._ask("POST", f"/containers/{self._container}/exec", wanted)["Id"]
            self._run()
            code = self._code()
            while code is None:
                sleep(0.01)
                code = self._code()
        except _Refused as refused:
            return Outcome(CRITICAL, str(refused)[: states.LONGEST])
        except _socket.timeout:
            self._end()
            return Outcome(CRITICAL, f"no result within {self._check['timeout']:g} s", states.last_line(self._said))
        except (OSError, ValueError):
            return Outcome(CRITICAL, "Docker's engine has ended, or gives no answer", states.last_line(self._said))
        self._kill()
        return states.of_script(code, self._said)

    def _run(self) -> None:
        """Start it, and read what it writes until it has ended."""
        with contextlib.closing(self._send("POST", f"/exec/{self._id}/start", {"Detach": False, "Tty": False})) as connection:
            head = b""
            while b"\r\n\r\n" not in head:
                head += self._some(connection)
            head, _end, self._unread = head.partition(b"\r\n\r\n")
            if _status(head) >= 400:
                raise _Refused(_message(self._unread + self._rest(connection)))
            while True:
                self._keep()
                connection.settimeout(min(SILENCE, self._left()))
                try:
                    piece = connection.recv(65536)
                except _socket.timeout:
                    if self._code() is not None:
                        return
                    continue
                if not piece:
                    return
                self._unread += piece

    def _keep(self) -> None:
        """Take what is complete: after a byte that says which stream it is, and three of nothing, four of its length."""
        while len(self._unread) >= 8:
            end = 8 + int.from_bytes(self._unread[4:8], "big")
            if len(self._unread) < end:
                return
            self._said, self._unread = (self._said + self._unread[8:end])[-OUTPUT:], self._unread[end:]

    def _code(self) -> int | None:
        """Its exit status; None as long as it runs."""
        found = self._ask("GET", f"/exec/{self._id}/json")
        self._leader = found.get("Pid") or self._leader
        return None if found["Running"] else found["ExitCode"]

    def _end(self) -> None:
        """It was late: kill it, and what it has started, also if its engine starts it just now."""
        self._deadline = monotonic() + LATE
        with contextlib.suppress(OSError, ValueError, _Refused):
            while self._id and self._code() is None:
                self._kill(1)
                sleep(0.01)
        self._kill()

    def _began(self, pid: int) -> bool:
        """The engine gives it a process group of its own."""
        return bool(self._leader) and os.getpgid(pid) == self._leader

    def _ask(self, method: str, path: str, content: object = None) -> dict[str, t.Any]:
        with contextlib.closing(self._send(method, path, content)) as connection:
            head, _end, body = self._rest(connection).partition(b"\r\n\r\n")
        if _status(head) == NOT_FOUND:
            raise _Refused("its container has ended")
        if _status(head) >= 400:
            raise _Refused(_message(body))
        found: dict[str, t.Any] = jsontext.loads(body.decode("utf-8", "replace"))
        return found

    def _send(self, method: str, path: str, content: object) -> t.Any:
        """A connection on which the engine has been asked. With HTTP/1.0 it closes it behind its answer."""
        data = b"" if content is None else jsontext.dumps(content).encode("ascii")
        lines = [f"{method} {path} HTTP/1.0", "Host: docker", "Content-Type: application/json", f"Content-Length: {len(data)}", "", ""]
        connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        try:
            connection.settimeout(self._left())
            connection.connect(SOCKET)
            # Less than a socket takes at once.
            connection.sendall("\r\n".join(lines).encode("ascii") + data)
        except OSError:
            connection.close()
            raise
        return connection

    def _some(self, connection: t.Any) -> bytes:
        connection.settimeout(self._left())
        received: bytes = connection.recv(65536)
        if not received:
            raise ValueError("the answer is not complete")
        return received

    def _rest(self, connection: t.Any) -> bytes:
        received = b""
        with contextlib.suppress(ValueError):
            while True:
                received += self._some(connection)
        return received

    def _left(self) -> float:
        left = self._deadline - monotonic()
        if left <= 0:
            raise _socket.timeout
        return left


def _status(head: bytes) -> int:
    """Raises `ValueError` where the engine has closed the connection without an answer."""
    return int(head.partition(b" ")[2][:3])


def _message(body: bytes) -> str:
    """What the engine says in an error."""
    try:
        said = jsontext.loads(body.decode("utf-8", "replace"))["message"]
    except (ValueError, LookupError, TypeError):
        said = "Docker's engine refuses it"
    return states.last_line(str(said).encode("utf-8", "replace"))
