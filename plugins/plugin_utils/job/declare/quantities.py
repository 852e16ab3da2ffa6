# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kubernetes quantities and Go durations as numbers, in exact integer arithmetic.

The patterns are what the JSON Schema publishes; a text that matches one always parses.
"""

from __future__ import annotations

import re

from .keys import Bytes, Millicores, Seconds

QUANTITY = r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(m|k|M|G|T|Ki|Mi|Gi|Ti|[eE][+-]?[0-9]{1,2})?"
DURATION = r"0|(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+"

# The longest duration. systemd counts in microseconds of 64 bits, adds them to the time of day, and refuses what it cannot count.
LONGEST = Seconds(100 * 365 * 24 * 3600)

_SUFFIXES = {
    None: (1, 0), "m": (1, -3), "k": (1, 3), "M": (1, 6), "G": (1, 9), "T": (1, 12),
    "Ki": (2**10, 0), "Mi": (2**20, 0), "Gi": (2**30, 0), "Ti": (2**40, 0),
}  # fmt: skip
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600}
_QUANTITY = re.compile(QUANTITY)
_DURATION = re.compile(DURATION)
_TERM = re.compile(r"([0-9.]+)([^0-9.]+)")


def _scaled(text: str, exponent: int) -> int:
    """The quantity times 10**exponent, rounded up as Kubernetes does."""
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise ValueError(text)
    number, suffix = match.groups()
    factor, power = _SUFFIXES.get(suffix) or (1, int(suffix[1:]))
    whole, _point, part = number.partition(".")
    value, power = int(whole + part) * factor, power - len(part) + exponent
    scaled: int = value * 10**power if power >= 0 else -(-value // 10**-power)
    return scaled


def millicores(text: str) -> Millicores:
    """``500m``, ``0.5`` and ``2`` as thousandths of a core. Raises ValueError."""
    return Millicores(_scaled(text, 3))


def size(text: str) -> Bytes:
    """``128Mi`` as bytes. Raises ValueError."""
    return Bytes(_scaled(text, 0))


def spelled(size: float) -> str:
    """A number of bytes in the largest unit of which it is a multiple, ``4Mi`` or ``12M``."""
    number = int(size)
    units = sorted(((factor * 10**power, unit) for unit, (factor, power) in _SUFFIXES.items() if unit and power >= 0), reverse=True)
    factor, unit = next(((factor, unit) for factor, unit in units if number and number % factor == 0), (1, ""))
    return f"{number // factor}{unit}"


def seconds(text: str) -> Seconds:
    """``1m30s`` as seconds, as Go's time.ParseDuration reads it, without a sign. Raises ValueError."""
    if _DURATION.fullmatch(text) is None:
        raise ValueError(text)
    return Seconds(sum(float(number) * _UNITS[unit] for number, unit in _TERM.findall(text)))
