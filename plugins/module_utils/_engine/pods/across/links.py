# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The links of this robot that other robots may be on, and where else it sends packets already."""

from __future__ import annotations

import os
import re
import sys

from ...say import jsontext
from ...system import command
from ..six.family import FOUR

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ..six.family import Family

    # The name of a link, the robot's address there, and the length of its network.
    Link = t.Tuple[str, int, int]

LINKS = "/sys/class/net"
ROUTES, ROUTES_SIX = "/proc/net/route", "/proc/net/ipv6_route"
# Where NetworkManager says which process serves the addresses of a link that it shares (its source, nm-dnsmasq-manager.c).
_LENT, _SERVES, _SERVER = "/run", re.compile(r"nm-dnsmasq-(.+)\.pid"), "dnsmasq"
# Bits of the network of a route that leads somewhere in particular.
_NARROW = 8
_OURS = "k8s4r"
# Of links on which nobody is asked for his Ethernet address: tunnels decide for themselves which addresses are at their other end.
_TUNNEL = {"LOOPBACK", "NOARP", "POINTOPOINT"}


def uplinks() -> list[str]:
    """Links that lead away from this robot: all but the loopback, ours, and bridges that no device is on. Ports are their bridge's."""
    found = []
    for name in os.listdir(LINKS):
        place = f"{LINKS}/{name}"
        ports = os.listdir(place + "/brif") if os.path.isdir(place + "/brif") else None
        inner = ports is not None and not any(os.path.exists(f"{LINKS}/{port}/device") for port in ports)
        # The end of a pod's link is no port of the bridge yet when it is new.
        if name != "lo" and not name.startswith(_OURS) and not inner and not os.path.exists(place + "/brport"):
            found.append(name)
    return sorted(found)


def switches() -> list[str]:
    """Bridges among these: what crosses one from port to port may pass the firewall as well (br_netfilter), and is not routed."""
    return [name for name in uplinks() if os.path.isdir(f"{LINKS}/{name}/bridge")]


def lent() -> list[str]:
    """Links by which NetworkManager lets others use this robot's network, as by a hotspot. It has rules of its own for them."""
    found = []
    for file in os.listdir(_LENT):
        match = _SERVES.fullmatch(file)
        # One that did not end by itself has left its number.
        if match and _runs(f"{_LENT}/{file}"):
            found.append(match.group(1))
    return sorted(found)


def _runs(file: str) -> bool:
    try:
        with open(file, encoding="ascii") as stream:
            number = int(stream.read())
        with open(f"/proc/{number}/comm", encoding="ascii", errors="replace") as stream:
            return stream.read().strip() == _SERVER
    except (OSError, ValueError):
        return False


def shared(of: Family = FOUR) -> list[Link]:
    """Those that are up, and on which this robot has an address in a network with others. Of IPv6, every link has one that says nothing."""
    away = set(uplinks())
    found = []
    for each in jsontext.loads(command.need(["ip", of.option, "-json", "address", "show", "up"], timeout=command.PATIENCE)):
        # Of what is not asked for, some versions have an empty entry.
        if each.get("ifname") in away and _TUNNEL.isdisjoint(each["flags"]):
            networks = [info for info in each["addr_info"] if info["prefixlen"] < of.bits and (of is FOUR or info["scope"] == "global")]
            found += [(each["ifname"], of.number(info["local"]), info["prefixlen"]) for info in networks]
    return found


def leading(of: Family) -> list[tuple[str, int, int]]:
    """Of each route of the main table but those to everywhere: the interface, and the first and the last address."""
    if of is FOUR:
        return list(routes())
    # The kernel's list of all of IPv6 has those of other tables among them, ours too.
    listed = jsontext.loads(command.need(["ip", of.option, "-json", "route", "show", "table", "main"], timeout=command.PATIENCE) or "[]")
    found = []
    for each in listed:
        base, slash, length = each["dst"].partition("/")
        if base != "default" and "dev" in each:
            bits = int(length) if slash else of.bits
            found += [(each["dev"], *of.bounds((of.number(base), bits)))] if bits >= _NARROW else []
    return found


def routes(path: str = ROUTES) -> t.Iterator[tuple[str, int, int]]:
    """Of each route but those to everywhere: the interface, and the first and the last address. Numbers are in the machine's byte order."""
    with open(path, encoding="ascii") as stream:
        rows = [line.split() for line in stream][1:]
    for row in rows:
        base, mask = (int.from_bytes(int(row[field], 16).to_bytes(4, sys.byteorder), "big") for field in (1, 7))
        # Halves of all there is, as VPNs have them, lead to everywhere, too.
        if bin(mask).count("1") >= _NARROW:
            yield row[0], base, base | (mask ^ 0xFFFFFFFF)


def routes_six(path: str = ROUTES_SIX) -> t.Iterator[tuple[str, int, int]]:
    """The same of IPv6: the interface, the first address, and the length; none where the kernel has no IPv6."""
    try:
        with open(path, encoding="ascii") as stream:
            rows = [line.split() for line in stream]
    except FileNotFoundError:
        return
    for row in rows:
        # What leads nowhere is of the loopback, as is what is the robot's own.
        if int(row[1], 16) >= _NARROW and row[9] != "lo":
            yield row[9], int(row[0], 16), int(row[1], 16)
