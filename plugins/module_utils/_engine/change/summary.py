# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a switch does to each unit of a group and why, for a person who knows the job and not its files: pure, as steps.py is.

No value of a variable is in it. What goes is told by survey.py, with its data.
"""

from __future__ import annotations

import json
import re

from ..plan import CHECKS, CONFIGURATION
from ..resources import kinds
from ..say import compare
from ..state.journal import under_way
from .steps import is_held, no_longer_running

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ..plan import Resource
    from ..state.journal import Journal
    from .steps import Situation, Step

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


# What people call directives of systemd, where that is another word. A few units have a word, and so share it.
_CALLED = {
    "command": ("ExecStart",),
    "devices": ("DeviceAllow", "DevicePolicy"),
    "groups": ("SupplementaryGroups",),
    "how it is stopped": ("ExecStop", "KillMode", "KillSignal", "SuccessExitStatus", "TimeoutStopFailureMode", "TimeoutStopSec"),
    "limits": (
        *("AllowedCPUs", "CPUAffinity", "CPUQuota", "CPUSchedulingPolicy", "CPUSchedulingPriority", "IOAccounting", "IOWeight"),
        *("LimitMEMLOCK", "LimitNOFILE", "LimitRTPRIO", "MemoryHigh", "MemoryMax", "MemorySwapMax", "Nice", "TasksMax"),
    ),
    "log": ("StandardError", "StandardOutput", "SyslogIdentifier"),
    "privileges": ("AmbientCapabilities", "CapabilityBoundingSet", "NoNewPrivileges"),
    "readiness": ("ExecStartPost",),
    "restart policy": ("ExecStopPost", "Restart", "RestartForceExitStatus", "RestartSec"),
    "timeout": ("RuntimeMaxSec",),
    "user": ("Group", "SocketUser", "User"),
}
_WORDS = {directive: word for word, directives in _CALLED.items() for directive in directives}
NOT_RUNNING = "it was not running"
# Each port of a group comes as several variables.
_PORT = re.compile(r"NOMAD_(?:(?:HOST_)?(?:ADDR|IP|PORT)|ALLOC_PORT)_(\w+)")
# These say nothing that a person has to know: a description, and the order of units, which changes whenever one comes or goes.
_UNTOLD = ("Description", "After", "Before", "Wants", "Requires", "PartOf")


def of_group(id: str, name: str, situation: Situation, todo: t.Sequence[Step], contents: Contents) -> list[Change]:
    """What the steps of one group do to it; nothing for what goes."""
    summary = _Summary(id, situation, todo, contents)
    changes = summary.units()
    if changes and all(does == "new" for _unit, does, _why in changes) and len(changes) == len(summary.called):
        return [{"group": name, "unit": "", "does": "new", "why": [unit for unit, _does, _why in changes]}]
    rest = summary.rest(any(does == "new" for _unit, does, _why in changes))
    if rest:
        changes.append(("", "in place", rest))
    if not changes and summary.begun:
        changes.append(("", "start", []))
    if not changes and not any(step["do"] in ("remove", "discard") for step in todo):
        texts = [step["text"] for step in todo if step["text"]]
        changes += [("", "in place", texts)] if texts else []
    return [{"group": name, "unit": unit, "does": does, "why": why} for unit, does, why in changes]


def rolls_back(interrupted: Journal | None) -> list[str]:
    """That interrupted switches are rolled back, as steps."""
    return [f"roll back release {release}, whose switch was interrupted" for release in under_way(interrupted)]


def of_robot(interrupted: Journal | None, idle: t.Iterable[str]) -> list[Change]:
    """What is done before anything else: where a switch was interrupted, and where what serves all groups is ``idle``."""
    does = [f"start {unit}" for unit in idle]
    does += [f"rolls back release {release}, whose switch was interrupted" for release in under_way(interrupted)]
    return [{"group": "", "unit": "", "does": each, "why": []} for each in does]


class _Summary:
    def __init__(self, id: str, situation: Situation, todo: t.Sequence[Step], contents: Contents) -> None:
        self.home = f"{CONFIGURATION}/groups/{id}/"
        self.situation = situation
        self.contents = contents
        self.made = [step["resource"] for step in todo if step["do"] == "make"]
        self.stopped = no_longer_running(situation)
        self.begun = {unit for step in todo if step["do"] == "start" for unit in step["units"]}
        self.called = [unit for unit in kinds.that_run(situation.wanted) if unit.get("called")]
        # Those that a step tells of are down because of their ports, the others because of their files.
        self.halted = {unit: step["text"] for step in todo if step["do"] == "halt" for unit in step["units"]}
        # What people call the unit that each place belongs to: a task of an instance with hooks takes in what its siblings have, too.
        self.owner = {place: unit["called"] for unit in self.called for place in self._places(unit)}
        self.former = {unit["name"]: unit for unit in situation.old if kinds.of(unit).unit(unit)}
        # By the name of a unit, what of the changes it takes in or has open.
        self.own = {unit["name"]: self._own(unit) for unit in self.called}

    def units(self) -> list[Told]:
        """Of each unit that does not stay as it is: what people call it, what it does, and why."""
        pulled = self._pulled()
        found: list[Told] = []
        for unit in self.called:
            name = unit["name"]
            up = self._is_up(name)
            if self.situation.now(unit) is None and not up:
                found.append((unit["called"], "new", []))
            elif name in self.begun and up:
                found.append((unit["called"], "restart", self._causes(unit) or [self._without_cause(name)]))
            elif name in self.begun and name in self.situation.finished:
                found.append((unit["called"], "run again", self._causes(unit)))
            elif name in self.begun:
                found.append((unit["called"], "start", _and_changed(self.situation.dead.get(name, NOT_RUNNING), self._causes(unit))))
            elif name in pulled and up:
                found.append((unit["called"], "restart", [f"{pulled[name]} runs again"]))
            else:
                refreshes = kinds.of(unit).refreshes(unit)
                refreshed = [(refreshes.get(kinds.place(resource), ""), resource) for resource in self.own[name]]
                for does in sorted({does for does, _resource in refreshed} if up else {""}):
                    why = [text for of, resource in refreshed if of == does or not up for text in self._in_place(resource)]
                    found += [(unit["called"], does or "in place", why)] if why else []
                if self._scripts(unit) != self._scripts(self.former.get(name)):
                    found.append((unit["called"], "in place", ["changeScript"]))
        stopped = [self.former[name].get("called", "") for name in self.stopped]
        return found + [(called, "stop", ["a schedule starts it"]) for called in stopped if called]

    def rest(self, anything_new: bool) -> list[str]:
        """What else of the group changes, and restarts nothing. What comes with a new unit is not worth a word."""
        rest = [resource for resource in self.made if not any(resource in own for own in self.own.values()) and not self._follows(resource)]
        # Of a unit that stops, that is told.
        rest = [resource for resource in rest if kinds.of(resource).unit(resource) not in self.stopped]
        if anything_new:
            rest = [resource for resource in rest if self.situation.now(resource) is not None]
        return sorted({text for resource in rest for text in self._in_place(resource)})

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

    def _without_cause(self, unit: str) -> str:
        """Why a unit restarts that takes in what it took in before."""
        otherwise = "it may still run with its former files"
        if unit in self.halted:
            otherwise = "while ports change hands" if self.halted[unit] else "while its files change hands"
        return self.situation.silent.get(unit, otherwise)

    def _causes(self, unit: Resource) -> list[str]:
        """What differs in what a unit takes in: of its own, how it runs before its variables; or else which of its siblings change."""
        replaced = [resource for resource in self.own[unit["name"]] if self.situation.is_replaced(resource)]
        replaced.sort(key=lambda resource: kinds.of(resource).unit(resource) is None)
        owners = {kinds.place(resource): self.owner.get(kinds.place(resource), unit["called"]) for resource in replaced}
        mine = [resource for resource in replaced if owners[kinds.place(resource)] == unit["called"]]
        found = [text for resource in mine for text in self._of_content(resource)] or [f"{called} changes" for called in owners.values()]
        # There may be many of them, and only some are shown.
        return sorted(dict.fromkeys(found), key=lambda text: text.startswith("env "))

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
        if "digest" not in resource:
            return [f"{kinds.label(resource)} is made again"]
        before, after = self.contents.before(resource), self.contents.after(resource)
        if resource.get("label"):
            return [resource["label"]]
        if kinds.of(resource).unit(resource):
            if self.situation.now(resource) is None:
                return ["its unit was missing"]
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
        if kinds.of(resource).unit(resource) and self.situation.now(resource) is not None:
            return of_unit(self.contents.before(resource), self.contents.after(resource))
        return [self._label(resource)]

    def _label(self, resource: Resource) -> str:
        """A file by its path in the group's configuration, without the ending that tells its form."""
        if resource.get("label"):
            return resource["label"]
        place = kinds.place(resource)
        if place.startswith(self.home):
            place = place[len(self.home) :]
            return place[: -len(".json")] if place.endswith(".json") else place
        called = next((unit["called"] for unit in self.called if kinds.of(unit).checks(unit) == place), None)
        return f"health checks of {called}" if called else kinds.label(resource)


def _and_changed(why: str, changes: t.Sequence[str]) -> list[str]:
    """Why a unit starts, and apart from that what has changed: it would have started without it."""
    return [f"{why}; changed: {changes[0]}", *changes[1:]] if changes else [why]


def of_unit(before: str, after: str) -> list[str]:
    """What differs between two texts of a unit, as people call it; of systemd's words only those that none of ours stands for. The program
    of a last hook is what runs when its unit stops.
    """
    names = compare.differing(compare.directives(before), compare.directives(after))
    if before and "NetworkNamespacePath" in names:
        # A task that moves into a pod, or out of one, runs in another way altogether.
        return ["network mode"]
    words = {**_WORDS, "ExecStop": "command"} if "ExecStart" not in compare.directives(after) else _WORDS
    if "Environment=POD_IP" in before and "Environment=POD_IP" in after:
        words = {**words, "Environment": "address of the pod"}
    return sorted({words.get(name, name) for name in names if name not in _UNTOLD})
