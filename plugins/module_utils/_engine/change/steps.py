# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what should be and what is to the steps between: pure, and the same for a check, a switch and the way back.

perform.py knows what each step does. Steps are decided from state alone, so a run that dies on the way leaves nothing
that the next one does not see.
"""

from __future__ import annotations

import copy
import os

from ..plan import UNIT_DIRECTORY
from ..pods.units import has_pods
from ..resources import kinds
from ..system import systemd

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ..plan import Resource
    from ..system.observe import Digest, State

    Verb = t.Literal[
        "halt",
        "extend",
        "make",
        "reload",
        "stop",
        "close",
        "clear",
        "down",
        "start",
        "refresh",
        "healthy",
        "commit",
        "remove",
        "unload",
        "discard",
        "pruned",
    ]
    # Whether the program is in a container, and whether it is in a PID namespace.
    Reach = t.Tuple[bool, bool]
    Turns = t.Tuple[t.Tuple[Verb, ...], ...]

    class _Step(t.TypedDict):
        do: Verb
        text: str  # what a person reads; empty where there is nothing to report

    class Step(_Step, total=False):
        resource: Resource  # of make, extend, close, remove and discard
        now: State | None  # of make, close, remove and discard: what is there before it
        units: list[str]  # of halt, stop, clear, down, start, refresh and healthy
        files: list[str]  # of refresh: those that have changed
        done: list[str]  # of clear and down: the files that say of a unit that it has run
        known: list[str]  # of clear: units of which systemd may remember failures
        leftovers: list[Resource]  # of commit and pruned


# The turns of groups that go together: first all files, then all stops, since a program that goes may hold what another one wants,
# then all starts. The ways to pods that were stopped are closed before that. After the commit, units go before their data, and data before
# its owner.
UNTIL_COMMIT: Turns = (
    ("halt",),
    ("extend", "make", "reload"),
    ("stop",),
    ("close",),
    ("clear", "down"),
    ("start",),
    ("refresh",),
    ("healthy",),
)
FROM_COMMIT: Turns = (("commit",), ("remove",), ("unload",), ("discard",), ("pruned",))
# Once more: a boot may have begun to start what goes.
RESUMED: Turns = (("stop",), ("close",), *FROM_COMMIT)


class Situation:
    """All that the steps of one group are decided from.

    ``wanted``, ``old``: resources, in the order in which they are made; what is not wanted any more is only in ``old``.
    ``seen``: {place: what is there}, for each of them. ``units``: what systemd reported of those among them. ``finished``:
    the units that shall run once and have. ``started``: {unit: run digest with which it last started well}. ``silent``: {unit that
    runs and does not listen where it should: why}. ``dead``: {unit that should run and does not: since when and of what}.
    ``held``: {unit that may run: directories that it has open}, of each release that it may be of. ``reached``: {the same:
    how it is reached, of each}.
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
        reached: t.Mapping[str, set[Reach]],
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
        self.reached = reached

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


def reached(resources: t.Iterable[Resource]) -> dict[str, set[Reach]]:
    """How whoever stops it reaches the program of each unit that should run, by the unit's name; of one that is there twice, both."""
    found: dict[str, set[Reach]] = {}
    for unit in kinds.that_run(resources):
        found.setdefault(unit["name"], set()).add(_reach(unit))
    return found


def _reach(unit: Resource) -> Reach:
    return bool(unit.get("container")), bool(unit.get("apart"))


def run_digest(unit: Resource, resources: t.Iterable[Resource], digest: Digest) -> str:
    """What a unit takes in when it starts: its own file and those that it reads."""
    contents = {kinds.place(resource): resource["digest"] for resource in resources if "digest" in resource}
    return digest("\n".join([unit["digest"]] + [f"{path} {contents.get(path)}" for path in kinds.of(unit).reads(unit)]))


def run_digests(resources: t.Sequence[Resource], digest: Digest) -> dict[str, str]:
    """The run digest of each unit that should run."""
    return {unit["name"]: run_digest(unit, resources, digest) for unit in kinds.that_run(resources)}


