# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the steps of a group are decided from."""

from __future__ import annotations

import copy

from ...resources import kinds
from ...system import systemd

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ...plan import Resource
    from ...system.observe import Digest, State


class Situation:
    """All that the steps of one group are decided from.

    ``wanted``, ``old``: resources, in the order in which they are made; what is not wanted any more is only in ``old``.
    ``seen``: {place: what is there}, for each of them. ``units``: what systemd reported of those among them. ``finished``:
    the units that shall run once and have. ``started``: {unit: run digest with which it last started well}. ``silent``: {unit that
    runs and does not listen where it should: why}. ``dead``: {unit that should run and does not: since when and of what}.
    ``held``: {unit that may run: directories that it has open}, of each release that it may be of. ``stops``: {the same:
    how its program is asked to end}.
    """

    def __init__(
        self,
        wanted: t.Sequence[Resource],
        old: t.Sequence[Resource],
        seen: t.Mapping[str, State | None],
        units: systemd.Shown,
        finished: t.Container[str],
        started: t.Mapping[str, str],
        silent: t.Mapping[str, str],
        dead: t.Mapping[str, str],
        held: t.Mapping[str, t.Collection[str]],
        stops: t.Mapping[str, set[str]],
    ) -> None:
        self.wanted = wanted
        self.old = old
        self.seen = seen
        self.units = units
        self.finished = finished
        self.started = started
        self.silent = silent
        self.dead = dead
        self.held = held
        self.stops = stops

    def now(self, resource: Resource) -> State | None:
        """What is at a resource's place."""
        return self.seen[kinds.place(resource)]

    def is_up(self, unit: str) -> bool:
        return systemd.up(self.units.get(unit, {}))

    def may_run(self, unit: str) -> bool:
        """Whether it runs, or may at any moment: what waits for its next try comes up by itself."""
        return self.units.get(unit, {}).get("ActiveState", "inactive") not in systemd.DOWN

    def without(self, units: t.Iterable[str]) -> Situation:
        """The situation once these are down."""
        other = copy.copy(self)
        other.units = {**self.units, **{name: {**self.units[name], "ActiveState": "inactive"} for name in units}}
        return other

    def is_there(self, resource: Resource) -> bool:
        """Whether anything is left of a resource; of a unit, it may be a process alone."""
        return self.now(resource) is not None or any(self.is_up(unit) for unit in kinds.units([resource]))

    def is_replaced(self, resource: Resource) -> bool:
        """Whether what a program has read there, or has open, is not what will be there."""
        now, expected = self.now(resource) or {}, kinds.expected(resource)
        return (now.get("type"), now.get("content")) != (expected["type"], expected.get("content"))


def holdings(resources: t.Iterable[Resource]) -> dict[str, set[str]]:
    """The directories that each unit that should run has open, by its name; of one that is there twice, all."""
    found: dict[str, set[str]] = {}
    for unit in kinds.that_run(resources):
        found.setdefault(unit["name"], set()).update(kinds.of(unit).holds(unit))
    return found


def stops(resources: t.Iterable[Resource]) -> dict[str, set[str]]:
    """How the program of each unit that should run is asked to end, by the unit's name; of one that is there twice, both."""
    found: dict[str, set[str]] = {}
    for unit in kinds.that_run(resources):
        found.setdefault(unit["name"], set()).add(kinds.of(unit).stops(unit))
    return found


def run_digest(unit: Resource, resources: t.Iterable[Resource], digest: Digest) -> str:
    """What a unit takes in when it starts: its own file and those that it reads."""
    contents = {kinds.place(resource): resource["digest"] for resource in resources if "digest" in resource}
    return digest("\n".join([unit["digest"]] + [f"{path} {contents.get(path)}" for path in kinds.of(unit).reads(unit)]))


def run_digests(resources: t.Sequence[Resource], digest: Digest) -> dict[str, str]:
    """The run digest of each unit that should run."""
    return {unit["name"]: run_digest(unit, resources, digest) for unit in kinds.that_run(resources)}


def is_leaving(unit: Resource) -> bool:
    """Whether a unit runs on only until another robot has what it does."""
    return unit.get("leaving", False)


def is_held(unit: Resource, place: str) -> bool:
    """Whether the unit has a directory open that is, or was, at this place."""
    return any(place == held or place.startswith(held + "/") for held in kinds.of(unit).holds(unit))
