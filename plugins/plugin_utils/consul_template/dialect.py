# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""In which of two languages a template is written, consul-template's or Jinja: told by what belongs to one of them alone."""

from __future__ import annotations

import re
import typing as t

from .functions import FUNCTIONS, REFUSED, SPECIAL

# Words that Jinja has too, as values or filters.
_OF_BOTH = ("and", "in", "index", "indent", "join", "not", "or", "replace", "slice", "split", "trim")
_OWN = sorted({*FUNCTIONS, *REFUSED, *SPECIAL}.difference(_OF_BOTH))
_NAMES = "|".join(_OWN)
_CAMEL = "|".join(name for name in _OWN if name != name.lower())
# How an action of Go's begins: with a keyword and what belongs to it, a field, a variable, a comment, or a function and an argument after
# a space. Jinja writes arguments in parentheses, and has no filter in camel case.
_GO = re.compile(
    rf"""-?\s* (?:
        (?:range|with|if|define|template|block)\s+[^\s(=|,)}}.\[]
        | (?:range|with|if)\s+[.(]
        | (?:end|else|break|continue)\s*-?$
        | else\s+(?:if|with)\b
        | \.[A-Za-z]
        | \.\s*(?:-?$|\|)
        | \$[A-Za-z_]*\s*(?::?=|\||\.|,|-?$)
        | /\*
        | (?:{_NAMES}|sprig_\w+)\s+["`'.$(0-9]
        | (?:and|or|index|indent|join|slice|split|trim)\s+["`'.$0-9]
        | .*\|\s*(?:{_CAMEL}|sprig_\w+)\b
    )""",
    re.VERBOSE | re.DOTALL,
)
_WORDS = (
    *("if", "elif", "else", "endif", "for", "endfor", "set", "endset", "macro", "endmacro", "call", "filter", "with", "raw", "block"),
    *("include", "import", "from", "extends", "do"),
)
_STATEMENT = re.compile(rf"\{{%[-+]?\s*(?:{'|'.join(_WORDS)})\b")


class Seen(t.NamedTuple):
    """The first line with something that belongs to one language alone; 0 where there is none."""

    go: int
    jinja: int


def seen(text: str, left: str = "{{", right: str = "}}") -> Seen:
    go = next((match.start() for match in _actions(text, left, right) if _GO.match(match.group(1))), -1)
    statement = _STATEMENT.search(text)
    return Seen(_line(text, go), _line(text, statement.start() if statement else -1))


def _actions(text: str, left: str, right: str) -> t.Iterator[re.Match[str]]:
    return re.finditer(f"{re.escape(left)}(.*?){re.escape(right)}", text, re.DOTALL)


def _line(text: str, at: int) -> int:
    return 0 if at < 0 else text.count("\n", 0, at) + 1
