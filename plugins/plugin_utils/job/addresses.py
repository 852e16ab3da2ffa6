# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The robot's own addresses, and when two listeners cannot share a port. The engine has its own copy (`system/ports.py`)."""

from __future__ import annotations

import functools
import ipaddress

LOOPBACK = "127.0.0.1"
# The hosts by which `to` of an inbound service names the robot itself.
LOOPBACK_HOSTS = (LOOPBACK, "localhost", "::1")
# A listener at one of these is at every address of the robot.
WILDCARDS = ("0.0.0.0", "::")
# What every robot has, whatever its network: a listener there never waits for an address.
ALWAYS_THERE = (LOOPBACK, "::1", *WILDCARDS)


def clash(first: str, second: str) -> bool:
    """Whether two listeners at these addresses cannot have the same port. `::` is every address, of both families."""
    pair = (first, second)
    return first == second or "::" in pair or ("0.0.0.0" in pair and ":" not in first + second)


def here(address: str) -> str:
    """Where programs of the robot reach what listens at an address of it, or at all of them."""
    listening = plain(address)
    return {"0.0.0.0": LOOPBACK, "::": "::1"}.get(listening, listening)


# The robots of a fleet have most hosts in common.
@functools.lru_cache(maxsize=4096)
def plain(host: str) -> str:
    """A host in the one spelling by which hosts are compared: an IPv6 address in its shortest form, without brackets, and the
    IPv4 address where it only wraps one.
    """
    try:
        found = ipaddress.IPv6Address(host.strip("[]"))
    except ValueError:
        return host
    return str(found.ipv4_mapped or found)


def plain_port(text: str) -> str:
    """The same for `host:port`."""
    host, _colon, port = text.rpartition(":")
    host = plain(host)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
