# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""print and printf as in Go. What Go would print as an error, such as `%!d(string=x)`, is refused."""

from __future__ import annotations

import re
import typing as t

from ..faults import Refusal
from ..values import kind, plain

_VERB = re.compile(r"%([-+# 0]*)([0-9]*)(?:\.([0-9]*))?(.|\n|$)")
_BASES = {"d": "d", "x": "x", "X": "X", "o": "o", "b": "b"}


def joined(values: t.Sequence[t.Any]) -> str:
    """Values one after the other, with a space between two of which neither is a text."""
    parts: list[str] = []
    for number, value in enumerate(values):
        if number and not isinstance(value, str) and not isinstance(values[number - 1], str):
            parts.append(" ")
        parts.append(plain(value))
    return "".join(parts)


def formatted(pattern: str, values: t.Sequence[t.Any]) -> str:
    rest = list(values)

    def one(match: re.Match[str]) -> str:
        flags, width, precision, verb = match.groups()
        if verb == "%":
            return "%"
        if not rest:
            raise Refusal("printf has fewer values than verbs")
        if precision and len(precision) > 4:
            raise Refusal("printf takes a precision of at most 9999")
        text = _one(verb, flags, None if precision is None else int(precision or 0), rest.pop(0))
        if not width:
            return text
        if len(width) > 4:
            raise Refusal("printf takes a width of at most 9999")
        if "-" in flags:
            return text.ljust(int(width))
        if "0" in flags and verb not in "sqv":
            sign = text[:1] if text[:1] in ("+", "-", " ") else ""
            return sign + text[len(sign) :].rjust(int(width) - len(sign), "0")
        return text.rjust(int(width), "0" if "0" in flags and verb in "sv" else " ")

    made = _VERB.sub(one, pattern)
    if rest:
        raise Refusal("printf has more values than verbs")
    return made


def _one(verb: str, flags: str, precision: int | None, value: t.Any) -> str:
    number = isinstance(value, int) and not isinstance(value, bool)
    if verb == "v" and "#" not in flags and "+" not in flags and precision is None:
        return plain(value)
    if verb == "s" and isinstance(value, str):
        return value if precision is None else value[:precision]
    if verb == "q" and isinstance(value, str) and not flags.strip("-0") and precision is None:
        return quoted(value)
    if verb == "t" and isinstance(value, bool):
        return plain(value)
    if verb == "c" and number and 0 <= value < 0x110000:
        return chr(value)
    if verb in _BASES and number and precision is None and "#" not in flags:
        return format(value, ("+" if "+" in flags else " " if " " in flags else "") + _BASES[verb])
    if verb in "xX" and isinstance(value, str) and not flags and precision is None:
        return value.encode().hex() if verb == "x" else value.encode().hex().upper()
    if verb in "feE" and isinstance(value, float):
        return format(value, f"{'+' if '+' in flags else ''}.{6 if precision is None else precision}{verb}")
    if verb == "g" and isinstance(value, float) and precision is None and not flags.strip("-0"):
        return plain(value)
    raise Refusal(f"printf cannot write {kind(value)} as %{flags}{verb}")


def quoted(text: str) -> str:
    """In quotes, as Go writes a string."""
    named = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v", "\\": "\\\\", '"': '\\"'}

    def escaped(char: str) -> str:
        if char.isprintable():
            return char
        code = ord(char)
        return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"

    return f'"{"".join(named.get(char) or escaped(char) for char in text)}"'
