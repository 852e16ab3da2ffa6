# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A connection to a task, on which nothing takes longer than the check may, and nothing is longer than what is asked for."""

from __future__ import annotations

# Where socket has it from; but socket imports much more.
import _socket
import os
from time import monotonic

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from .states import Check


def authority(check: Check) -> str:
    """Where a check connects to, as URLs have it."""
    return f"[{check['host']}]:{check['port']}" if ":" in check["host"] else f"{check['host']}:{check['port']}"


class Failed(Exception):
    """The check is critical, and this is why."""


class Connection:
    """A connection to where a check connects to (a context manager). Raises `Failed`."""

    def __init__(self, check: Check, protocols: t.Sequence[str] = ()) -> None:
        self._timeout = check["timeout"]
        self._deadline = monotonic() + self._timeout
        self._where = authority(check)
        try:
            # As bytes: for a text, the codec of international names would be imported.
            host = check["host"].encode("ascii")
            family, kind, number, _name, address = _socket.getaddrinfo(host, check["port"], 0, _socket.SOCK_STREAM)[0]
            self._socket: t.Any = _socket.socket(family, kind, number)
            self._socket.settimeout(self._left())
            self._socket.connect(address)
            if "tls" in check:
                self._secure(check, protocols)
        except OSError as error:
            raise self._failed(error) from None

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_error: object) -> None:
        self._socket.close()

    def send(self, content: bytes) -> None:
        try:
            self._socket.settimeout(self._left())
            self._socket.sendall(content)
        except OSError as error:
            raise self._failed(error) from None

    def receive(self, most: int = 16384) -> bytes:
        """What has come; nothing where no more will."""
        try:
            self._socket.settimeout(self._left())
            received: bytes = self._socket.recv(most)
        except OSError as error:
            raise self._failed(error) from None
        return received

    def _secure(self, check: Check, protocols: t.Sequence[str]) -> None:
        import socket
        import ssl

        context = ssl.create_default_context()
        if not check["tls"]["verify"]:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if protocols:
            context.set_alpn_protocols(list(protocols))
        plain = socket.socket(fileno=self._socket.detach())
        plain.settimeout(self._left())
        self._socket = plain
        self._socket = context.wrap_socket(plain, server_hostname=check["tls"]["name"] or check["host"])

    def _left(self) -> float:
        left = self._deadline - monotonic()
        if left <= 0:
            raise _socket.timeout
        return left

    def _failed(self, error: OSError) -> Failed:
        if isinstance(error, _socket.timeout):
            return Failed(f"no answer from {self._where} within {self._timeout:g} s")
        if type(error).__name__.startswith("SSL"):
            return Failed(f"TLS with {self._where}: {getattr(error, 'verify_message', '') or getattr(error, 'reason', '') or 'failed'}")
        return Failed(f"{self._where}: {os.strerror(error.errno) if isinstance(error.errno, int) and error.errno > 0 else error.strerror}")
