# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packets that a root in a pod writes by hand, and who sees them."""

from __future__ import annotations

import json
import socket
import struct
import typing as t

from ansible_collections.k8s4r.robot.plugins.module_utils._engine.pods import files, guard
from tests.integration.pods.network import Pods

MARK = b"forged"
SENDS = """
import json, socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(("eth0", 0))
for each in json.load(sys.stdin):
    s.send(bytes.fromhex(each))
"""
# What has passed every filter is seen by a program: so the robot's end is what its programs receive, and the pod's is its link.
LOOKS = """
import select, socket, sys
if sys.argv[1] == "pod":
    sockets = [socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))]
    sockets[0].bind(("eth0", 0))
else:
    sockets = [socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_UDP) for family in (socket.AF_INET6, socket.AF_INET)]
print("ready", flush=True)
while True:
    # All that came by IPv6 before anything by IPv4, as the last word does.
    said = select.select(sockets, [], [])[0][0].recv(2000)
    if b"forged" in said:
        print(said.hex(), flush=True)
"""


def ethernet(address: str) -> bytes:
    return bytes.fromhex(address.replace(":", ""))


def number(address: str) -> bytes:
    return files.number(address).to_bytes(4, "big")


def packet(to: str, pod: str, source: str, destination: str, port: int, tag: bool = False) -> bytes:
    """A packet of UDP from a pod's Ethernet address."""
    said = MARK + bytes(20)
    udp = struct.pack("!HHHH", 5555, port, 8 + len(said), 0) + said
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0, number(source), number(destination))
    words = sum(struct.unpack("!10H", head))
    total = ~((words & 0xFFFF) + (words >> 16)) & 0xFFFF
    head = head[:10] + struct.pack("!H", total) + head[12:]
    kind = b"\x81\x00\x00\x01\x08\x00" if tag else b"\x08\x00"
    return ethernet(to) + ethernet(guard.hardware(pod)) + kind + head + udp


def packet6(to: str, pod: str, source: str, destination: str, port: int = 8081, front: bytes = b"", header: int = 17) -> bytes:
    """The same of IPv6. ``front``: what is in front of UDP, which is the ``header``."""
    said = MARK + bytes(20)
    udp = struct.pack("!HHHH", 5555, port, 8 + len(said), 0) + said
    return _six(to, pod, source, destination, header, front + _summed(source, destination, udp, 17, 6))


def claim6(to: str, pod: str, source: str, destination: str, address: str, kind: int = 136, front: bytes = b"") -> bytes:
    """A neighbour's answer that nobody asked for: the address is at this pod's Ethernet address, whatever was known before. Or another
    ``kind`` of such a message.
    """
    own = ethernet(guard.hardware(pod))
    said = struct.pack("!BBHI", kind, 0, 0, 0x60000000) + socket.inet_pton(socket.AF_INET6, address) + b"\x02\x01" + own
    return _six(to, pod, source, destination, 0 if front else 58, front + _summed(source, destination, said, 58, 2), hops=255)


def _six(to: str, pod: str, source: str, destination: str, header: int, content: bytes, hops: int = 64) -> bytes:
    ends = b"".join(socket.inet_pton(socket.AF_INET6, each) for each in (source, destination))
    head = struct.pack("!IHBB", 0x60000000, len(content), header, hops) + ends
    return ethernet(to) + ethernet(guard.hardware(pod)) + b"\x86\xdd" + head + content


def _summed(source: str, destination: str, content: bytes, protocol: int, place: int) -> bytes:
    """With its sum, without which the kernel drops it."""
    ends = b"".join(socket.inet_pton(socket.AF_INET6, each) for each in (source, destination))
    whole = ends + struct.pack("!II", len(content), protocol) + content + bytes(len(content) % 2)
    words = sum(struct.unpack(f"!{len(whole) // 2}H", whole))
    while words >> 16:
        words = (words & 0xFFFF) + (words >> 16)
    return content[:place] + struct.pack("!H", ~words & 0xFFFF) + content[place + 2 :]


def claim(ethernet_of: str, address: str) -> bytes:
    """ARP, to all: the address is at somebody's Ethernet address."""
    sender = ethernet(guard.hardware(ethernet_of))
    arp = b"\x00\x01\x08\x00\x06\x04\x00\x02" + sender + number(address) + sender + number(address)
    return b"\xff" * 6 + sender + b"\x08\x06" + arp + MARK


def seen(pods: Pods, sender: str, other: str, forged: t.Sequence[bytes]) -> dict[str, list[str]]:
    """What the robot's programs and another pod see of packets from a pod, in hexadecimal."""
    machine = pods.machine
    machine.execute("cat > /run/sends.py", SENDS.encode())
    machine.execute("cat > /run/looks.py", LOOKS.encode())
    for who, front in (("robot", ""), ("pod", f"ip netns exec k8s4r-{other} ")):
        out = f"--property=StandardOutput=truncate:/run/seen-{who}"
        machine.sh(
            f"rm -f /run/seen-{who}; systemd-run --quiet --collect --unit=answers-looks-{who} {out} {front}python3 /run/looks.py {who}"
        )
        machine.until(f"grep -q ready /run/seen-{who}")
    outcome = machine.execute(f"ip netns exec k8s4r-{sender} python3 /run/sends.py", json.dumps([each.hex() for each in forged]).encode())
    assert outcome.status == 0, outcome
    # One that is let through comes after them, so what was there to see has been seen.
    machine.until(f'ip netns exec k8s4r-{sender} python3 -c "{_LAST}"; grep -q {_LAST_WORD.hex()} /run/seen-robot')
    found = {who: machine.sh(f"cat /run/seen-{who}").split()[1:] for who in ("robot", "pod")}
    machine.sh("systemctl stop answers-looks-robot answers-looks-pod")
    found["robot"] = [each for each in found["robot"] if _LAST_WORD.hex() not in each]
    return found


_LAST_WORD = MARK + b"last"
_LAST = "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'forgedlast', ('172.26.64.1', 7003))"
