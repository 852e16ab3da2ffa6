# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values of templates as Go has them: what is true, what is equal, and how they are printed.

They are None, bool, int, float, str, list, and dict with text as keys. A map of texts, as `splitToMap` makes it, is a `Texts`: for a key
that is missing there Go prints an empty text, and for one that is missing in any other map `<no value>`.
"""

from __future__ import annotations

import math
import typing as t

from .faults import Refusal

Value = t.Any
KINDS = {bool: "bool", int: "int", float: "float64", str: "string", list: "list", dict: "map", type(None): "nil"}


class Texts(dict[str, str]):
    """A map of texts."""


class Record(dict[str, Value]):
    """A structure of Go's, of which not all fields may be known here: it has no other field, and is no whole that could be printed."""


class NoValue:
    """The value of a key that is missing in a map: it counts as nothing."""


NO_VALUE = NoValue()
# What the dot is at the beginning. Every field of it is nothing, too.
NOTHING = NoValue()


def kind(value: Value) -> str:
    """What Go calls the type of a value."""
    if isinstance(value, Record):
        return "an instance of a service"
    return next((name for cls, name in KINDS.items() if isinstance(value, cls)), "nothing")


def truth(value: Value) -> bool:
    """Whether a value counts as true: nothing, false, zero and what is empty do not."""
    return not isinstance(value, NoValue) and bool(value)


def shown(value: Value) -> str:
    """As an action prints it."""
    if value is None or isinstance(value, NoValue):
        return "<no value>"
    return plain(value)


def plain(value: Value) -> str:
    """By the verb %v."""
    if value is None or isinstance(value, NoValue):
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return floating(value)
    if isinstance(value, dict):
        return f"map[{' '.join(f'{plain(key)}:{plain(value[key])}' for key in sorted(value))}]"
    if isinstance(value, list):
        return f"[{' '.join(map(plain, value))}]"
    return str(value)


def floating(value: float, least: int = -4, most: int = 6) -> str:
    """The shortest digits that stand for this number, with an exponent where that is below `least` or not below `most`: by default as Go's
    %g has it.
    """
    if not math.isfinite(value):
        return {"nan": "NaN", "inf": "+Inf", "-inf": "-Inf"}[str(value)]
    sign, digits, exponent = _shortest(value)
    if exponent < least or exponent >= most:
        rest = f".{digits[1:]}" if len(digits) > 1 else ""
        return f"{sign}{digits[0]}{rest}e{'-' if exponent < 0 else '+'}{abs(exponent):02}"
    if exponent < 0:
        return f"{sign}0.{'0' * (-exponent - 1)}{digits}"
    whole = digits[: exponent + 1].ljust(exponent + 1, "0")
    rest = digits[exponent + 1 :]
    return f"{sign}{whole}{'.' + rest if rest else ''}"


def _shortest(value: float) -> tuple[str, str, int]:
    """The sign, the digits without a point, and the power of ten of the first digit."""
    import decimal

    negative, digits, exponent = decimal.Decimal(repr(value)).as_tuple()
    text = "".join(map(str, digits)).lstrip("0")
    shortest = text.rstrip("0") or "0"
    return "-" if negative else "", shortest, 0 if shortest == "0" else int(exponent) + len(text) - 1


def equal(first: Value, second: Value) -> bool:
    """Raises `Refusal` where Go has no such comparison."""
    if first is None or second is None or isinstance(first, NoValue) or isinstance(second, NoValue):
        return (first is None or isinstance(first, NoValue)) and (second is None or isinstance(second, NoValue))
    _comparable(first, second)
    return bool(first == second)


def less(first: Value, second: Value) -> bool:
    """Raises `Refusal` where Go has no such comparison."""
    _comparable(first, second)
    if isinstance(first, bool):
        raise Refusal("true and false have no order")
    return bool(first < second)


def _comparable(first: Value, second: Value) -> None:
    kinds = (kind(first), kind(second))
    if not set(kinds) <= {"bool", "int", "float64", "string"}:
        raise Refusal(f"cannot compare {' and '.join(sorted(set(kinds)))}")
    if kinds[0] != kinds[1]:
        raise Refusal(f"cannot compare {kinds[0]} and {kinds[1]}", "write both numbers in the same way, or use parseInt or parseFloat")
