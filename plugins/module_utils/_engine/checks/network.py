# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks that connect to a task: what each does, and what its answer means. They run as a user that has nothing on the robot."""

from __future__ import annotations

import contextlib

from . import grpc
from .connection import Connection, Failed, authority
from .states import CRITICAL, PASSING, WARNING, Outcome, last_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from .states import Check

# So much of the head of an answer is read, and of its body.
HEAD, BODY = 16384, 65536
# So many interim answers are passed over: each costs something, and an answer needs one or two.
INTERIM = 8
TOO_MANY_REQUESTS = 429


def tcp(check: Check) -> Outcome:
    with Connection(check):
        return Outcome(PASSING, "accepts connections")


def http(check: Check) -> Outcome:
    with Connection(check) as connection:
        connection.send(_request(check))
        body = b""
        for _answer in range(INTERIM + 1):
            # RFC 9110, 15.2: the answer itself comes after those of 1xx.
            head, found, body = _head(connection, body)
            code = _code(head) if found else None
            if code is None or code >= 200:
                break
        if code is None or code < 200:
            return Outcome(CRITICAL, "the answer is not one of HTTP/1.1", last_line((head + found + body)[:HEAD]))
        if "expect" in check or not _is_good(code):
            body = _body(connection, body, _length(head))
    body = _joined(body[:BODY]) if _field(head, b"transfer-encoding").lower() == b"chunked" else body[:BODY]
    outcome = _meaning(check, code, body)
    # The last line of a page for people says nothing.
    return outcome._replace(output="") if _field(head, b"content-type").lower().startswith(b"text/html") else outcome


def _head(connection: Connection, begun: bytes) -> tuple[bytes, bytes, bytes]:
    """The head of an answer of which something is there, what ends it if that came, and what came after it."""
    while b"\r\n\r\n" not in begun and len(begun) < HEAD:
        received = connection.receive()
        begun += received
        if not received:
            break
    return begun.partition(b"\r\n\r\n")


def _is_good(code: int) -> bool:
    return 200 <= code < 300


def _body(connection: Connection, begun: bytes, length: int) -> bytes:
    """As much of a body as comes in time: what the answer means, its head says already."""
    with contextlib.suppress(Failed):
        while len(begun) < min(BODY, length):
            received = connection.receive()
            begun += received
            if not received:
                break
    return begun


def _request(check: Check) -> bytes:
    headers = {"host": ("Host", authority(check)), "user-agent": ("User-Agent", "k8s4r"), "accept": ("Accept", "*/*")}
    headers.update({name.lower(): (name, value) for name, value in check.get("headers", {}).items()})
    headers["connection"] = ("Connection", "close")
    lines = [f"{check['method']} {check['path']} HTTP/1.1", *[f"{name}: {value}" for name, value in headers.values()]]
    return "\r\n".join([*lines, "", ""]).encode("utf-8")


def _code(head: bytes) -> int | None:
    version, _blank, rest = head.partition(b" ")
    code = rest.split(b"\r\n")[0].split(b" ")[0]
    return int(code) if version in (b"HTTP/1.0", b"HTTP/1.1") and len(code) == 3 and code.isdigit() else None


def _field(head: bytes, name: bytes) -> bytes:
    """A field of the head of an answer; empty where it has none of that name."""
    for line in head.split(b"\r\n")[1:]:
        found, _colon, value = line.partition(b":")
        if found.strip().lower() == name:
            return value.strip()
    return b""


def _length(head: bytes) -> int:
    """Of the body, as its head says; as much as is ever read, where it does not."""
    value = _field(head, b"content-length")
    return int(value) if value.isdigit() and len(value) < 20 else BODY


def _joined(body: bytes) -> bytes:
    """A body that came in chunks, RFC 9112: each has its length in front."""
    found = b""
    while body:
        size, _newline, rest = body.partition(b"\r\n")
        count = int(size.partition(b";")[0], 16)
        if count <= 0:
            break
        found, body = found + rest[:count], rest[count + 2 :]
    return found


def _meaning(check: Check, code: int, body: bytes) -> Outcome:
    said, output = f"HTTP {code}", last_line(body)
    if code == TOO_MANY_REQUESTS:
        return Outcome(WARNING, said, output)
    if not _is_good(code):
        return Outcome(CRITICAL, said + (", and redirects are not followed" if 300 <= code < 400 else ""), output)
    if "expect" in check and check["expect"].encode("utf-8") not in body:
        return Outcome(CRITICAL, f"{said}, without the text that is expected", output)
    return Outcome(PASSING, said, output)


KINDS: t.Mapping[str, t.Callable[[Check], Outcome]] = {"tcp": tcp, "http": http, "grpc": grpc.check}


def run(check: Check) -> Outcome:
    """What came of a check, whatever the task has answered."""
    try:
        return KINDS[check["type"]](check)
    except Failed as failed:
        return Outcome(CRITICAL, str(failed))
    except (ArithmeticError, LookupError, OSError, ValueError) as error:
        return Outcome(CRITICAL, f"the answer cannot be read: {type(error).__name__}")
