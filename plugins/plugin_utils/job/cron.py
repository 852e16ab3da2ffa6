# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Times as cron has them, crontab(5): five fields, or a name such as @daily."""

from __future__ import annotations

import re
import typing as t

NAMED = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
# How many days a month has at most.
_LONGEST = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


class _Field(t.NamedTuple):
    """A field: what it counts, from where to where, and the names of its values."""

    what: str
    first: int
    last: int
    names: t.Mapping[str, int] = {}


FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of the month", 1, 31),
    _Field("month", 1, 12, {name: number for number, name in enumerate(_MONTHS, 1)}),
    # Both 0 and 7 are Sunday.
    _Field("day of the week", 0, 7, {name: number for number, name in enumerate(WEEKDAYS)}),
)
_PART = re.compile(r"(\*|(?P<first>[a-z0-9]+)(-(?P<last>[a-z0-9]+))?)(/(?P<step>[0-9]{1,3}))?")


class Odd(Exception):
    """A text that is no time; why, and what to write."""

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(reason)
        self.reason, self.remedy = reason, remedy


class Times(t.NamedTuple):
    """When something is to happen: every minute that is in all of these, where weekdays are 0 (Sunday) to 6.

    `either`: of `days` and `weekdays`, one is enough. crontab(5) has it so where neither field has a `*`.
    """

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: tuple[int, ...]
    months: tuple[int, ...]
    weekdays: tuple[int, ...]
    either: bool


def times(text: str) -> Times:
    """The times that a text names. Raises `Odd`."""
    fields = _fields(text)
    minutes, hours, days, months, weekdays = (_values(field, part) for field, part in zip(FIELDS, fields, strict=True))
    either = "*" not in fields[2] and "*" not in fields[4]
    if not either and not any(day <= _LONGEST[month - 1] for day in days for month in months):
        raise Odd("no such day ever comes", "name a day that one of the months has")
    return Times(minutes, hours, days, months, tuple(sorted({day % 7 for day in weekdays})), either)


def _fields(text: str) -> list[str]:
    remedy = f"write five fields ({', '.join(field.what for field in FIELDS)}) or one of {', '.join(NAMED)}"
    if text.strip() == "@reboot":
        raise Odd("a schedule is of times, and a boot is none", "leave schedule out; init tasks run at every boot")
    fields = NAMED.get(text.strip().lower(), text.lower()).split()
    if len(fields) != len(FIELDS):
        raise Odd(f"has {len(fields)} field{'s' * (len(fields) != 1)}", remedy)
    return fields


def _values(field: _Field, text: str) -> tuple[int, ...]:
    """The values of a list such as `1-5,10,20-40/5`."""
    found: set[int] = set()
    allowed = f"write numbers from {field.first} to {field.last}" + (f", or {', '.join(field.names)}" if field.names else "")
    for part in text.split(","):
        match = _PART.fullmatch(part)
        if match is None:
            raise Odd(f"the {field.what} is no list of numbers, ranges and steps", f"{allowed}; or *, */5, 1-5, 1,15")
        first, last = field.first, field.last
        if match["first"]:
            first = _number(field, match["first"], allowed)
            # A single number with a step begins there.
            last = _number(field, match["last"], allowed) if match["last"] else last if match["step"] else first
        if first > last:
            raise Odd(f"a range of the {field.what} ends before it begins", "write two ranges")
        step = int(match["step"] or 1)
        if not step:
            raise Odd(f"a step of the {field.what} is 0", "write 1 or more")
        found.update(range(first, last + 1, step))
    return tuple(sorted(found))


def _number(field: _Field, text: str, allowed: str) -> int:
    number = field.names.get(text, int(text) if text.isdigit() else -1)
    if not field.first <= number <= field.last:
        raise Odd(f"there is no such {field.what}", allowed)
    return number