def between(
    situation: Situation,
    digest: Digest,
    keep_data: bool = False,
    halted: t.Container[str] = (),
    spared: t.Sequence[Resource] = (),
) -> list[Step]:
    """The steps of one group; the commit is always one of them.

    ``keep_data``: what programs wrote, and its owner, outlives the group. ``halted``: units that are down while ports change
    hands. ``spared``: resources that this switch must not remove.
    """
    wanted, old = situation.wanted, situation.old
    steps = _halts(situation, halted)
    # They are down before anything else.
    situation = situation.without(name for step in steps for name in step["units"])
    makes = [resource for resource in wanted if situation.now(resource) != kinds.expected(resource)]
    gone, kept = split(wanted, old, keep_data, spared)
    gone = [resource for resource in gone if situation.is_there(resource)]
    interruptions = _interruptions(situation, makes)
    steps += interruptions + _makes(situation, makes)
    stale = any(values.get("NeedDaemonReload") == "yes" for values in situation.units.values())
    if stale or any(_is_systemd(resource) for resource in makes):
        steps.append({"do": "reload", "text": "reload systemd's units"})
    steps += _stops(situation, gone)
    # The robot's ports would lead to pods that are gone, and what takes their place here could not be reached.
    pods_follow = has_pods(resource for resource in wanted if not _is_leaving(resource))
    closed = [resource for resource in gone if wanted and not pods_follow and has_pods([resource])]
    steps += [_removal("close", situation, resource) for resource in closed]
    begun = _starts(situation, makes, digest, {name for step in interruptions for name in step["units"]})
    steps += begun + _refreshes(situation, makes, [name for step in begun for name in step["units"]])
    if steps:
        # What only stays for now is not waited for: it may be why it is to run on another robot.
        steps.append({"do": "healthy", "text": "", "units": [unit["name"] for unit in kinds.that_run(wanted) if not _is_leaving(unit)]})
    steps.append({"do": "commit", "text": "", "leftovers": gone + kept})
    last = _data_and_around(gone)
    steps += [_removal("remove", situation, resource) for resource in gone if resource not in last and resource not in closed]
    if any(_is_systemd(resource) for resource in gone):
        steps.append({"do": "unload", "text": ""})
    steps += [_removal("discard", situation, resource) for resource in last]
    if gone:
        steps.append({"do": "pruned", "text": "", "leftovers": kept})
    return steps


def in_turn(found: t.Sequence[t.Sequence[Step]], turns: Turns) -> list[tuple[int, Step]]:
    """The steps of some turns of groups that go together, each with its group's number."""
    return [(number, step) for verbs in turns for number, steps in enumerate(found) for step in steps if step["do"] in verbs]


def split(
    wanted: t.Iterable[Resource], old: t.Sequence[Resource], keep_data: bool, spared: t.Iterable[Resource] = ()
) -> tuple[list[Resource], list[Resource]]:
    """The old resources that are not wanted any more, in the order of their removal, and those that stay all the same."""
    places = {kinds.place(resource) for resource in wanted}
    stay = {kinds.place(resource) for resource in spared}
    unwanted = [resource for resource in reversed(old) if kinds.place(resource) not in places]
    data = [resource["path"] for resource in unwanted if resource.get("data")] if keep_data else []
    kept = [resource for resource in unwanted if kinds.place(resource) in stay or kinds.of(resource).outlives(resource, data)]
    return [resource for resource in unwanted if resource not in kept], kept


def emptied(wanted: t.Iterable[Resource], old: t.Iterable[Resource]) -> list[Resource]:
    """What is wanted, too, since programs must not start with what is there of the old resources that are not wanted any more."""
    places = {kinds.place(resource) for resource in wanted}
    unwanted = [resource for resource in old if kinds.place(resource) not in places]
    left = [kinds.of(resource).emptied(resource) for resource in unwanted if os.path.dirname(kinds.place(resource)) in places]
    return [resource for resource in left if resource is not None]


def _data_and_around(gone: t.Sequence[Resource]) -> list[Resource]:
    """What programs wrote, and what must not go before it: the directories around it, and its owner."""
    data = [resource["path"] for resource in gone if resource.get("data")]
    return [resource for resource in gone if kinds.of(resource).outlives(resource, data)]


def _removal(verb: t.Literal["close", "remove", "discard"], situation: Situation, resource: Resource) -> Step:
    return {"do": verb, "text": f"remove {kinds.label(resource)}", "resource": resource, "now": situation.now(resource)}


def _halts(situation: Situation, halted: t.Container[str]) -> list[Step]:
    # As for what goes: each may be down before the next is named.
    units = reversed(kinds.units([*situation.wanted, *situation.old]))
    names = list(dict.fromkeys(name for name in units if name in halted and situation.may_run(name)))
    return [{"do": "halt", "text": f"stop {', '.join(names)} while ports change hands", "units": names}] if names else []


