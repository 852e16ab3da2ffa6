# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a switch does to each unit of a group and why, for a person who knows the job and not its files: pure, as steps/ is.

No value of a variable is in it. What goes is told by survey.py, with its data.
"""

from __future__ import annotations

import json
import re

from ..plan import CHECKS, CONFIGURATION, UNIT_DIRECTORY
from ..resources import kinds
from ..say import compare
from ..say.units import of_unit
from ..state.journal import FINAL, all_of
from .steps.between import no_longer_running
from .steps.situation import is_held

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ..plan import Resource
    from ..state.journal import Journal
    from .steps.situation import Situation
    from .steps.step import Step

    class Change(t.TypedDict):
        """What happens to a unit, or where ``unit`` is empty, to the rest of the group.

        ``does``: ``new``, ``restart``, ``start`` (it should run and does not), ``run again`` (it had come to its end), ``stop`` (it no
        longer runs by itself) or ``in place`` (nothing restarts); or what a unit is told that goes on with changed files: ``signal
        SIGHUP``. ``why``: what differs; of a new group, its units; of a start, first why the unit was down, and in the same text the
        first thing that differs. Without a ``group``, ``does`` tells all.
        """

        group: str
        unit: str  # as people call it
        does: str
        why: list[str]

    # Of a unit: what people call it, what it does, and why.
    Told = t.Tuple[str, str, t.List[str]]

    class Contents(t.Protocol):
        """The texts that are compared; empty where there is none that can be read."""

        def before(self, resource: Resource) -> str:
            """What is at its place now."""

        def after(self, resource: Resource) -> str:
            """What will be there."""


NOT_RUNNING = "it was not running"
MISSING = "its unit was missing"
BY_HAND = "changed on the robot by hand"
# There, no program of a job may write.
_NOT_OF_PROGRAMS = (f"{CONFIGURATION}/", f"{UNIT_DIRECTORY}/")
NOT_LEAVING = "it stays here after all"
# Each port of a group comes as several variables.
_PORT = re.compile(r"NOMAD_(?:(?:HOST_)?(?:ADDR|IP|PORT)|ALLOC_PORT)_(\w+)")


def of_group(id: str, name: str, situation: Situation, todo: t.Sequence[Step], contents: Contents, whole: bool = True) -> list[Change]:
    """What the steps of one group do to it; nothing for what goes. ``whole``: no switch was interrupted, which would have left some of it
    otherwise than the ledger has it; what differs all the same, somebody else has changed.
    """
    summary = _Summary(id, situation, todo, contents, whole)
    changes = summary.units()
    if changes and all(does == "new" for _unit, does, _why in changes) and len(changes) == len(summary.called):
        return [{"group": name, "unit": "", "does": "new", "why": [unit for unit, _does, _why in changes]}]
    rest = summary.rest(any(does == "new" for _unit, does, _why in changes))
    if rest:
        changes.append(("", "in place", rest))
    if not changes and summary.starts_anything():
        changes.append(("", "start", []))
    if not changes and not any(step["do"] in ("remove", "discard") for step in todo):
        texts = [step["text"] for step in todo if step["text"]]
        changes += [("", "in place", texts)] if texts else []
    return [{"group": name, "unit": unit, "does": does, "why": why} for unit, does, why in changes]


def mends(interrupted: Journal | None) -> list[str]:
    """That interrupted switches are rolled back, or finished, as steps."""
    return _mended(interrupted, "finish", "roll back")


def _mended(interrupted: Journal | None, finish: str, roll_back: str) -> list[str]:
    verbs = [(finish if _is_done(each) else roll_back, each["release"]) for each in all_of(interrupted)]
    return [f"{verb} release {release}, whose switch was interrupted" for verb, release in verbs]


def _is_done(journal: Journal) -> bool:
    """Whether what a switch was to start runs: only what comes after that was interrupted."""
    phases = {entry["phase"] for entry in journal["groups"].values()}
    return bool(phases) and phases.issubset(("commit", *FINAL))


def of_robot(interrupted: Journal | None, idle: t.Iterable[str]) -> list[Change]:
    """What is done before anything else: where a switch was interrupted, and where what serves all groups is ``idle``."""
    does = [*(f"start {unit}" for unit in idle), *_mended(interrupted, "finishes", "rolls back")]
    return [{"group": "", "unit": "", "does": each, "why": []} for each in does]


class _Summary:
    def __init__(self, id: str, situation: Situation, todo: t.Sequence[Step], contents: Contents, whole: bool) -> None:
        self.home = f"{CONFIGURATION}/groups/{id}/"
        self.situation = situation
        self.contents = contents
        self.made = [step["resource"] for step in todo if step["do"] == "make"]
        self.removed = [step["resource"] for step in todo if step["do"] in ("remove", "discard")]
        self.stopped = no_longer_running(situation)
        self.begun = {unit for step in todo if step["do"] == "start" for unit in step["units"]}
        self.called = [unit for unit in kinds.to_tell_of(situation.wanted) if unit.get("called")]
        # Those that a step tells of are down because of their ports, the others because of their files.
        self.halted = {unit: step["text"] for step in todo if step["do"] == "halt" for unit in step["units"]}
        # What people call the unit that each place belongs to: a task of an instance with hooks takes in what its siblings have, too.
        self.owner = {place: unit["called"] for unit in self.called for place in self._places(unit)}
        self.former = {unit["name"]: unit for unit in situation.old if kinds.of(unit).unit(unit)}
        # What the ledger has, by its place.
        self.known = {kinds.place(resource): resource for resource in situation.old} if whole else {}
        # By the name of a unit, what of the changes it takes in or has open.
        self.own = {unit["name"]: self._own(unit) for unit in self.called}

    def units(self) -> list[Told]:
        """Of each unit that does not stay as it is: what people call it, what it does, and why."""
        pulled = self._pulled()
        found: list[Told] = []
        for unit in self.called:
            name = unit["name"]
            if name in self.stopped:
                found.append((unit["called"], "stop", ["a schedule starts it"]))
                continue
            up = self._is_up(name)
            is_missing = self.situation.now(unit) is None
            if is_missing and not up and name not in self.former:
                found.append((unit["called"], "new", []))
            elif name in self.begun and up:
                found.append((unit["called"], "restart", self._causes(unit) or [self._without_cause(unit)]))
            elif name in self.begun and name in self.situation.finished:
                found.append((unit["called"], "run again", self._causes(unit)))
            elif name in self.begun and is_missing:
                # That is why it is down, too.
                found.append((unit["called"], "start", self._causes(unit)))
            elif name in self.begun:
                found.append((unit["called"], "start", _and_changed(self.situation.dead.get(name, NOT_RUNNING), self._causes(unit))))
            elif name in pulled and up and kinds.of(unit).runs(unit):
                found.append((unit["called"], "restart", [f"{pulled[name]} runs again"]))
            else:
                found += self._that_goes_on(unit, up)
        return found

    def _that_goes_on(self, unit: Resource, up: bool) -> t.Iterator[Told]:
        """What is told of a unit that runs on, or that a schedule runs: its next run takes in what has changed."""
        called, name = unit["called"], unit["name"]
        if kinds.of(unit).runs(unit):
            refreshes = kinds.of(unit).refreshes(unit)
            refreshed = [(refreshes.get(kinds.place(resource), ""), resource) for resource in self.own[name]]
            for does in sorted({does for does, _resource in refreshed} if up else {""}):
                why = [text for of, resource in refreshed if of == does or not up for text in self._in_place(resource)]
                if why:
                    yield called, does or "in place", why
        elif self._causes_of_its_own(unit):
            yield called, "in place", self._causes_of_its_own(unit)
        if self._scripts(unit) != self._scripts(self.former.get(name)):
            yield called, "in place", ["changeScript"]
        if name in self.former and self.former[name].get("leaving"):
            yield called, "in place", [NOT_LEAVING]

    def starts_anything(self) -> bool:
        """Whether anything begins that does not run. A target whose file has changed is started although it is up: its units stay as
        they are.
        """
        begun = [unit for unit in kinds.that_run(self.situation.wanted) if unit["name"] in self.begun]
        return any(kinds.of(unit).restarts(unit) or not self._is_up(unit["name"]) for unit in begun)

    def rest(self, anything_new: bool) -> list[str]:
        """What else of the group changes, or goes, and restarts nothing. What comes or goes with a unit is not worth a word."""
        rest = [resource for resource in self.made if not any(resource in own for own in self.own.values()) and not self._follows(resource)]
        if anything_new:
            rest = [resource for resource in rest if self.situation.now(resource) is not None]
        stay = {kinds.place(resource) for resource in self.situation.wanted}
        gone = [resource for resource in self.removed if not stay.isdisjoint(kinds.of(resource).missed_in(resource))]
        texts = {text for resource in rest for text in self._in_place(resource)}
        return [*sorted(texts), *sorted(f"without {self._label(resource)}" for resource in gone)]

    def _scripts(self, unit: Resource | None) -> t.Mapping[str, t.Any]:
        """What runs beside a unit when it takes in changed files. No file has it."""
        told = kinds.of(unit).told(unit) if unit else None
        return told["scripts"] if told else {}

    def _own(self, unit: Resource) -> list[Resource]:
        places = {kinds.place(unit), *kinds.of(unit).reads(unit), *kinds.of(unit).refreshes(unit)}
        return [resource for resource in self.made if kinds.place(resource) in places or self._is_held_anew(unit, resource)]

    def _pulled(self) -> dict[str, str]:
        """The units that systemd starts anew because one that they require does: what people call that one, by their names."""
        required = {unit["name"]: " ".join(compare.directives(self.contents.after(unit)).get("Requires", [])) for unit in self.called}
        anew = {unit["name"]: unit["called"] for unit in self.called if unit["name"] in self.begun and self._is_up(unit["name"])}
        pulled: dict[str, str] = {}
        # In their order, so that what a unit requires is before it.
        for name, others in required.items():
            cause = next((anew[other] for other in others.split() if other in anew), None)
            if cause and name not in anew:
                pulled[name] = anew[name] = cause
        return pulled

    def _is_up(self, unit: str) -> bool:
        return self.situation.is_up(unit) or unit in self.halted

    def _without_cause(self, unit: Resource) -> str:
        """Why a unit restarts that takes in nothing that has changed."""
        name, former = unit["name"], self.former.get(unit["name"])
        if name in self.situation.silent:
            return self.situation.silent[name]
        if self.halted.get(name):
            return "while ports change hands"
        if former and set(kinds.of(former).reads(former)) != set(kinds.of(unit).reads(unit)):
            return "what it starts with"
        return "while its files change hands" if name in self.halted else "it may still run with its former files"

    def _causes(self, unit: Resource) -> list[str]:
        """What differs in what a unit takes in of its own; or else which of its siblings change."""
        owners = [self._owner_of(resource, unit) for resource in self._replaced(unit)]
        return self._causes_of_its_own(unit) or list(dict.fromkeys(f"{called} changes" for called in owners))

    def _causes_of_its_own(self, unit: Resource) -> list[str]:
        """How it runs is before its variables: there may be many of them, and only some are shown."""
        mine = [resource for resource in self._replaced(unit) if self._owner_of(resource, unit) == unit["called"]]
        found = [text for resource in mine for text in self._of_content(resource)]
        return sorted(dict.fromkeys(found), key=lambda text: text.startswith("env "))

    def _replaced(self, unit: Resource) -> list[Resource]:
        """What a unit takes in and has changed, first units."""
        replaced = [resource for resource in self.own[unit["name"]] if self.situation.is_replaced(resource)]
        return sorted(replaced, key=lambda resource: kinds.of(resource).unit(resource) is None)

    def _owner_of(self, resource: Resource, unit: Resource) -> str:
        """What people call the unit to which it belongs, of what a unit takes in."""
        return self.owner.get(kinds.place(resource), unit["called"])

    def _places(self, unit: Resource) -> list[str]:
        """What is this unit's alone: its file, what it has its variables from, and what is put into its directories."""
        rendered = [(path, path.partition("/templates/")[2].split("/")[0].split(".")[0]) for path in kinds.of(unit).reads(unit)]
        # Of a container, systemd reads neither of them.
        rendered += [
            (path, path.rpartition("/")[2].rpartition(".")[0]) for path in kinds.of(unit).reads(unit) if f"{self.home}env/" in path
        ]
        own = [path for path, of in rendered if of and of in unit["name"]]
        return [kinds.place(unit), *compare.directives(self.contents.after(unit)).get("EnvironmentFile", []), *own]

    def _is_held_anew(self, unit: Resource, resource: Resource) -> bool:
        """Whether a unit has a directory open that is made again."""
        held = "digest" not in resource and is_held(unit, kinds.place(resource))
        return held and self.situation.is_replaced(resource)

    def _of_content(self, resource: Resource) -> list[str]:
        """What differs in a file that a unit takes in, and whether it was the job that changed it, or somebody on the robot."""
        if "digest" not in resource:
            return [f"{kinds.label(resource)} is made again"]
        is_unit = kinds.of(resource).unit(resource) is not None
        if self._was_lost(resource):
            return [MISSING if is_unit else f"missing: {self._label(resource)}"]
        found = self._differences(resource)
        if not self._is_by_hand(resource):
            return found
        if self.known[kinds.place(resource)].get("digest") == resource["digest"]:
            return [f"{BY_HAND}: {', '.join(found)}"]
        return [*found, f"{'its unit' if is_unit else self._label(resource)} was {BY_HAND}, too"]

    def _was_lost(self, resource: Resource) -> bool:
        return self.situation.now(resource) is None and kinds.place(resource) in self.known

    def _is_by_hand(self, resource: Resource) -> bool:
        """Whether what is there is not what the ledger has. Elsewhere, programs of the job may have changed it; and what follows others may
        be newer than the ledger, where whoever wrote it was killed.
        """
        place = kinds.place(resource)
        known, now = self.known.get(place), self.situation.now(resource)
        if known is None or now is None or known.get("follows") or not place.startswith(_NOT_OF_PROGRAMS):
            return False
        return now != kinds.expected(known)

    def _differences(self, resource: Resource) -> list[str]:
        before, after = self.contents.before(resource), self.contents.after(resource)
        if resource.get("label"):
            return [resource["label"]]
        if kinds.of(resource).unit(resource):
            if self.situation.now(resource) is None:
                # Of one beside it that is new, what wants it says enough.
                return [MISSING] if resource.get("called") else []
            return of_unit(before, after) or ["what it starts after"]
        differences = kinds.of(resource).differences(before, after)
        if differences:
            return [*differences]
        settings = compare.container(after)
        if settings is not None:
            return compare.differing(compare.container(before) or {}, settings)
        old, new = compare.variables(before), compare.variables(after)
        if new is None:
            return [self._label(resource)]
        names = compare.differing(old or {}, new)
        labels = sorted((found.group(1) for found in map(_PORT.fullmatch, names) if found), key=str.isupper)
        # A label comes as it is written, and in upper case.
        ports = {label.upper(): f"port {label}" for label in reversed(labels)}
        return [*sorted(ports.values()), *(f"env {name}" for name in names if not _PORT.fullmatch(name))] or ["env"]

    def _follows(self, resource: Resource) -> bool:
        """Whether it describes health checks, and differs in nothing but how their task is asked to end, which is told of the task."""
        if not kinds.place(resource).startswith(CHECKS + "/") or self.situation.now(resource) is None:
            return False
        try:
            before, after = (json.loads(text or "{}") for text in (self.contents.before(resource), self.contents.after(resource)))
        except ValueError:
            # Somebody has been at it.
            return False
        return {**before, "stop": None} == {**after, "stop": None}

    def _in_place(self, resource: Resource) -> list[str]:
        if self._was_lost(resource):
            return [f"missing: {self._label(resource)}"]
        found = [self._label(resource)]
        kind, by_hand = kinds.of(resource), self._is_by_hand(resource)
        if self._only_waits(resource) and not by_hand:
            return []
        # Of others, nobody has written in the job what is in them.
        its_words = resource.get("called") or not kind.restarts(resource)
        if kind.unit(resource) and its_words and self.situation.now(resource) is not None:
            found = of_unit(self.contents.before(resource), self.contents.after(resource))
        return [f"{BY_HAND}: {', '.join(found)}"] if found and by_hand else found

    def _only_waits(self, resource: Resource) -> bool:
        """Whether it waits for the tasks of a schedule, and so changes with them."""
        return bool(resource.get("called")) and not kinds.to_tell_of([resource])

    def _label(self, resource: Resource) -> str:
        """A file by its path in the group's configuration, without the ending that tells its form."""
        if resource.get("label"):
            return resource["label"]
        place = kinds.place(resource)
        if place.startswith(self.home):
            place = place[len(self.home) :]
            return place[: -len(".json")] if place.endswith(".json") else place
        units = (*self.called, *self.former.values())
        called = next((unit.get("called") for unit in units if kinds.of(unit).checks(unit) == place), None)
        return f"health checks of {called}" if called else kinds.label(resource)


def _and_changed(why: str, changes: t.Sequence[str]) -> list[str]:
    """Why a unit starts, and apart from that what has changed: it would have started without it."""
    return [f"{why}; changed: {changes[0]}", *changes[1:]] if changes else [why]
