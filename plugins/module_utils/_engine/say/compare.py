# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which settings two texts of the same file differ in, by their names."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    Settings = t.Mapping[str, t.Union[str, t.List[str]]]


def variables(text: str) -> dict[str, str] | None:
    """The variables of an environment file, `NAME="value"`, in which a value may have several lines; None for any other text.

    Values are as they are written there, escaped.
    """
    found: dict[str, str] = {}
    rest = text
    while rest:
        name, opened, rest = rest.partition('="')
        end = 0
        while end < len(rest) and rest[end] != '"':
            end += 2 if rest[end] == "\\" else 1
        if not opened or not name.replace("_", "a").isalnum() or rest[end : end + 2] != '"\n':
            return None
        found[name] = rest[:end]
        rest = rest[end + 2 :]
    return found


def directives(text: str) -> dict[str, list[str]]:
    """The directives of a unit file, each with all its values."""
    found: dict[str, list[str]] = {}
    for line in text.split("\n"):
        name, equals, value = line.partition("=")
        if equals:
            found.setdefault(name, []).append(value)
    return found


def differing(before: Settings, after: Settings) -> list[str]:
    """The names of what comes, goes or has another value."""
    return sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
