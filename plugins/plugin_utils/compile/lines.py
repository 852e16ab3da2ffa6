# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines and environment variables: what a rendered file says, as Nomad reads it, by the rules of hashicorp/go-envparse; and how systemd
is told.

The compiler does both with what it has rendered, and a program on the robot, which is joined with this, with what has come from Consul.
"""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "r": "\r", "n": "\n", "t": "\t"}
_BLANKS = " \t\r\n\v\f"


class Unread(Exception):
    """A line that cannot be read as a variable: its number and the reason, without any of its text."""

    def __init__(self, line: int, why: str) -> None:
        super().__init__(f"line {line} {why}")


def parsed(text: str) -> dict[str, str]:
    """The variables by name; the last one wins. Raises `Unread`."""
    found = {}
    for number, line in enumerate(text.split("\n"), 1):
        try:
            pair = _pair(line.strip(_BLANKS))
        except ValueError as error:
            raise Unread(number, str(error)) from None
        if pair:
            found[pair[0]] = pair[1]
    return found


def _pair(line: str) -> tuple[str, str] | None:
    if not line or line.startswith("#"):
        return None
    key, equals, value = line.partition("=")
    if not equals:
        raise ValueError("has no =")
    key = key.strip(_BLANKS)
    if key.startswith("export ") and len(key) > len("export "):
        key = key[len("export ") :]
    if not _KEY.fullmatch(key):
        # Nomad also takes names with . and /, which neither a shell nor systemd accepts.
        raise ValueError("does not begin with the name of a variable: letters, digits and _, no digit first")
    return key, _value(value.strip(_BLANKS))


def _value(value: str) -> str:
    """A value without its quotes and without a comment after it. Quotes may begin anywhere; in double quotes, escapes are JSON's."""
    made: list[str] = []
    kept, quote, rest = 0, "", iter(value)
    for char in rest:
        if char < " ":
            raise ValueError("has a control character")
        if quote == '"' and char == "\\":
            made.append(_escaped(rest))
        elif char == quote:
            quote = ""
            continue
        elif not quote and char in ("'", '"'):
            quote = char
            continue
        elif not quote and char == "#":
            return "".join(made[:kept])
        else:
            made.append(char)
            if not quote and char in " \t":
                continue
        kept = len(made)
    if quote:
        raise ValueError(f"has no second {quote}")
    return "".join(made)


def _escaped(rest: t.Iterator[str]) -> str:
    char = next(rest, "")
    if char != "u":
        if char not in _ESCAPES:
            raise ValueError("has a backslash in double quotes before something that needs none")
        return _ESCAPES[char]
    code = _code(rest)
    if 0xD800 <= code < 0xE000:
        if (next(rest, ""), next(rest, "")) != ("\\", "u"):
            raise ValueError("has half a pair of surrogates")
        second = _code(rest)
        if code >= 0xDC00 or not 0xDC00 <= second < 0xE000:
            return "\ufffd"
        code = 0x10000 + ((code - 0xD800) << 10) + second - 0xDC00
    return chr(code)


def _code(rest: t.Iterator[str]) -> int:
    digits = "".join(next(rest, "") for _digit in range(4))
    if not re.fullmatch("[0-9A-Fa-f]{4}", digits):
        raise ValueError("has \\u without four hexadecimal digits")
    return int(digits, 16)


def for_systemd(variables: t.Mapping[str, str]) -> str:
    """The text of a file for EnvironmentFile=, sorted by name; any value is passed on byte for byte (systemd.exec(5))."""
    return "".join([f'{name}="{_protected(value)}"\n' for name, value in sorted(variables.items())])


def _protected(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("`", "\\`").replace("$", "\\$")
