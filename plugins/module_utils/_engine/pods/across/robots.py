# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pods of other robots, as far as this one knows: where they are. The compiler writes a file for each group with pods, and it has
the same in all of them.
"""

from __future__ import annotations

import bisect
import os

from ... import plan
from ...state import formats
from ..six.family import FOUR

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ..six.family import Family

    # A robot by its name, the network of its pods, and its own addresses in the order of the inventory.
    Other = t.Tuple[str, t.Tuple[int, int], t.Tuple[int, ...]]


def described(of: Family = FOUR, directory: str = plan.ROUTES) -> list[Other]:
    """Every network of pods that any of the files has, as one family of addresses sees them. Groups are deployed at different times: where
    two of the files differ, the newer one is right. But a robot whose range has changed has pods in both, until all jobs are deployed.
    """
    try:
        with os.scandir(directory) as entries:
            files = sorted((-each.stat().st_mtime_ns, each.path) for each in entries if not each.name.startswith("."))
    except FileNotFoundError:
        return []
    found: list[Other] = []
    # Groups that were deployed together bring the same.
    for text in dict.fromkeys(_text(path) for _age, path in files):
        add(found, parsed(text, of), of)
    return found


def add(found: list[Other], more: t.Iterable[Other], of: Family = FOUR) -> None:
    """Those networks that have nothing in common with any that is there. Where a robot is, is known from its first one."""
    at: dict[str, tuple[int, ...]] = {}
    for name, _whole, addresses in found:
        at.setdefault(name, addresses)
    taken = sorted(of.bounds(whole) for _name, whole, _addresses in found)
    for name, whole, addresses in more:
        first, last = of.bounds(whole)
        place = bisect.bisect_right(taken, (last, last))
        if not (place and taken[place - 1][1] >= first):
            taken.insert(place, (first, last))
            found.append((name, whole, at.setdefault(name, addresses)))


def parsed(text: str, of: Family = FOUR) -> list[Other]:
    """What a file has of a family; nothing where it is damaged, or of a newer version. Not every robot has IPv6."""
    whole, at = of.known
    try:
        known = formats.read(plan.ROUTES, "routes", text)["robots"]
        return [(name, of.network(each[whole]), tuple(map(of.number, each[at]))) for name, each in sorted(known.items()) if whole in each]
    except (formats.Unread, ValueError, LookupError, TypeError, AttributeError):
        return []


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as stream:
            return stream.read()
    except (OSError, ValueError):
        return ""
