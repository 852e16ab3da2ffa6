# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The robot's own addresses, and when two listeners cannot share a port. The engine has its own copy (`system/ports.py`)."""

from __future__ import annotations

LOOPBACK = "127.0.0.1"
# The hosts by which `to` of an inbound service names the robot itself.
LOOPBACK_HOSTS = (LOOPBACK, "localhost", "[::1]")
# A listener at one of these is at every address of the robot.
WILDCARDS = ("0.0.0.0", "::")
# What every robot has, whatever its network: a listener there never waits for an address.
ALWAYS_THERE = (LOOPBACK, "::1", *WILDCARDS)


def clash(first: str, second: str) -> bool:
    """Whether two listeners at these addresses cannot have the same port."""
    return first == second or first in WILDCARDS or second in WILDCARDS
