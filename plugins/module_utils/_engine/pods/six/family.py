# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What differs between IPv4 and IPv6 in what is written for nft and ip: so that one code makes the walls of both.

A pod's IPv6 address has its IPv4 address in its last 32 bits. So no two pods of a robot have the same one, whatever range they had
when they were deployed. The robot has the first address of the range, as it does with IPv4.
"""

from __future__ import annotations

import os

from .. import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ..files import Pod, Published

# Where the kernel lists its IPv6 addresses, unless it was booted without.
LISTED = "/proc/net/if_inet6"
_BITS = 128
# The lengths of a range's prefix: what is left has room for an IPv4 address.
_WIDEST, _NARROWEST = 16, 96


def number(address: str) -> int:
    """An IPv6 address as a number; raises ValueError for anything else."""
    # The unchanged path has no use for it.
    import socket

    try:
        return int.from_bytes(socket.inet_pton(socket.AF_INET6, address), "big")
    except (OSError, TypeError):
        raise ValueError(f"{address!r} is not an IPv6 address") from None


def network(text: str) -> tuple[int, int]:
    """The first address and the length of an IPv6 network, of those that anybody may have: global ones (2000::/3), and a site's own
    (fc00::/7). Raises ValueError for anything else.
    """
    base, slash, length = text.partition("/")
    if not slash or not (length.isascii() and length.isdecimal()) or not _WIDEST <= int(length) <= _NARROWEST:
        raise ValueError(f"{text!r} is not an IPv6 network for pods")
    shift = _BITS - int(length)
    first = number(base) >> shift << shift
    if first >> 125 != 1 and first >> 121 != 0xFC >> 1:
        raise ValueError(f"{text!r} is not an IPv6 network for pods")
    return first, int(length)


def spelt(number: int) -> str:
    """The address of a number, as the kernel writes it."""
    import socket

    return socket.inet_ntop(socket.AF_INET6, number.to_bytes(16, "big"))


def address(range: str, four: str) -> str:
    """The address in a range of the pod that has this one of IPv4."""
    return spelt(network(range)[0] | files.number(four))


def is_there() -> bool:
    """Whether the robot's kernel has IPv6 at all."""
    return os.path.exists(LISTED)


def of_four(pods: t.Mapping[str, Pod]) -> dict[str, Pod]:
    """Pods as IPv4 sees them: with the ports that are published at addresses of it."""
    return {id: {**pod, "ports": _published(pod, "0.0.0.0", ("::",) if "range6" in pod else ())} for id, pod in pods.items()}


def of_six(pods: t.Mapping[str, Pod]) -> dict[str, Pod]:
    """Those that have an IPv6 address, as IPv6 sees them: in place of the IPv4 address, and likewise of pods on other robots."""
    return {
        id: {
            **pod,
            "address": pod["address6"],
            "range": pod["range6"],
            "ports": _published(pod, "::", ()),
            "elsewhere": pod.get("elsewhere6", {}),
        }
        for id, pod in pods.items()
        if "range6" in pod
    }


def _published(pod: Pod, every: str, also: t.Container[str]) -> list[Published]:
    """The ports of one family alone; one that is published at ``also`` is at ``every`` address."""
    found: list[Published] = [{**port, "address": every if port["address"] in also else port["address"]} for port in pod["ports"]]
    return [port for port in found if (":" in port["address"]) == (":" in every)]


class Family:
    """``word``: of nft. ``option``: of ip. ``known``: how the network of another robot's pods, and its own addresses, are called in what
    this one is told (across/robots.py). ``every``: all addresses of the robot. ``see``: pods as this family sees them. ``number``,
    ``network`` and ``spelt``: an address, and a range, as numbers, and as text.
    """

    def __init__(
        self,
        word: str,
        option: str,
        known: tuple[str, str],
        bits: int,
        every: str,
        see: t.Callable[[t.Mapping[str, Pod]], dict[str, Pod]],
        number: t.Callable[[str], int],
        network: t.Callable[[str], tuple[int, int]],
        spelt: t.Callable[[int], str],
    ) -> None:
        self.word, self.option, self.known, self.bits, self.every, self.see = word, option, known, bits, every, see
        self.number, self.network, self.spelt = number, network, spelt

    def contains(self, whole: tuple[int, int], value: int) -> bool:
        shift = self.bits - whole[1]
        return value >> shift == whole[0] >> shift

    def bounds(self, whole: tuple[int, int]) -> tuple[int, int]:
        """The first and the last address of a network, as numbers."""
        return whole[0], whole[0] + (1 << self.bits - whole[1]) - 1

    def overlap(self, one: tuple[int, int], other: tuple[int, int]) -> bool:
        """Whether two networks have addresses in common."""
        return self.contains(one, other[0]) or self.contains(other, one[0])

    def written(self, whole: tuple[int, int]) -> str:
        """A network as text."""
        return f"{self.spelt(whole[0])}/{whole[1]}"

    def gateway(self, range: str) -> str:
        """The robot's own address in the network of its pods: the first."""
        return self.spelt(self.network(range)[0] + 1)


FOUR = Family("ip", "-4", ("range", "addresses"), 32, "0.0.0.0", of_four, files.number, files.network, files.spelt)
SIX = Family("ip6", "-6", ("range6", "addresses6"), _BITS, "::", of_six, number, network, spelt)


def without_six(pods: t.Mapping[str, Pod]) -> dict[str, Pod]:
    """The same pods, as they are where the kernel has no IPv6."""
    found = of_four(pods)
    for pod in found.values():
        pod.pop("address6", None)
        pod.pop("range6", None)
    return found


def is_sound(pod: Pod) -> bool:
    """Whether what is said of IPv6 is right, if anything is. Raises ValueError or KeyError otherwise."""
    if "range6" not in pod:
        return "address6" not in pod
    first, _length = network(pod["range6"])
    found = number(pod["address6"])
    return found == first | files.number(pod["address"]) and found != first + 1
