# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands at a pod's link, and takes from it what is the pod's own alone: in front of the bridge, and of every firewall.

A filter of tc(8), in the kernel's classic instructions, which a flush of nftables leaves alone. What is from the pod's address goes
straight to the robot's routing. It does not pass the bridge, so neither does br_netfilter (Docker loads it) see it: that would take
what is sent to a published port for something between two ports of the bridge, which are isolated.

Of IPv6, this is all that goes anywhere: nobody asks who has an address, for that is written down (six/bridge.py). So a pod needs no
address of the link, sends nothing to many, and neither asks nor answers as a neighbour.
"""

from __future__ import annotations

from ..plan import BRIDGE
from .files import number
from .six import family

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    # Code, jump if true, jump if false, value: linux/filter.h.
    Instruction = t.Tuple[int, int, int, int]

# The offset of what the kernel knows of a packet and is not in it, and in there whether it has a tag of a VLAN (linux/filter.h).
_TAGGED = 0xFFFFF000 + 48
_BYTE, _HALF, _WORD = 0x30, 0x28, 0x20
_EQUALS, _LEAST, _MORE, _RETURN = 0x15, 0x35, 0x25, 0x06
# As a filter that decides by itself, for tc: pass, and drop (linux/pkt_cls.h); as one that only matches: no, and yes.
PASS, DROP = 0, 2
NO, YES = 0, 0xFFFFFFFF
_IP, _ARP, _IP6 = 0x0800, 0x0806, 0x86DD
_LOOPBACK = 127
# Of IPv6. Headers in front of others: options for each hop, ways, and options for the destination. ICMP, and its messages among neighbours
# and routers, the first and the last.
_OPTIONS = (0, 43, 60)
_ICMP6, _SOLICITS, _REDIRECTS = 58, 133, 137
# How addresses begin of what is on the link alone, and of many. With two bytes of 0 begin those of nobody, the loopback and IPv4.
_LINK_LOCAL, _MANY = 0xFE, 0xFF


def hardware(address: str) -> str:
    """The Ethernet address of who has this IPv4 address on the bridge: the robot or a pod, whose link's inner end has it. It is the
    one that plugins of CNI give, and it stays the same: a bridge without one of its own takes those of its ports, one after another.
    """
    return "0a:58:" + ":".join(f"{part:02x}" for part in number(address).to_bytes(4, "big"))


def at_pod(link: str, address: str, address6: str = "") -> list[str]:
    """Lines for `tc -batch`: a pod's end of a link sends packets and ARP of its own address, and nothing else. ``address6``: the one of
    IPv6, if it has any.
    """
    wanted, filters = number(address), f"filter replace dev {link} ingress handle 1 protocol all"
    packets = _of_both(wanted, family.number(address6)) if address6 else _packets(wanted)
    return [
        f"qdisc replace dev {link} clsact",
        f"{filters} pref 1 bpf bytecode {_text(packets)} action mirred ingress redirect dev {BRIDGE}",
        f"{filters} pref 2 bpf direct-action bytecode {_text(_questions(wanted))}",
    ]


def at_bridge() -> list[str]:
    """Lines for `tc -batch`: nothing comes in for the robot's loopback, not even where the kernel would route it."""
    program = [
        *((_HALF, 0, 0, 12), (_EQUALS, 0, 5, _IP)),
        *((_BYTE, 0, 0, 30), (_EQUALS, 2, 0, _LOOPBACK)),
        *((_BYTE, 0, 0, 26), (_EQUALS, 0, 1, _LOOPBACK)),
        *((_RETURN, 0, 0, DROP), (_RETURN, 0, 0, PASS)),
    ]
    return [
        f"qdisc replace dev {BRIDGE} clsact",
        f"filter replace dev {BRIDGE} ingress pref 1 handle 1 protocol all bpf direct-action bytecode {_text(program)}",
    ]


def bandwidth(device: str, mbits: int) -> str:
    """A line for `tc -batch`: no more than this many Mbit leave by a device in a second; with 0, as many as there are. The bucket holds
    what 10 ms bring, and at least one packet of 64 KiB, which a link inside of a robot has in one piece.
    """
    if not mbits:
        return f"qdisc replace dev {device} root noqueue"
    return f"qdisc replace dev {device} root tbf rate {mbits}mbit burst {max(65536, mbits * 1250)} latency 50ms"


def _packets(address: int) -> list[Instruction]:
    """IPv4 from the address, to any but a loopback."""
    return _all_of([(_BYTE, _TAGGED, 0), (_HALF, 12, _IP), (_WORD, 26, address)], [(_BYTE, 30, _LOOPBACK)], YES, NO)


def _of_both(address: int, address6: int) -> list[Instruction]:
    """Those, or IPv6."""
    six = _packets_six(address6)
    return [(_HALF, 0, 0, 12), (_EQUALS, 0, len(six), _IP6), *six, *_packets(address)]


def _packets_six(address: int) -> list[Instruction]:
    """IPv6 from the address, to a single machine that may be anywhere, and nothing that is between neighbours. What is too short to be
    looked at does not match.
    """
    fields = [(_BYTE, _TAGGED, 0)]
    fields += [(_WORD, 22 + 4 * place, address >> 96 - 32 * place & 0xFFFFFFFF) for place in range(4)]
    none = [(_HALF, 38, 0), (_BYTE, 38, _LINK_LOCAL), (_BYTE, 38, _MANY), *((_BYTE, 20, each) for each in _OPTIONS)]
    messages = [
        *((_BYTE, 0, 0, 20), (_EQUALS, 0, 3, _ICMP6)),
        *((_BYTE, 0, 0, 54), (_LEAST, 0, 1, _SOLICITS), (_MORE, 0, 1, _REDIRECTS)),
    ]
    return _all_of(fields, none, YES, NO, messages)


def _questions(address: int) -> list[Instruction]:
    """ARP for IPv4 over Ethernet, from the address and the pod's own Ethernet address, which it gives as its own."""
    high, low = 0x0A58, address
    fields = [(_BYTE, _TAGGED, 0), (_HALF, 12, _ARP), (_WORD, 14, 0x00010800), (_HALF, 18, 0x0604), (_WORD, 28, address)]
    fields += [(_HALF, 6, high), (_WORD, 8, low), (_HALF, 22, high), (_WORD, 24, low)]
    return _all_of(fields, [], PASS, DROP)


def _all_of(
    fields: t.Sequence[tuple[int, int, int]],
    none: t.Sequence[tuple[int, int, int]],
    well: int,
    ill: int,
    more: t.Sequence[Instruction] = (),
) -> list[Instruction]:
    """A program: ``well`` if each of the ``fields`` (how much is loaded, from where, what it is to be) is so, and none of ``none``.
    ``more``: what else is looked at then, with these two behind it.
    """
    tests = [(field, True) for field in fields] + [(field, False) for field in none]
    program: list[Instruction] = []
    for place, ((load, offset, value), equal) in enumerate(tests):
        # From behind the test to the last instruction.
        out = 2 * (len(tests) - place - 1) + len(more) + 1
        program += [(load, 0, 0, offset), (_EQUALS, 0, out, value) if equal else (_EQUALS, out, 0, value)]
    return [*program, *more, (_RETURN, 0, 0, well), (_RETURN, 0, 0, ill)]


def _text(program: t.Sequence[Instruction]) -> str:
    """In the words of tc-bpf(8)."""
    return '"' + ",".join([str(len(program)), *(" ".join(str(part) for part in each) for each in program)]) + '"'
