# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Functions of consul-template on numbers. Whole numbers have 64 bits."""

from __future__ import annotations

import math
import re
import typing as t

from ..faults import Refusal
from ..values import kind
from .declare import Functions

FUNCTIONS = Functions()
Number = t.Union[int, float]
# No sensible template counts further.
LONGEST_LOOP = 1_000_000


def _numbers(name: str, *values: t.Any) -> None:
    for value in values:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise Refusal(f"{name} takes numbers, and was given {kind(value)}", "use parseInt or parseFloat")


def _fits(number: Number) -> Number:
    if isinstance(number, int) and not -(2**63) <= number < 2**63:
        raise Refusal("the result is not a whole number of 64 bits")
    return number


@FUNCTIONS.takes("add", object, object)
def _add(b: t.Any, a: t.Any) -> Number:
    _numbers("add", a, b)
    return _fits(a + b)


@FUNCTIONS.takes("subtract", object, object)
def _subtract(b: t.Any, a: t.Any) -> Number:
    _numbers("subtract", a, b)
    return _fits(a - b)


@FUNCTIONS.takes("multiply", object, object)
def _multiply(b: t.Any, a: t.Any) -> Number:
    _numbers("multiply", a, b)
    return _fits(a * b)


@FUNCTIONS.takes("divide", object, object)
def _divide(b: t.Any, a: t.Any) -> Number:
    _numbers("divide", a, b)
    if not b:
        raise Refusal("cannot divide by zero")
    if isinstance(a, int) and isinstance(b, int):
        # Towards zero.
        return _fits(abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1))
    return t.cast(float, a / b)


@FUNCTIONS.takes("modulo", int, int)
def _modulo(b: int, a: int) -> int:
    if not b:
        raise Refusal("cannot divide by zero")
    return int(math.copysign(abs(a) % abs(b), a)) if abs(a) < 2**53 else a - b * int(_divide(b, a))


@FUNCTIONS.takes("minimum", object, object)
def _minimum(b: t.Any, a: t.Any) -> Number:
    _numbers("minimum", a, b)
    return t.cast(Number, a if a < b else b)


@FUNCTIONS.takes("maximum", object, object)
def _maximum(b: t.Any, a: t.Any) -> Number:
    _numbers("maximum", a, b)
    return t.cast(Number, a if a > b else b)


@FUNCTIONS.takes("loop", object, object, optional=1)
def _loop(first: t.Any, last: t.Any = None) -> list[int]:
    start, stop = (0, _whole(first)) if last is None else (_whole(first), _whole(last))
    if stop - start > LONGEST_LOOP:
        raise Refusal(f"loop counts at most {LONGEST_LOOP:,} steps")
    return list(range(start, stop))


def _whole(value: t.Any) -> int:
    if isinstance(value, str):
        return _parse_whole("loop", value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise Refusal(f"loop takes whole numbers, and was given {kind(value)}")
    return value


def _parse_whole(name: str, text: str, pattern: str = "[+-]?[0-9]+") -> int:
    if text and not re.fullmatch(pattern, text):
        raise Refusal(f"{name} was given something that is not a whole number")
    return int(_fits(int(text or "0")))


@FUNCTIONS.takes("parseInt", str)
def _parse_int(text: str) -> int:
    return _parse_whole("parseInt", text)


@FUNCTIONS.takes("parseUint", str)
def _parse_uint(text: str) -> int:
    return _parse_whole("parseUint", text, "[0-9]+")


@FUNCTIONS.takes("parseFloat", str)
def _parse_float(text: str) -> float:
    if text and not re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", text):
        raise Refusal("parseFloat was given something that is not a number")
    return float(text or "0")


@FUNCTIONS.takes("parseBool", str)
def _parse_bool(text: str) -> bool:
    if text in ("1", "t", "T", "TRUE", "true", "True"):
        return True
    if text in ("", "0", "f", "F", "FALSE", "false", "False"):
        return False
    raise Refusal("parseBool was given something that is neither true nor false")
