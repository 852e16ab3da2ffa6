# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is down before anything else of its group changes, and in which order."""

from __future__ import annotations

from ...resources import kinds
from .situation import is_held, is_leaving

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ...plan import Resource
    from .situation import Situation
    from .step import Step


def while_ports_change(situation: Situation, halted: t.Container[str]) -> list[Step]:
    """What is down until all ports have changed hands; ``halted`` may name units of other groups, too."""
    # As for what goes: each may be down before the next is named.
    units = reversed(kinds.units([*situation.wanted, *situation.old]))
    names = list(dict.fromkeys(name for name in units if name in halted and situation.may_run(name)))
    return [{"do": "halt", "text": f"stop {', '.join(names)} while ports change hands", "units": names}] if names else []


def interruptions(situation: Situation, makes: t.Sequence[Resource]) -> list[Step]:
    """What must not run while things change hands: it would go on making files as their old owner. What held a place that it is to
    hold no longer: it would be killed with what made that place. What is to be asked to end in another way: by its new unit, it would
    be asked as the new program is, or not at all. Timers. And instances that lose a hook: by their new units, it would not be the last
    one to stop.
    """
    places = [kinds.place(resource) for resource in makes if kinds.of(resource).changes_hands(resource, situation.now(resource))]

    def rests(unit: Resource) -> bool:
        kind = kinds.of(unit)
        return (
            any(is_held(unit, place) for place in places)
            or not set(kind.holds(unit)).issuperset(situation.held.get(unit["name"], ()))
            or (unit in makes and not situation.stops.get(unit["name"], set()).issubset({kind.stops(unit)}))
            or (unit in makes and kind.rests_while_changed(unit))
        )

    units = _with_those_after([unit for unit in kinds.that_run(situation.wanted) if not is_leaving(unit)], rests)
    names = dict.fromkeys(name for name in (*_around_hooks_that_go(situation), *reversed(units)) if situation.may_run(name))
    return [{"do": "halt", "text": "", "units": list(names)}] if names else []


def _with_those_after(units: t.Sequence[Resource], rests: t.Callable[[Resource], bool]) -> list[str]:
    """The units that rest, and those that begin anew with one of them: all of an instance that is one whole, and what comes after a daemon.
    They stop in their order. A hook after the end would run beside what it has to follow, and tasks without what they talk to.
    """
    found = [unit for unit in units if rests(unit)]
    places = {kinds.place(unit) for unit in found}
    return [unit["name"] for unit in units if unit in found or not places.isdisjoint(kinds.of(unit).reads(unit))]


def _around_hooks_that_go(situation: Situation) -> list[str]:
    """The units of instances of which a hook goes, in the order in which they stop. A hook after the end is run by its stop."""
    wanted = set(kinds.units(situation.wanted))
    there = [unit for unit in situation.old if kinds.units([unit]) and unit.get("called")]
    going = [unit for unit in there if wanted and kinds.of(unit).is_hook(unit) and unit["name"] not in wanted]
    instances = {_instance(unit) for unit in going if situation.may_run(unit["name"])}
    # What only a release has that failed comes behind the others.
    around = [*(unit for unit in reversed(there) if unit not in going), *reversed(going)]
    return [unit["name"] for unit in around if _instance(unit) in instances]


def _instance(unit: Resource) -> str:
    """By what people call it: `r0 server`."""
    return str(unit["called"]).partition(" ")[0]
