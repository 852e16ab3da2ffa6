# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``${...}`` in texts of a job, replaced per robot and instance.

Ours are the names that are injected into the task, and whatever begins with ``attr.``, ``meta.``, ``node.`` or
``NOMAD_``. Everything else between ``${`` and ``}`` belongs to the program, and so do ``$NAME`` and ``${NAME:-x}``:
a shell script arrives as it was written.
"""

from __future__ import annotations

import re
import typing as t

from .declare.keys import Secret

_NAME = re.compile(r"\$\{((attr|meta|node)\.([^{}$]+)|[A-Za-z_][A-Za-z0-9_]*)\}")

# In a text that is none of a program's, whatever is named so was meant to be replaced. An ECMA 262 regular expression, too.
OURS = r"\$\{((attr|meta|node)\.[^{}$]+|NOMAD_[A-Za-z0-9_]+)\}"


def substitute(
    text: str,
    injected: t.Mapping[str, str],
    *,
    attr: t.Mapping[str, str],
    meta: t.Mapping[str, str],
    node: t.Mapping[str, str],
) -> tuple[str, list[str]]:
    """The text with its names replaced, and the names of ours that have no value, each once, in order.

    What is put in is not looked through again. The result is a :class:`Secret` when the text or a value in it is one.
    """
    if "${" not in text:
        return text, []
    values = {"attr": attr, "meta": meta, "node": node}
    unresolved: dict[str, None] = {}
    secret = isinstance(text, Secret)

    def replace(match: re.Match[str]) -> str:
        nonlocal secret
        whole, room, name = match.groups()
        value = values[room].get(name) if room else injected.get(whole)
        if value is None:
            if room or whole.startswith("NOMAD_"):
                unresolved[whole] = None
            return match.group()
        secret = secret or isinstance(value, Secret)
        return str(value)

    replaced = _NAME.sub(replace, text)
    return Secret(replaced) if secret else replaced, list(unresolved)


def names_in(text: str) -> list[str]:
    """The names in a text that may be replaced, each once, in order: `meta.site`, `NOMAD_DC`."""
    return list(dict.fromkeys(match[1] for match in _NAME.finditer(text)))


def kept(text: str) -> str:
    """The first name of ours in a text where none is replaced, as it is written; empty where there is none."""
    found = re.search(OURS, text) if "${" in text else None
    return found[0] if found else ""


def has_names(text: str) -> bool:
    """Whether a text may have something that is replaced."""
    return _NAME.search(text) is not None
