# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A template in pieces, as Go's text/template reads it: texts, and actions with the words in them."""

from __future__ import annotations

import re
import typing as t

from .faults import Fault

# A minus beside a delimiter, set off by a blank, removes all blanks and line breaks on that side of the action.
BLANKS = " \t\r\n"
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_TOKENS = re.compile(
    r"""
      (?P<blank>[ \t\r\n]+)
    | (?P<string>"(?:[^"\\\n]|\\.)*"|`[^`]*`)
    | (?P<char>'(?:[^'\\\n]|\\.[^']*)')
    | (?P<number>[+-]?(?:0[xX][0-9a-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+|(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9_]+)?))
      (?![A-Za-z0-9_.])
    | (?P<assign>:=|=)
    | (?P<variable>\$[A-Za-z0-9_]*)
    | (?P<field>\.[A-Za-z_][A-Za-z0-9_]*)
    | (?P<dot>\.)
    | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<sign>[(),|])
    """,
    re.VERBOSE,
)


class Token(t.NamedTuple):
    """One word. `glued`: no blank is between it and the word before it, as in a chain of fields."""

    kind: str
    text: str
    line: int
    glued: bool = False


class Piece(t.NamedTuple):
    """A text, or the tokens of an action."""

    line: int
    text: str
    tokens: tuple[Token, ...] | None = None


def pieces(text: str, left: str, right: str) -> t.Iterator[Piece]:
    """The template in pieces, in order, without comments."""
    at, trim = 0, False
    while True:
        start = text.find(left, at)
        plain = text[at:] if start < 0 else text[at:start]
        if trim:
            plain = plain.lstrip(BLANKS)
        line = text.count("\n", 0, at) + 1
        if start < 0:
            if plain:
                yield Piece(line, plain)
            return
        inside = start + len(left)
        if text[inside : inside + 1] == "-" and text[inside + 1 : inside + 2] in tuple(BLANKS):
            plain, inside = plain.rstrip(BLANKS), inside + 2
        if plain:
            yield Piece(line, plain)
        line = text.count("\n", 0, start) + 1
        comment = _COMMENT.match(text, inside)
        if comment:
            end = comment.end()
            trim = text[end : end + 1] in tuple(BLANKS) and text.startswith(f"-{right}", end + 1)
            end += 2 * trim
            if not text.startswith(right, end):
                raise Fault(line, "a comment must fill its action", f"end it with */{right}")
        else:
            tokens, end = _words(text, inside, right, line)
            trim = text[end - 1] == "-"
            yield Piece(line, "", tuple(tokens))
        at = end + len(right)


def _words(text: str, at: int, right: str, line: int) -> tuple[list[Token], int]:
    """The tokens of an action, and where its right delimiter begins."""
    found: list[Token] = []
    glued = False
    while not text.startswith(right, at):
        if text[at : at + 1] == "-" and text[at - 1] in BLANKS and text.startswith(right, at + 1):
            return found, at + 1
        match = _TOKENS.match(text, at)
        if match is None:
            if at >= len(text):
                raise Fault(line, "the action is not closed", f"write {right}")
            wrong = "a string without its second quote" if text[at] in "\"'`" else f"{text[at]!r} where no such character can be"
            raise Fault(text.count("\n", 0, at) + 1, f"has {wrong}")
        kind = match.lastgroup or ""
        if kind != "blank":
            found.append(Token(kind, match.group(), text.count("\n", 0, at) + 1, glued))
        glued, at = kind != "blank", match.end()
    return found, at
