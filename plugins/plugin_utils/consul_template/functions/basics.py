# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The functions of Go's text/template, but for `and` and `or`."""

from __future__ import annotations

import typing as t
from urllib.parse import quote_plus

from ..faults import Refusal
from ..values import Texts, equal, kind, less, plain, truth
from . import printing
from .declare import Functions

FUNCTIONS = Functions()
_HTML = {"\0": "\ufffd", '"': "&#34;", "'": "&#39;", "&": "&amp;", "<": "&lt;", ">": "&gt;"}
_JS = {"\\": "\\\\", "'": "\\'", '"': '\\"', "<": "\\u003C", ">": "\\u003E", "&": "\\u0026", "=": "\\u003D"}


@FUNCTIONS.takes("not", object)
def _not(value: t.Any) -> bool:
    return not truth(value)


@FUNCTIONS.many("eq", 2)
def _eq(first: t.Any, *others: t.Any) -> bool:
    return any(equal(first, other) for other in others)


@FUNCTIONS.takes("ne", object, object)
def _ne(first: t.Any, second: t.Any) -> bool:
    return not equal(first, second)


@FUNCTIONS.takes("lt", object, object)
def _lt(first: t.Any, second: t.Any) -> bool:
    return less(first, second)


@FUNCTIONS.takes("le", object, object)
def _le(first: t.Any, second: t.Any) -> bool:
    return less(first, second) or equal(first, second)


@FUNCTIONS.takes("gt", object, object)
def _gt(first: t.Any, second: t.Any) -> bool:
    return not _le(first, second)


@FUNCTIONS.takes("ge", object, object)
def _ge(first: t.Any, second: t.Any) -> bool:
    return not less(first, second)


@FUNCTIONS.takes("len", object)
def _len(value: t.Any) -> int:
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, (list, dict)):
        return len(value)
    raise Refusal(f"{kind(value)} has no length")


@FUNCTIONS.many("index", 1)
def _index(value: t.Any, *keys: t.Any) -> t.Any:
    for key in keys:
        value = _item(value, key)
    return value


def _item(value: t.Any, key: t.Any) -> t.Any:
    if isinstance(value, dict):
        if not isinstance(key, str):
            raise Refusal(f"the key of a map must be a text, and is {kind(key)}")
        return value.get(key, "" if isinstance(value, Texts) else None)
    if not isinstance(value, (list, str)):
        raise Refusal(f"{kind(value)} has nothing to index")
    if not isinstance(key, int) or isinstance(key, bool):
        raise Refusal(f"the index must be a whole number, and is {kind(key)}")
    items: t.Sequence[t.Any] = value.encode() if isinstance(value, str) else value
    if not 0 <= key < len(items):
        raise Refusal("the index is out of range")
    return items[key]


@FUNCTIONS.many("slice", 1)
def _slice(value: t.Any, *numbers: t.Any) -> t.Any:
    if (
        not isinstance(value, (list, str))
        or len(numbers) > 2
        or not all(isinstance(number, int) and not isinstance(number, bool) for number in numbers)
    ):
        raise Refusal("slice takes a text or a list, and at most two whole numbers")
    items: t.Any = value.encode() if isinstance(value, str) else value
    first = numbers[0] if numbers else 0
    last = numbers[1] if len(numbers) > 1 else len(items)
    if not 0 <= first <= last <= len(items):
        raise Refusal("the slice is out of range")
    part = items[first:last]
    return part if isinstance(value, list) else _decoded(part)


def _decoded(part: bytes) -> str:
    try:
        return part.decode()
    except UnicodeDecodeError:
        raise Refusal("the slice would cut a character in two") from None


@FUNCTIONS.many("print")
def _print(*values: t.Any) -> str:
    return printing.joined(values)


@FUNCTIONS.many("println")
def _println(*values: t.Any) -> str:
    return " ".join(map(plain, values)) + "\n"


@FUNCTIONS.many("printf", 1)
def _printf(pattern: t.Any, *values: t.Any) -> str:
    if not isinstance(pattern, str):
        raise Refusal("the first argument of printf must be a text")
    return printing.formatted(pattern, values)


@FUNCTIONS.many("html")
def _html(*values: t.Any) -> str:
    return "".join(_HTML.get(char, char) for char in printing.joined(values))


@FUNCTIONS.many("js")
def _js(*values: t.Any) -> str:
    return "".join(_JS.get(char) or (char if char.isprintable() else f"\\u{ord(char):04X}") for char in printing.joined(values))


@FUNCTIONS.many("urlquery")
def _urlquery(*values: t.Any) -> str:
    return quote_plus(printing.joined(values), safe="")
