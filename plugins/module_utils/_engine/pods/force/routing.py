# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules for routing, and routes to pods of other robots, as they should be."""

from __future__ import annotations

from ...say import jsontext
from ...system import command
from .. import rules
from ..across import routes
from ..six import family
from ..six.family import FOUR, SIX
from . import kept

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ..six.family import Family

    # A rule for routing (rules.routing).
    Rule = t.Tuple[int, str, str, str]


def ensure(wanted: t.Sequence[Rule], ways: t.Sequence[routes.Route]) -> list[str]:
    """systemd-networkd removes such rules when it starts, but for those that it takes for the kernel's own. ``ways``: the routes to pods
    of other robots. Without a rule for them there are none.
    """
    lines = _lines(wanted, ways, FOUR)
    kept.batch("ip", lines)
    return lines


def ensure_six(wanted: t.Sequence[Rule], ways: t.Sequence[routes.Route]) -> list[str]:
    """The same of IPv6. A robot of which no pod ever had that is not asked for such rules."""
    had = kept.read("six")
    if not wanted and not had:
        return []
    kept.keep("six", True)
    lines = _lines(wanted, ways, SIX) if wanted or family.is_there() else []
    kept.batch_six(lines)
    if not wanted:
        kept.remove("six")
    return lines


def _lines(wanted: t.Sequence[Rule], ways: t.Sequence[routes.Route], of: Family) -> list[str]:
    there = _there(of)
    across = ways or any(pref == rules.ACROSS for pref, _to in there)
    changed = routes.changes(routes.words(ways, of), routes.there(of)) if across else []
    return [*changed, *_changed(wanted, there)]


def _changed(wanted: t.Sequence[Rule], there: t.Sequence[tuple[int, str]]) -> list[str]:
    kept = {(pref, to) for pref, to, _asked, _does in wanted}
    return [
        *(f"rule add pref {pref} to {to} {asked} {does} protocol kernel" for pref, to, asked, does in wanted if (pref, to) not in there),
        *(f"rule del pref {pref} to {to}" for pref, to in there if (pref, to) not in kept),
    ]


def _there(of: Family) -> list[tuple[int, str]]:
    """Ours, by preference and destination."""
    found = jsontext.loads(command.need(["ip", of.option, "-json", "rule", "show"], timeout=command.PATIENCE))
    mine = [each for each in found if each["priority"] in (rules.OWN, rules.MARKED, rules.REFUSED, rules.ACROSS) and "dst" in each]
    # The protocol is told of rules that are not the kernel's.
    return [(each["priority"], f"{each['dst']}/{each.get('dstlen', of.bits)}") for each in mine if "protocol" not in each]
