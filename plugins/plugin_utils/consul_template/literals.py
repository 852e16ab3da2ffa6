# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Constants in a template, as Go writes them: strings, characters and numbers."""

from __future__ import annotations

import re
import sys

from .faults import Fault
from .lexer import Token

_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\", "'": "'", '"': '"'}
_ESCAPE = re.compile(r"\\(?:([abfnrtv\\'\"])|([0-7]{3})|x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.|\n))")


def text(token: Token) -> str:
    """The text of a string in quotes or backquotes."""
    inside = token.text[1:-1]
    return inside.replace("\r", "") if token.text[0] == "`" else _unescaped(inside, token.line)


def character(token: Token) -> int:
    """The number of a character in single quotes."""
    found = _unescaped(token.text[1:-1], token.line)
    if len(found) != 1:
        raise Fault(token.line, "has more than one character, or none, in single quotes", "write a text in double quotes")
    return ord(found)


def _unescaped(text: str, line: int) -> str:
    def meant(match: re.Match[str]) -> str:
        simple, octal, two, four, eight, wrong = match.groups()
        if wrong is not None:
            raise Fault(line, "has a backslash before a character that cannot be escaped", "write \\\\ for a backslash, or use backquotes")
        if simple:
            return _ESCAPES[simple]
        found = int(octal, 8) if octal else int(two or four or eight, 16)
        if (octal or two) and found > 0x7F:
            raise Fault(line, "has an escape of a single byte above \\x7f, which is no character", "write the character itself, or \\u00e4")
        if found > sys.maxunicode or 0xD800 <= found <= 0xDFFF:
            raise Fault(line, "has an escape that is no Unicode character")
        return chr(found)

    return _ESCAPE.sub(meant, text)


def number(token: Token) -> int | float:
    """In any of Go's notations; a leading 0 makes it octal."""
    digits = token.text.replace("_", "")
    try:
        if re.fullmatch(r"[+-]?0[0-7]+", digits):
            return int(digits, 8)
        return int(digits, 0)
    except ValueError:
        pass
    try:
        return float(digits)
    except ValueError:
        raise Fault(token.line, "has a number that is not valid") from None
