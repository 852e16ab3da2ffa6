# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What begins anew, what has to be down for that, and what goes on with changed files."""

from __future__ import annotations

from ...resources import kinds
from ...system import systemd
from .situation import is_held, is_leaving, run_digest

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ...plan import Resource
    from ...system.observe import Digest
    from .situation import Situation
    from .step import Step


def needed(situation: Situation, makes: t.Sequence[Resource], digest: Digest, interrupted: t.Container[str]) -> list[Step]:
    """The steps by which all comes up that should: ``makes``, what is made; ``interrupted``, what is down for that."""
    restart, start, anew = _to_begin(situation, makes, digest, interrupted)
    both = restart + start
    if not both:
        return []
    begun = [unit["name"] for unit in both]
    # What only was not up had not run to its end; where it has meanwhile, that counts.
    done = [path for path in (unit.get("done") for unit in both if unit["name"] in anew) if path]
    steps: list[Step] = [{"do": "clear", "text": "", "units": begun, "done": done, "known": _with_a_start_limit(situation, begun)}]
    down = _to_stop(situation, restart)
    text = ", ".join(_beginning(situation, unit) for unit in both)
    if down:
        # Nothing of the group starts before all of this is down: one request starts it all, so that what depends on a unit
        # that fails fails with it. A restart of each would make systemd try that unit again for each of its dependents.
        steps.append({"do": "down", "text": text, "units": down, "done": done})
    steps.append({"do": "start", "text": "" if down else text, "units": begun})
    return steps


def _to_begin(
    situation: Situation, makes: t.Sequence[Resource], digest: Digest, interrupted: t.Container[str]
) -> tuple[list[Resource], list[Resource], set[str]]:
    """The units that are to be down first, and those that only have to be up; and the names of all that take in something new. What is
    leaving is only kept up. What was `interrupted` has to come up again, whether it takes in something new or not.
    """
    changed = {
        kinds.place(resource)
        for resource in makes
        if situation.is_replaced(resource) or kinds.of(resource).changes_hands(resource, situation.now(resource))
    }
    restart, start = [], []
    anew = set()
    for unit in kinds.that_run(situation.wanted):
        name = unit["name"]
        taken_in = [kinds.place(unit), *kinds.of(unit).reads(unit)]
        differs = not is_leaving(unit) and (
            situation.started.get(name) != run_digest(unit, situation.wanted, digest)
            or not changed.isdisjoint(taken_in)
            or any(is_held(unit, place) for place in changed)
            or name in situation.silent
        )
        is_up = situation.is_up(name) and name not in interrupted
        if differs:
            anew.add(name)
        if kinds.of(unit).restarts(unit):
            if differs or not (is_up or name in situation.finished):
                restart.append(unit)
        elif differs or not is_up:
            start.append(unit)
    return restart, start, anew


def _with_a_start_limit(situation: Situation, begun: t.Sequence[str]) -> list[str]:
    """Those that begin, and what they require: sockets of logs, which no other unit wants."""
    run = {unit["name"] for unit in kinds.that_run(situation.wanted)}
    others = (name for name in kinds.units(situation.wanted) if name not in run)
    return [name for name in (*begun, *others) if systemd.loaded(situation.units, name)]


def _to_stop(situation: Situation, restart: t.Sequence[Resource]) -> list[str]:
    """What must be down before these begin anew: they themselves, and what they require that does not run by itself. As for what goes,
    systemctl names one unit after the other, and each may be down before the next is named.
    """
    taken_along = {path for unit in restart for path in kinds.of(unit).reads(unit)}
    others = [other for other in situation.wanted if kinds.place(other) in taken_along and not kinds.of(other).runs(other)]
    required = kinds.units(others)
    return [name for name in (*(unit["name"] for unit in reversed(restart)), *required) if systemd.loaded(situation.units, name)]


def refreshed(situation: Situation, makes: t.Sequence[Resource], begun: t.Container[str]) -> list[Step]:
    """What goes on with other files than it has begun with. What starts has them from its start."""
    changed = {kinds.place(resource) for resource in makes if situation.is_replaced(resource)}
    steps: list[Step] = []
    for unit in kinds.that_run(situation.wanted):
        name, refreshes = unit["name"], kinds.of(unit).refreshes(unit)
        if name not in begun and situation.is_up(name) and not is_leaving(unit) and not changed.isdisjoint(refreshes):
            files = sorted(changed.intersection(refreshes))
            does = sorted({refreshes[path] for path in files if refreshes[path]})
            text = f"refresh {name} ({', '.join(does)})" if does else f"refresh {name}"
            steps.append({"do": "refresh", "text": text, "units": [name], "files": files})
    return steps


def _beginning(situation: Situation, unit: Resource) -> str:
    name = unit["name"]
    verb = "restart" if kinds.of(unit).restarts(unit) and situation.is_up(name) else "start"
    why = situation.silent.get(name) or situation.dead.get(name)
    return f"{verb} {name} ({why})" if why else f"{verb} {name}"
