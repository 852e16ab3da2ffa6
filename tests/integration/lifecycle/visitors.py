# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""End users of an ingress, as they come from outside: curl, a WebSocket, and a crowd; and the certificates that they trust."""

from __future__ import annotations

import base64
import contextlib
import datetime
import http.client
import json
import os
import pathlib
import socket
import ssl
import subprocess
import threading
import typing as t
from collections.abc import Iterator

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


class Certificate(t.NamedTuple):
    """A certificate that vouches for itself, and its key; as PEM."""

    chain: str
    key: str

    @classmethod
    def read(cls, directory: pathlib.Path) -> Certificate:
        return cls((directory / "edge.crt").read_text(), (directory / "secret" / "edge.key").read_text())

    @property
    def serial(self) -> int:
        return x509.load_pem_x509_certificate(self.chain.encode()).serial_number

    @property
    def line(self) -> str:
        """A line that only this key has."""
        return self.key.splitlines()[2]

    def in_text(self, text: str) -> bool:
        return any(line in text for line in self.key.splitlines()[1:-1])


def certificate(*names: str, days: int = 30) -> Certificate:
    """A new certificate for these names, which ends after so many days."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, names[0])])
    now = datetime.datetime.now(datetime.timezone.utc)
    begin, end = now - datetime.timedelta(days=60), now + datetime.timedelta(days=days)
    alternatives = x509.SubjectAlternativeName([x509.DNSName(each) for each in names])
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), begin, end)
    signed = made.add_extension(alternatives, critical=False).sign(key, hashes.SHA256())
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return Certificate(signed.public_bytes(pem).decode(), key.private_bytes(pem, form, serialization.NoEncryption()).decode())


class Answer(t.NamedTuple):
    """What curl got; `certificate` is the serial number of the one that it was shown, 0 for none."""

    status: int
    version: str
    kind: str
    text: str
    certificate: int

    @property
    def json(self) -> t.Any:
        return json.loads(self.text)


def curl(address: str, url: str, *arguments: str, authority: pathlib.Path) -> Answer:
    """Ask the robot at this address, by whatever host name the URL has."""
    told = "%{http_code}\t%{http_version}\t%{content_type}\t%{certs}"
    options = (
        "--silent",
        "--max-time",
        "20",
        "--connect-to",
        f"::{address}:",
        "--cacert",
        str(authority),
        "--write-out",
        f"\v{told}",
    )
    done = subprocess.run(["curl", *options, *arguments, url], capture_output=True, text=True, check=False, timeout=30)
    text, _found, rest = done.stdout.rpartition("\v")
    status, version, kind, certs = rest.split("\t", 3)
    begin = certs.find("-----BEGIN CERTIFICATE-----")
    serial = x509.load_pem_x509_certificate(certs[begin:].encode()).serial_number if begin >= 0 else 0
    return Answer(int(status), version, kind, text, serial)


def own_address(address: str) -> str:
    """From where connections to this address come."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((address, 9))
        return str(probe.getsockname()[0])


def _connected(address: str, name: str, port: int, authority: pathlib.Path) -> ssl.SSLSocket:
    context = ssl.create_default_context(cafile=str(authority))
    return context.wrap_socket(socket.create_connection((address, port), timeout=20), server_hostname=name)


class WebSocket:
    """A session that echoes short texts."""

    def __init__(self, connection: ssl.SSLSocket, name: str) -> None:
        self._connection = connection
        self._file = connection.makefile("rb")
        key = base64.b64encode(os.urandom(16)).decode()
        asked = f"GET /socket HTTP/1.1\r\nHost: {name}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        connection.sendall(f"{asked}Sec-WebSocket-Key: {key}\r\n\r\n".encode())
        head = iter(self._file.readline, b"\r\n")
        assert next(head).startswith(b"HTTP/1.1 101 ")
        list(head)

    def said(self, text: str) -> str:
        """What comes back for a text of fewer than 126 bytes."""
        mask, plain = os.urandom(4), text.encode()
        hidden = bytes(byte ^ mask[place % 4] for place, byte in enumerate(plain))
        self._connection.sendall(bytes([129, 128 | len(plain)]) + mask + hidden)
        return self._file.read(self._file.read(2)[1]).decode()


@contextlib.contextmanager
def websocket(address: str, name: str, port: int, authority: pathlib.Path) -> Iterator[WebSocket]:
    """A WebSocket over TLS to the robot at this address."""
    with _connected(address, name, port, authority) as connection:
        yield WebSocket(connection, name)


class Crowd:
    """Visitors who ask again and again, each on a connection that it keeps for ten requests."""

    def __init__(self, address: str, name: str, authority: pathlib.Path) -> None:
        self._where = (address, name, 443, authority)
        self._ends = threading.Event()
        self.answers, self.failures = 0, list[str]()

    def visit(self) -> None:
        """Ask until the end."""
        while not self._ends.is_set():
            connection = http.client.HTTPConnection(self._where[1])
            try:
                connection.sock = _connected(*self._where)
                for _number in range(10):
                    connection.request("GET", "/")
                    answer = connection.getresponse()
                    text = answer.read().decode()
                    self.answers += 1
                    if answer.status != 200:
                        self.failures.append(f"{answer.status} {text}")
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(repr(error))
            finally:
                connection.close()

    def end(self) -> None:
        self._ends.set()


@contextlib.contextmanager
def crowd(address: str, name: str, authority: pathlib.Path, visitors: int = 2) -> Iterator[Crowd]:
    """Visitors of the robot at this address, as long as the block runs."""
    made = Crowd(address, name, authority)
    threads = [threading.Thread(target=made.visit) for _visitor in range(visitors)]
    for thread in threads:
        thread.start()
    try:
        yield made
    finally:
        made.end()
        for thread in threads:
            thread.join()
