# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Forgets connections to ports that are no longer published, lead to another pod now, or have only just been published.

The kernel looks a port up once per connection. A client that keeps sending UDP from one source port would be sent to a pod that is gone,
or to none, for as long as it keeps sending. The kernel is asked in its own words (linux/netfilter/nfnetlink_conntrack.h), for most robots
have no program for it.
"""

from __future__ import annotations

import os
import socket
import struct

from .rules import published, ranges
from .six.family import FOUR, SIX

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from .files import Pod
    from .six.family import Family

    # Source, destination, protocol's number, and the ports of both.
    Tuple = t.Tuple[int, int, int, int, int]

_NETFILTER, _CONNTRACK = 12, 1 << 8
_NEW, _GET, _DELETE = 0, 1, 2
_REQUEST, _ACKNOWLEDGE, _DUMP = 1, 4, 0x300
_ERROR, _DONE = 2, 3
_ORIGINAL, _REPLY = 1, 2
_HEAD, _ATTRIBUTE = struct.Struct("=IHHII"), struct.Struct("=HH")
_FAMILY = struct.Struct("=BBH")
_NUMBER_OF = {FOUR.word: socket.AF_INET, SIX.word: socket.AF_INET6}
_NUMBERS = {"tcp": socket.IPPROTO_TCP, "udp": socket.IPPROTO_UDP}
# Seconds.
_PATIENCE = 5


def forget(pods: t.Mapping[str, Pod]) -> int:
    """Have nothing go on by a port to where that does not lead any more; how many there were."""
    return sum(_forget(pods, of) for of in (FOUR, SIX) if of.see(pods))


def _forget(pods: t.Mapping[str, Pod], of: Family) -> int:
    here, head, ports = ranges(pods, of), _FAMILY.pack(_NUMBER_OF[of.word], 0, 0), published(pods, of)
    leads = {(_NUMBERS[protocol], port, pod, to) for (protocol, port), ways in ports.items() for _host, pod, to in ways}
    opened = {port for protocol, port in ports if protocol == "udp"}
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETFILTER) as kernel:
        kernel.settimeout(_PATIENCE)
        kernel.bind((0, 0))
        stale = [
            raw
            for raw, asked, answered in _all(kernel, head)
            if _is_stale(asked, answered, of, here, leads) or _is_early(asked, answered, opened)
        ]
        for raw in stale:
            _say(kernel, _DELETE, _REQUEST | _ACKNOWLEDGE, head + raw)
            # It may have ended by itself.
            kernel.recv(65536)
    return len(stale)


def _is_stale(
    asked: Tuple, answered: Tuple, of: Family, here: t.Iterable[tuple[int, int]], leads: t.Container[tuple[int, int, int, int]]
) -> bool:
    """Whether it was sent on to a pod that is not, or no longer, what the port is for."""
    _source, destination, protocol, _source_port, port = asked
    pod, _back, _protocol, to, _back_port = answered
    return destination != pod and any(of.contains(each, pod) for each in here) and (protocol, port, pod, to) not in leads


def _is_early(asked: Tuple, answered: Tuple, opened: t.Container[int]) -> bool:
    """Whether it is sent to no pod at all, since the port was none when its first packet came. What leads away from the robot to such a
    port is taken for the same, and loses nothing by it.
    """
    source, destination, protocol, source_port, port = asked
    untouched = (destination, source, protocol, port, source_port)
    return protocol == socket.IPPROTO_UDP and port in opened and answered == untouched


def _all(kernel: socket.socket, head: bytes) -> t.Iterator[tuple[bytes, Tuple, Tuple]]:
    """Every connection of TCP and UDP: what names it, as the kernel has it; as it was asked for; and as answers come. ``head``: says of
    which family.
    """
    _say(kernel, _GET, _REQUEST | _DUMP, head)
    while True:
        said = kernel.recv(1 << 20)
        while said:
            length, kind, _flags, _number, _port = _HEAD.unpack_from(said)
            if kind == _ERROR:
                number = -struct.unpack_from("=i", said, _HEAD.size)[0]
                raise OSError(number, os.strerror(number))
            if kind == _DONE:
                return
            found = _attributes(said[_HEAD.size + _FAMILY.size : length])
            asked, answered = _tuple(found.get(_ORIGINAL, b"")), _tuple(found.get(_REPLY, b""))
            if kind == _CONNTRACK | _NEW and asked and answered:
                yield _nested(_ORIGINAL, found[_ORIGINAL]), asked, answered
            said = said[length + 3 & ~3 :]


def _say(kernel: socket.socket, kind: int, flags: int, message: bytes) -> None:
    kernel.send(_HEAD.pack(_HEAD.size + len(message), _CONNTRACK | kind, flags, os.getpid(), 0) + message)


def _nested(kind: int, content: bytes) -> bytes:
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(content), kind | 0x8000) + content


def _attributes(said: bytes) -> dict[int, bytes]:
    found = {}
    while len(said) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(said)
        if length < _ATTRIBUTE.size:
            break
        found[kind & 0x3FFF] = said[_ATTRIBUTE.size : length]
        said = said[length + 3 & ~3 :]
    return found


def _tuple(said: bytes) -> Tuple | None:
    """None for what has no ports. Addresses are the first attribute, and the protocol is the second. Those of IPv6 are numbered on."""
    parts = _attributes(said)
    addresses, protocol = _attributes(parts.get(1, b"")), _attributes(parts.get(2, b""))
    try:
        source_and_destination = (addresses[1], addresses[2]) if 1 in addresses else (addresses[3], addresses[4])
        numbers = (*source_and_destination, protocol[1], protocol[2], protocol[3])
    except KeyError:
        return None
    source, destination, number, from_port, to_port = (int.from_bytes(each, "big") for each in numbers)
    return source, destination, number, from_port, to_port
