# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pods of other robots, as far as this one knows: where they are. The compiler writes a file for each group with pods, and it has
the same in all of them.
"""

from __future__ import annotations

import os

from ... import plan
from ...state import formats
from ..files import network, number, overlap

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    # A robot by its name, the network of its pods, and its own addresses in the order of the inventory.
    Other = t.Tuple[str, t.Tuple[int, int], t.Tuple[int, ...]]


def described(directory: str = plan.ROUTES) -> list[Other]:
    """Every robot that any of the files has. Groups are deployed at different times: where two of the files differ, the newer one is
    right.
    """
    try:
        with os.scandir(directory) as entries:
            files = sorted((-each.stat().st_mtime_ns, each.path) for each in entries if not each.name.startswith("."))
    except FileNotFoundError:
        return []
    found: list[Other] = []
    for _age, path in files:
        add(found, _read(path))
    return found


def add(found: list[Other], more: t.Iterable[Other]) -> None:
    """Those that are not there yet, by their names and by the addresses of their pods."""
    for other in more:
        if not any(other[0] == each[0] or overlap(other[1], each[1]) for each in found):
            found.append(other)


def parsed(text: str) -> list[Other]:
    """What a file has; nothing where it is damaged, or of a newer version."""
    try:
        known = formats.read(plan.ROUTES, "routes", text)["robots"]
        return [(name, network(each["range"]), tuple(map(number, each["addresses"]))) for name, each in sorted(known.items())]
    except (formats.Unread, ValueError, LookupError, TypeError, AttributeError):
        return []


def _read(path: str) -> list[Other]:
    try:
        with open(path, encoding="utf-8") as stream:
            return parsed(stream.read())
    except (OSError, ValueError):
        return []
