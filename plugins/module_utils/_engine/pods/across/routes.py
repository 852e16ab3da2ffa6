# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Routes to the pods of other robots: through the other robot's own address, where both are on one link.

They are in a table of their own, which the rules for routing name for just these addresses. systemd-networkd leaves them alone, because
it takes them for the kernel's.
"""

from __future__ import annotations

from ...plan import BRIDGE
from ...say import jsontext
from ...system import command
from ..six.family import FOUR
from . import links

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ..six.family import Family
    from .links import Link
    from .robots import Other

    # The network of another robot's pods, that robot's address, and the link.
    Route = t.Tuple[t.Tuple[int, int], int, str]
    # In the words of ip-route(8): what is reached, and how.
    Words = t.Tuple[str, str]

TABLE = 1464
# Behind every other: what goes there takes no other way, when the link is down.
_LAST = 4278198272


def known(others: t.Iterable[Other], own: t.Sequence[tuple[int, int]], of: Family = FOUR) -> tuple[list[Route], dict[str, str]]:
    """The routes that this robot can have, and by name why it has none to the pods of other robots. ``own``: the networks of its pods."""
    wanted = [other for other in others if not any(of.overlap(other[1], each) for each in own)]
    return chosen(wanted, links.shared(of), links.leading(of), of) if wanted else ([], {})


def chosen(
    others: t.Iterable[Other], shared: t.Sequence[Link], taken: t.Iterable[tuple[str, int, int]], of: Family = FOUR
) -> tuple[list[Route], dict[str, str]]:
    """The same of what the robot has: ``taken`` are its routes (`links.leading`)."""
    elsewhere = [each for each in taken if each[0] != BRIDGE]
    here = {own for _device, own, _length in shared}
    routes: list[Route] = []
    without = {}
    for name, whole, addresses in others:
        if not here.isdisjoint(addresses):
            # This robot itself.
            continue
        first, last = of.bounds(whole)
        device = next((device for device, low, high in elsewhere if low <= last and high >= first), None)
        way = next((way for address in addresses for way in [_way(address, shared, of)] if way), None)
        if device:
            without[name] = f"reaches {of.written(whole)}, the pods of {name}, through {device} already"
        elif way:
            routes.append((whole, *way))
        else:
            without[name] = f"shares no link with {name} ({', '.join(map(of.spelt, addresses))})"
    return routes, without


def _way(address: int, shared: t.Sequence[Link], of: Family) -> tuple[int, str] | None:
    """The narrowest network decides, as it does for the kernel."""
    near = [(length, device) for device, own, length in shared if of.contains((own, length), address)]
    return (address, max(near)[1]) if near else None


def words(routes: t.Iterable[Route], of: Family = FOUR) -> list[Words]:
    found = []
    for network, address, device in routes:
        whole = of.written(network)
        found += [(whole, f"via {of.spelt(address)} dev {device}"), (f"unreachable {whole}", f"metric {_LAST}")]
    return found


def there(of: Family = FOUR) -> list[Words]:
    """What is in the table. One that nobody has used is none, for most kernels."""
    status, listed = command.run(["ip", of.option, "-json", "route", "show", "table", str(TABLE)], errors=False, timeout=command.PATIENCE)
    rows = jsontext.loads(listed or "[]") if status == 0 else []
    return [_words(row) for row in rows]


def _words(row: t.Mapping[str, t.Any]) -> Words:
    # Each route of IPv6 has a metric, whether somebody asked for one or not.
    kind, metric = row.get("type", "unicast"), row.get("metric")
    to = row["dst"] if kind == "unicast" else f"{kind} {row['dst']}"
    how = [f"{word} {row[key]}" for word, key in (("via", "gateway"), ("dev", "dev")) if key in row and kind == "unicast"]
    return to, " ".join([*how, *([f"metric {metric}"] if metric and kind != "unicast" else [])])


def changes(wanted: t.Sequence[Words], there: t.Sequence[Words]) -> list[str]:
    """Lines for `ip -batch`: what is new first."""
    more, had, reached = f"table {TABLE} protocol kernel", set(there), {to for to, _how in wanted}
    return [
        *(f"route replace {to} {how} {more}" for to, how in wanted if (to, how) not in had),
        # One that has another way now has been replaced.
        *(f"route del {to} {how} table {TABLE}" for to, how in there if to not in reached),
    ]
