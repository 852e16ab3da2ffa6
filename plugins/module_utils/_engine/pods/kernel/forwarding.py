# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the robot forwards packets, as it must for its pods, and did for nobody before.

IPv6 has one switch that decides (`all`), and one for each interface that says whether the robot is a host there or a router. The first
moves all the others, and a router takes no way to the network from those who announce one: the robot would lose its own. So each
interface is a host again at once, and in between it listens to announcements as a router does that was told to (accept_ra 2).
"""

from __future__ import annotations

import os

from ... import plan
from ...system import files
from . import settings

# Here is noted that the robot forwarded nothing before its first pod, or before its first pod with IPv6: as long as it forwards for us
# alone, it is no router for anybody else (`ours`).
FORWARDED, FORWARDED_SIX = plan.POD_STATES + "/.forwarding", plan.POD_STATES + "/.forwarding6"
_DEVICES = "/sys/class/net"
_FOUR, _SIX, _EACH = "ipv4/ip_forward", "ipv6/conf/all/forwarding", "ipv6/conf"


def ours(six: bool) -> list[str]:
    """Of which families the robot forwards packets for its pods alone, or is about to, in nft's words. ``six``: it has pods with IPv6.

    What is asked here is asked before anything is switched on, so that a robot is never a router in between.
    """
    found = ["ip"] if os.path.exists(FORWARDED) or settings.read(_FOUR) == "0" else []
    return [*found, "ip6"] if os.path.exists(FORWARDED_SIX) or (six and settings.read(_SIX) == "0") else found


def left() -> list[str]:
    """The same of a robot without pods: of which families it goes on because others have come who need it."""
    return [word for word, note in (("ip", FORWARDED), ("ip6", FORWARDED_SIX)) if os.path.exists(note)]


def begin() -> list[str]:
    """Packets of pods are forwarded by the robot; what was not so. Where it did so for nobody before, that is noted."""
    if settings.read(_FOUR) != "0":
        return []
    files.replace(FORWARDED, b"")
    settings.configure({_FOUR: "1"})
    return [_FOUR]


def begin_six() -> list[str]:
    """The same of IPv6; what was not so."""
    if settings.read(_SIX) != "0":
        return []
    files.replace(FORWARDED_SIX, b"")
    _switch("1")
    return [_SIX]


def end() -> None:
    """But where others have come who need it, whoever else has a bridge: then the note stays, too, because we still are who began."""
    if os.path.exists(FORWARDED) and not _others():
        files.remove(FORWARDED)
        settings.configure({_FOUR: "0"})
    end_six()


def end_six() -> list[str]:
    if not os.path.exists(FORWARDED_SIX) or _others():
        return []
    files.remove(FORWARDED_SIX)
    if settings.read(_SIX) != "1":
        return []
    _switch("0")
    return [_SIX]


def _others() -> bool:
    return any(device != plan.BRIDGE and os.path.isdir(f"{_DEVICES}/{device}/bridge") for device in os.listdir(_DEVICES))


def _switch(value: str) -> None:
    """Of IPv6. Afterwards all interfaces, and those to come (`default`), are what they were. Whenever one becomes a router, the kernel
    forgets what was announced on all interfaces, but where they listen as routers do.
    """
    known = [name for name in sorted(os.listdir(f"{settings.SETTINGS}/{_EACH}")) if name != "all"]
    was = {name: settings.read(f"{_EACH}/{name}/forwarding") for name in known}
    listens = [name for name in known if was[name] == "0" and name != "default" and settings.read(f"{_EACH}/{name}/accept_ra") == "1"]
    settings.in_turn(
        [
            *((f"{_EACH}/{name}/accept_ra", "2") for name in listens),
            (_SIX, value),
            *((f"{_EACH}/{name}/forwarding", before) for name, before in was.items() if before not in ("", value)),
            *((f"{_EACH}/{name}/accept_ra", "1") for name in listens),
        ]
    )
