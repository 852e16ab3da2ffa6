# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Functions of consul-template on lists and maps, and JSON."""

from __future__ import annotations

import json
import typing as t

from ..faults import Refusal
from ..values import floating
from .declare import Functions

FUNCTIONS = Functions()
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"}


def _in(holder: t.Any, value: t.Any) -> bool:
    """Whether a text is in a text, or a value in a list. Types must be the same, and true and false are never found."""
    if isinstance(holder, str):
        return isinstance(value, str) and value in holder
    if not isinstance(holder, list) or isinstance(value, bool):
        return False
    return any(type(each) is type(value) and each == value for each in holder if isinstance(each, (int, float, str)))


@FUNCTIONS.takes("in", object, object)
def _is_in(holder: t.Any, value: t.Any) -> bool:
    return _in(holder, value)


@FUNCTIONS.takes("contains", object, object)
def _contains(value: t.Any, holder: t.Any) -> bool:
    return _in(holder, value)


@FUNCTIONS.takes("containsAll", list, object)
def _contains_all(values: list[t.Any], holder: t.Any) -> bool:
    return all(_in(holder, value) for value in values)


@FUNCTIONS.takes("containsAny", list, object)
def _contains_any(values: list[t.Any], holder: t.Any) -> bool:
    return any(_in(holder, value) for value in values)


@FUNCTIONS.takes("containsNone", list, object)
def _contains_none(values: list[t.Any], holder: t.Any) -> bool:
    return not _contains_any(values, holder)


@FUNCTIONS.takes("containsNotAll", list, object)
def _contains_not_all(values: list[t.Any], holder: t.Any) -> bool:
    return not _contains_all(values, holder)


@FUNCTIONS.takes("explodeMap", dict)
def _explode_map(given: dict[str, t.Any]) -> dict[str, t.Any]:
    """Turn keys with slashes into maps of maps."""
    made: dict[str, t.Any] = {}
    for key in sorted(given):
        *above, last = key.split("/")
        place = made
        for part in above:
            place = place.setdefault(part, {})
            if not isinstance(place, dict):
                raise Refusal("explodeMap was given a key that is also the beginning of another one")
        if last:
            place[last] = given[key]
    return made


@FUNCTIONS.takes("parseJSON", str)
def _parse_json(text: str) -> t.Any:
    if not text:
        return {}
    try:
        return json.loads(text, parse_int=float, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise Refusal("parseJSON was given something that is not JSON") from None


def _no_constant(_text: str) -> t.NoReturn:
    raise ValueError


@FUNCTIONS.takes("toJSON", object)
def _to_json(value: t.Any) -> str:
    return _dumped(value, "", True, False)


@FUNCTIONS.takes("toJSONPretty", object)
def _to_json_pretty(value: t.Any) -> str:
    return _dumped(value, "", True, True)


@FUNCTIONS.takes("toUnescapedJSON", object)
def _to_unescaped_json(value: t.Any) -> str:
    return _dumped(value, "", False, False)


@FUNCTIONS.takes("toUnescapedJSONPretty", object)
def _to_unescaped_json_pretty(value: t.Any) -> str:
    return _dumped(value, "", False, True)


def _dumped(value: t.Any, indent: str, html: bool, pretty: bool) -> str:
    """As Go's encoding/json writes it: without spaces, or each member on a line of its own."""
    if isinstance(value, (list, dict)):
        inside = f"{indent}  "
        start, between, end = (f"\n{inside}", f",\n{inside}", f"\n{indent}") if pretty and value else ("", ",", "")
        colon = ": " if pretty else ":"
        if isinstance(value, list):
            return f"[{start}{between.join(_dumped(each, inside, html, pretty) for each in value)}{end}]"
        members = [f"{_string(key, html)}{colon}{_dumped(value[key], inside, html, pretty)}" for key in sorted(value)]
        return f"{{{start}{between.join(members)}{end}}}"
    if isinstance(value, str):
        return _string(value, html)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _number(value)
    return str(value) if isinstance(value, int) else "null"


def _string(text: str, html: bool) -> str:
    """In quotes. `html`: also escape what HTML would take for markup."""

    def escaped(char: str) -> str:
        return f"\\u{ord(char):04x}" if char < " " or char in "\u2028\u2029" or (html and char in "<>&") else char

    return f'"{"".join(_ESCAPES.get(char) or escaped(char) for char in text)}"'


def _number(value: float) -> str:
    made = floating(value, -6, 21)
    return f"{made[:-2]}{made[-1]}" if made[-4:-1] == "e-0" else made