def _interruptions(situation: Situation, makes: t.Sequence[Resource]) -> list[Step]:
    """What must not run while things change hands: it would go on making files as their old owner. What held a place that it is to
    hold no longer: it would be killed with what made that place. What gets, or loses, a container or a PID namespace: the new unit would
    not know how to stop it. Timers. And instances that lose a hook: by their new units, it would not be the last one to stop.
    """
    places = [kinds.place(resource) for resource in makes if kinds.of(resource).changes_hands(resource, situation.now(resource))]
    units = [
        unit["name"]
        for unit in kinds.that_run(situation.wanted)
        if not _is_leaving(unit)
        and (
            any(is_held(unit, place) for place in places)
            or not set(kinds.of(unit).holds(unit)).issuperset(situation.held.get(unit["name"], ()))
            or (unit in makes and not situation.reached.get(unit["name"], set()).issubset({_reach(unit)}))
            or (unit in makes and kinds.of(unit).rests_while_changed(unit))
        )
    ]
    names = dict.fromkeys(name for name in (*_around_hooks_that_go(situation), *reversed(units)) if situation.may_run(name))
    return [{"do": "halt", "text": "", "units": list(names)}] if names else []


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


def _makes(situation: Situation, makes: t.Sequence[Resource]) -> list[Step]:
    """What is extended has its turn twice: after what it refers to and before what refers to it, and once more at the end."""
    extended = [resource for resource in makes if kinds.of(resource).extends(resource, situation.now(resource))]
    steps: list[Step] = []
    for resource in makes:
        if resource not in extended:
            steps.append(_make(situation, resource))
        elif len(makes) > len(extended):
            steps.append({"do": "extend", "text": "", "resource": resource})
    return steps + [_make(situation, resource) for resource in extended]


def _make(situation: Situation, resource: Resource) -> Step:
    now = situation.now(resource)
    return {"do": "make", "text": _text(resource, now), "resource": resource, "now": now}


def _text(resource: Resource, now: State | None) -> str:
    if now is None:
        return f"create {kinds.label(resource)}"
    expected = kinds.expected(resource)
    what = sorted(name for name in expected if now.get(name) != expected[name])
    return f"change {kinds.label(resource)} ({', '.join(what)})"


def _is_systemd(resource: Resource) -> bool:
    return kinds.place(resource).startswith(UNIT_DIRECTORY + "/")


def _stops(situation: Situation, gone: t.Sequence[Resource]) -> list[Step]:
    names = [name for name in (*kinds.units(gone), *no_longer_running(situation)) if systemd.loaded(situation.units, name)]
    return [{"do": "stop", "text": f"stop {', '.join(names)}", "units": names}] if names else []


def no_longer_running(situation: Situation) -> list[str]:
    """Units that ran and are wanted, but not to run by themselves any more: a service that a schedule starts from now on. What a schedule
    has started runs on: it did not run by itself before, either.
    """
    run, wanted = {unit["name"] for unit in kinds.that_run(situation.wanted)}, set(kinds.units(situation.wanted))
    ran = [unit["name"] for unit in kinds.that_run(situation.old) if kinds.of(unit).restarts(unit)]
    return [name for name in ran if name in wanted and name not in run and situation.may_run(name)]


def _starts(situation: Situation, makes: t.Sequence[Resource], digest: Digest, interrupted: t.Container[str]) -> list[Step]:
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
        differs = not _is_leaving(unit) and (
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
    """What must be down before these begin anew: they themselves, and what they require. As for what goes, systemctl names one unit after
    the other, and each may be down before the next is named.
    """
    taken_along = {path for unit in restart for path in kinds.of(unit).reads(unit)}
    required = [name for other in situation.wanted if kinds.place(other) in taken_along for name in kinds.units([other])]
    return [name for name in (*(unit["name"] for unit in reversed(restart)), *required) if systemd.loaded(situation.units, name)]


def _refreshes(situation: Situation, makes: t.Sequence[Resource], begun: t.Container[str]) -> list[Step]:
    """What goes on with other files than it has begun with. What starts has them from its start."""
    changed = {kinds.place(resource) for resource in makes if situation.is_replaced(resource)}
    steps: list[Step] = []
    for unit in kinds.that_run(situation.wanted):
        name, refreshes = unit["name"], kinds.of(unit).refreshes(unit)
        if name not in begun and situation.is_up(name) and not _is_leaving(unit) and not changed.isdisjoint(refreshes):
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


def _is_leaving(unit: Resource) -> bool:
    """Whether a unit runs on only until another robot has what it does."""
    return unit.get("leaving", False)


def is_held(unit: Resource, place: str) -> bool:
    """Whether the unit has a directory open that is, or was, at this place."""
    return any(place == held or place.startswith(held + "/") for held in kinds.of(unit).holds(unit))
