# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of this robot's pods: all that is known here of a pod. The compiler writes them, one for each, of the pod's id."""

from __future__ import annotations

import os

from .. import plan
from ..state import formats

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    class Published(t.TypedDict):
        """A port of the robot that leads to one of a pod. ``address``: the robot's that it is at; 0.0.0.0 are all of IPv4, and :: all
        of both, for a pod that has both.
        ``protocol``: tcp or udp.
        """

        address: str
        port: int
        to: int
        protocol: str

    class _Resolution(t.TypedDict):
        servers: list[str]
        searches: list[str]

    class Resolution(_Resolution, total=False):
        """``servers``: addresses of name servers; none for the robot's own. ``searches``: domains to look in. ``domain``: that of which the
        robot has a DNS server, if it has one; ``loopback``: whether that answers at the robot's loopback, too. ``pods``: for which pods of
        other robots it answers, by their group: their names, each with its addresses.
        """

        domain: str
        loopback: bool
        pods: dict[str, dict[str, list[str]]]

    class _Pod(t.TypedDict):
        """What is in a file, as JSON, with the ``version`` of its form (state/formats.py).

        ``name``: the pod's. ``group``: namespace/job/group.
        ``address``: an IPv4 address, which is in the ``range``: the network of all pods of this robot, with the robot itself at its first
        address. ``reach``: the groups besides its own whose pods may open connections to this one. ``hosts``: further names, each with
        its address.
        """

        name: str
        group: str
        address: str
        range: str
        reach: list[str]
        ports: list[Published]
        hosts: dict[str, str]
        dns: Resolution

    class Pod(_Pod, total=False):
        """``elsewhere``: of its own group, and of those in its ``reach``, the addresses of pods on other robots. ``mbits``: how many Mbit
        it may send in a second, and how many receive; any, where it is left out. ``address6``, ``range6`` and ``elsewhere6``: the same
        as above of IPv6, where the robot's pods have that (six/family.py).
        """

        elsewhere: dict[str, list[str]]
        elsewhere6: dict[str, list[str]]
        mbits: int
        address6: str
        range6: str


def described(directory: str = plan.PODS) -> dict[str, Pod]:
    """Every pod whose file can be read, by its id: one that is damaged must not keep the others from their network."""
    try:
        names = sorted(os.listdir(directory))
    except FileNotFoundError:
        return {}
    # A file that is on its way has a name with a dot in front.
    found = {name: _read(f"{directory}/{name}") for name in names if not name.startswith(".")}
    return {name: pod for name, pod in found.items() if pod}


def any_there(directory: str = plan.PODS) -> bool:
    """Whether the robot has pods at all, readable or not."""
    try:
        return any(not name.startswith(".") for name in os.listdir(directory))
    except FileNotFoundError:
        return False


def one(id: str, directory: str = plan.PODS) -> Pod | None:
    """A single pod; None where its file is gone or damaged."""
    return _read(f"{directory}/{id}")


def link(id: str) -> str:
    """The robot's end of a pod's link, by its id. The kernel takes 15 characters."""
    import hashlib

    return f"k8s4r{hashlib.sha256(id.encode()).hexdigest()[:10]}"


def gateway(range: str) -> str:
    """The robot's own address in the network of its pods: the first."""
    return spelt(network(range)[0] + 1)


def number(address: str) -> int:
    """An IPv4 address as a number; raises ValueError for anything else."""
    parts = address.split(".")
    if len(parts) != 4 or not all(part.isascii() and part.isdecimal() and len(part) < 4 and int(part) < 256 for part in parts):
        raise ValueError(f"{address!r} is not an IPv4 address")
    return int.from_bytes(bytes(int(part) for part in parts), "big")


def network(text: str) -> tuple[int, int]:
    """The first address and the length of an IPv4 network; raises ValueError for anything else."""
    base, slash, length = text.partition("/")
    if not slash or not (length.isascii() and length.isdecimal()) or not 8 <= int(length) <= 30:
        raise ValueError(f"{text!r} is not an IPv4 network")
    shift = 32 - int(length)
    return number(base) >> shift << shift, int(length)


def spelt(number: int) -> str:
    """The address of a number."""
    return ".".join(str(each) for each in number.to_bytes(4, "big"))


def parsed(text: str) -> Pod | None:
    """A pod by the content of its file; None where it is damaged, or of a newer version."""
    try:
        found = formats.read(plan.PODS, "pod", text)
    except formats.Unread:
        return None
    return found if _is_sound(found) else None


def _read(path: str) -> Pod | None:
    try:
        with open(path, encoding="utf-8") as stream:
            return parsed(stream.read())
    except (OSError, ValueError):
        return None


def _is_sound(found: t.Any) -> bool:
    """Whether what it lists is there, too."""
    return (
        all(found[key] for key in ("name", "group", "address", "range"))
        and all(isinstance(each, str) for each in found["reach"])
        and all(isinstance(port, dict) and {"address", "port", "to", "protocol"} == set(port) for port in found["ports"])
        and isinstance(found.get("mbits", 1), int)
        and 0 < found.get("mbits", 1) <= plan.FASTEST
        and all(isinstance(found.get(key, ""), str) for key in ("address6", "range6"))
        and ("address6" in found) == ("range6" in found)
        and all(isinstance(found.get(key, {}), dict) for key in ("elsewhere", "elsewhere6"))
        and all(isinstance(each, list) for key in ("elsewhere", "elsewhere6") for each in found.get(key, {}).values())
    )
