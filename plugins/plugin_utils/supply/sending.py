# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sends a file to a robot in parts, each behind those that have come: what a link that dies has brought is not sent again."""

from __future__ import annotations

import os
import time
import typing as t

from .store import Found

# Bytes of a part: the first tells how fast the link is. A part is to take some seconds, since one that got lost is sent again.
FIRST, SMALLEST, LARGEST = 256 << 10, 16 << 10, 16 << 20
SHORT, LONG = 1.0, 4.0
# How much slower than before a link may become until it counts as dead.
SLOWER = 16
# Parts in a row that bring nothing new. It is what a robot may lose of a file that it has, whose cache was emptied meanwhile.
ODD = 20

# The robot's answer to a request with a part, which has to come as fast as so many bytes a second are sent; None: as usual.
Call = t.Callable[[dict[str, t.Any], bytes, "float | None"], int]


class Unsent(Exception):
    """Why the robot has not got a file."""


def send(found: Found, call: Call, say: t.Callable[[int], None]) -> None:
    """Send what the robot has not got of a file; `say` is told how much it has. Raises `Unsent`."""
    request = {"op": "take", "sha256": found.sha256, "size": found.size}
    here = call({**request, "at": 0}, b"", None)
    length, speed, odd, furthest = FIRST, None, 0, here
    while here < found.size:
        part = os.pread(found.descriptor, length, here)
        began = time.monotonic()
        now = call({**request, "at": here}, part, speed)
        took = max(time.monotonic() - began, 0.001)
        # One that takes parts and loses them again would keep the run for ever.
        odd = 0 if now == here + len(part) > furthest else odd + 1
        furthest = max(furthest, now)
        if odd > ODD or not part:
            raise Unsent(f"the robot takes no further part of sha256:{found.sha256}; run again")
        if took < SHORT:
            length = min(2 * length, LARGEST)
        elif took > LONG:
            length = max(length // 2, SMALLEST)
        speed = len(part) / took / SLOWER
        here = now
        say(here)
