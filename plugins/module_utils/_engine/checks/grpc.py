# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gRPC health protocol, grpc.health.v1.Health/Check, with as much of HTTP/2 (RFC 9113) as one call takes.

What a server says in headers is not read, so their compression need not be: a message with SERVING in it is all that counts.
"""

from __future__ import annotations

from .connection import Connection, Failed, authority
from .states import CRITICAL, PASSING, Outcome

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .states import Check

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RESET, SETTINGS, PING, GOAWAY = 0, 1, 3, 4, 6, 7
ACK = END_STREAM = 0x1
END_HEADERS, PADDED = 0x4, 0x8
# The setting by which a client has no use for pushes.
ENABLE_PUSH = 2
# Bytes: no frame may be longer unless we allow it. And what is read in all, and of a message.
LONGEST_FRAME, MOST, MESSAGE = 16384, 262144, 4096
SERVING = 1
WORDS = {0: "UNKNOWN", 1: "SERVING", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}
NO_STATUS = "no health status: it does not know the service, or has no health protocol"


def check(wanted: Check) -> Outcome:
    with Connection(wanted, ["h2"]) as connection:
        connection.send(_call(wanted))
        message, stream = b"", _Frames(connection)
        while len(message) < 5 or len(message) < 5 + int.from_bytes(message[1:5], "big"):
            kind, flags, number, content = stream.next()
            if kind == SETTINGS and not flags & ACK:
                connection.send(_frame(SETTINGS, ACK, 0, b""))
            elif kind == PING and not flags & ACK:
                connection.send(_frame(PING, ACK, 0, content))
            elif kind == GOAWAY or (number == 1 and kind == RESET):
                return Outcome(CRITICAL, NO_STATUS)
            elif number == 1 and kind == DATA:
                message += content[1 : len(content) - content[0]] if flags & PADDED else content
            if number == 1 and kind in (DATA, HEADERS) and flags & END_STREAM and len(message) < 5:
                return Outcome(CRITICAL, NO_STATUS)
            if len(message) > MESSAGE:
                return Outcome(CRITICAL, "the answer is too long")
    if message[0]:
        return Outcome(CRITICAL, "the answer is compressed, which nobody has asked for")
    status = _status(message[5:])
    return Outcome(PASSING if status == SERVING else CRITICAL, WORDS.get(status, str(status)))


class _Frames:
    """The frames that come: kind, flags, stream and content of each."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._received = b""
        self._count = 0

    def next(self) -> tuple[int, int, int, bytes]:
        head = self._take(9)
        length = int.from_bytes(head[:3], "big")
        if length > LONGEST_FRAME:
            raise Failed("the answer is not one of HTTP/2")
        return head[3], head[4], int.from_bytes(head[5:9], "big") & 0x7FFFFFFF, self._take(length)

    def _take(self, count: int) -> bytes:
        while len(self._received) < count:
            received = self._connection.receive()
            self._count += len(received)
            if not received or self._count > MOST:
                raise Failed("the connection was closed before there was a status" if not received else "the answer is too long")
            self._received += received
        taken, self._received = self._received[:count], self._received[count:]
        return taken


def _call(wanted: Check) -> bytes:
    headers = {
        ":method": "POST",
        ":scheme": "https" if "tls" in wanted else "http",
        ":path": "/grpc.health.v1.Health/Check",
        ":authority": authority(wanted),
        "content-type": "application/grpc",
        "te": "trailers",
        "user-agent": "k8s4r",
    }
    # Literals without indexing, and with names of their own: RFC 7541, 6.2.2.
    fields = b"".join([b"\0" + _text(name) + _text(value) for name, value in headers.items()])
    service = wanted["service"].encode("utf-8")
    request = b"\x0a" + _varint(len(service)) + service if service else b""
    return b"".join(
        [
            PREFACE,
            _frame(SETTINGS, 0, 0, ENABLE_PUSH.to_bytes(2, "big") + bytes(4)),
            _frame(HEADERS, END_HEADERS, 1, fields),
            _frame(DATA, END_STREAM, 1, b"\0" + len(request).to_bytes(4, "big") + request),
        ]
    )


def _frame(kind: int, flags: int, stream: int, content: bytes) -> bytes:
    return len(content).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + content


def _text(text: str) -> bytes:
    content = text.encode("utf-8")
    # A number whose first byte has room for 7 bits: RFC 7541, 5.1.
    length = bytes((len(content),)) if len(content) < 127 else b"\x7f" + _varint(len(content) - 127)
    return length + content


def _varint(number: int) -> bytes:
    found = b""
    while number > 127:
        found += bytes((number & 127 | 128,))
        number >>= 7
    return found + bytes((number,))


def _status(message: bytes) -> int:
    """The first field of a message of protocol buffers, if that is a number; 0 where it has none."""
    if message[:1] != b"\x08":
        return 0
    number = 0
    for place, byte in enumerate(message[1:11]):
        number |= (byte & 127) << (7 * place)
        if byte < 128:
            return number
    return 0
