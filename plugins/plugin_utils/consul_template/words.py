# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The words of one action, which the parser takes one after the other."""

from __future__ import annotations

import typing as t

from .faults import Fault
from .lexer import Token


class Words:
    """The tokens of an action, and how far they have been read."""

    def __init__(self, tokens: t.Sequence[Token], line: int) -> None:
        self._tokens, self._at, self.line = tokens, 0, line

    @property
    def empty(self) -> bool:
        return self._at >= len(self._tokens)

    @property
    def left(self) -> t.Sequence[Token]:
        """Those that have not been read."""
        return self._tokens[self._at :]

    def ahead(self, number: int) -> Token | None:
        return self._tokens[self._at + number] if self._at + number < len(self._tokens) else None

    def peek(self) -> Token | None:
        return self.ahead(0)

    def next(self) -> Token | None:
        token = self.peek()
        self._at += 1
        return token

    def skip(self, number: int) -> None:
        self._at += number

    def take(self, sign: str) -> bool:
        token = self.peek()
        taken = token is not None and token.kind == "sign" and token.text == sign
        self._at += taken
        return taken

    def finished(self) -> None:
        token = self.peek()
        if token is not None:
            raise Fault(token.line, f"has {token.text!r} where the action should end")
