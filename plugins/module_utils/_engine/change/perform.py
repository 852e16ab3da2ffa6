# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carrying out the steps of one group."""

from __future__ import annotations

import os
import time

from ..checks import telling
from ..logs.words import LastWords, make_way
from ..plan import RESTART_COUNTS
from ..pods import units as wall_units
from ..resources import kinds
from ..system import endings, files, ports, systemd
from .health.report import last_lines
from .health.wait import Unhealthy, wait
from .steps.situation import run_digests

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ..plan.resources import Resource
    from ..state.ledger import GroupRecord, JobName
    from ..state.manifest import ManifestGroup
    from ..state.robot import Robot
    from .steps.step import Step

    # Called with each step as it begins.
    Progress = t.Callable[[str], None]


# Seconds, for which a start is waited for before a unit is told of changed files.
STARTING = 90.0
# Behind the name of a file that says of a unit that it has run: it had before the switch.
BEFORE = ".before"


def silence(_text: str) -> None:
    """The progress of work for which no one waits."""


class Performer:
    """Performs the steps of one group of one job, and writes down in the ledger what they achieved.

    ``release``: the one that is switched to. ``record``: the last good release, where the group is brought back to it.
    """

    def __init__(
        self,
        robot: Robot,
        release: str,
        job: JobName,
        group: ManifestGroup,
        progress: Progress,
        record: GroupRecord | None = None,
    ) -> None:
        self.robot = robot
        self.release = release
        self.job = job
        self.group = group
        self.progress = progress
        self.record = record
        self.began = time.monotonic()
        # What a person should know of units that do well now.
        self.notices: list[str] = []
        # Places of what could not be had on the way back.
        self.lacks: set[str] = set()
        # Units that were told of changed files: what each was told, its process then, and when, of the monotonic clock.
        self._told: dict[str, tuple[str, int | None, float]] = {}
        self.words = LastWords()
        self._verbs: dict[str, t.Callable[[Step], None]] = {
            "make": lambda step: kinds.of(step["resource"]).fix(step["resource"], robot),
            "extend": lambda step: kinds.of(step["resource"]).extend(step["resource"], robot),
            "halt": lambda step: self._take_down(step["units"]),
            "reload": lambda _step: systemd.reload(),
            "stop": self._stop,
            "close": self._close,
            "clear": self._clear,
            "down": self._down,
            "start": self._start,
            "refresh": self._refresh,
            "healthy": self._healthy,
            "commit": self._commit,
            "remove": lambda step: kinds.of(step["resource"]).remove(step["resource"], robot),
            "unload": lambda _step: systemd.reload(),
            "discard": lambda step: kinds.of(step["resource"]).remove(step["resource"], robot),
            "pruned": self._pruned,
        }

    def perform(self, step: Step) -> None:
        if step["text"]:
            self.progress(step["text"])
        self._verbs[step["do"]](step)

    def _take_down(self, units: t.Sequence[str]) -> None:
        """Stop units. That one had to be killed is seen only now: systemd forgets it with the next start."""
        systemd.stop(units)
        shown = systemd.show([unit for unit in units if unit.endswith(".service")], "Id,ActiveState,Result,ExecMainCode,ExecMainStatus")
        killed = [name for name, values in shown.items() if endings.had_to_be_killed(values)]
        self.notices += [f"{self._called(name)}: {endings.KILLED}" for name in killed]

    def _down(self, step: Step) -> None:
        self._take_down(step["units"])
        # One that came to its end on its own before it was stopped has written that down once more.
        self._forget_restarts(step["units"])
        self._forget_done(step["done"])

    def _called(self, name: str) -> str:
        found = [unit for unit in kinds.that_run(self.group["resources"]) if unit["name"] == name]
        return kinds.called(found[0]) if found else name

    def _stop(self, step: Step) -> None:
        self._take_down(step["units"])
        self._forget_restarts(step["units"])
        # A unit that failed would stay in systemd's memory when its file is gone.
        systemd.reset_failed(step["units"])

    def _close(self, step: Step) -> None:
        """The way to a pod that has been stopped."""
        kinds.of(step["resource"]).remove(step["resource"], self.robot)
        wrong = wall_units.enforce([step["resource"]])
        if wrong:
            raise Unhealthy(wrong)

    def _start(self, step: Step) -> None:
        """All at once: a request for each would make systemd try a unit that failed again, for each that depends on it."""
        units = kinds.that_run(self.group["resources"])
        for logs in filter(None, [kinds.of(unit).logs(unit) for unit in units]):
            make_way(logs)
            self.words.from_here_on(logs)
        systemd.start([unit["name"] for unit in units if kinds.of(unit).starts_the_others(unit)] or step["units"])

    def _refresh(self, step: Step) -> None:
        """Programs go on, and are told of files that have changed."""
        for unit in [unit for unit in kinds.that_run(self.group["resources"]) if unit["name"] in step["units"]]:
            self.words.from_here_on(kinds.of(unit).logs(unit))
            began = time.monotonic()
            refreshes = kinds.of(unit).refreshes(unit)
            does = sorted({refreshes[path] for path in step["files"] if refreshes.get(path)})
            # systemd would do nothing for one that just starts, and that may have read the files before.
            before = systemd.program_of(unit["name"], STARTING)
            # One that has died since it was looked at hears nothing: it finds the files when it starts.
            told = does if before else []
            went_well = systemd.refresh(unit["name"])
            self._has_told(unit, told, before)
            if not went_well:
                # Where the program has ended before systemd was through, and is not started again at once, systemd calls the reload failed.
                # It also refuses the reload of one that waits to be started again: no program. Both read their files when they start.
                if before == 0 or systemd.program_of(unit["name"]) != before:
                    continue
                lines = "".join("\n    " + line for line in last_lines(unit, began, self.words))
                raise Unhealthy([f"{kinds.called(unit)} could not take in its changed files{':' if lines else ''}{lines}"])
            failed = telling.tell(unit, step["files"])
            self._has_told(unit, told, before)
            # On the way back, a script fails that failed on the way there.
            if failed and self.record is None:
                raise Unhealthy(failed)

    def _has_told(self, unit: Resource, does: t.Sequence[str], process: int | None) -> None:
        """What it has been told, and just now: to tell it may take longer than the time for which its program is looked at afterwards."""
        if does:
            self._told[unit["name"]] = (", ".join(does), process, time.monotonic())

    def _forget_restarts(self, units: t.Iterable[str]) -> None:
        for unit in units:
            files.remove(f"{self.robot.runtime}/{RESTART_COUNTS}/{unit}")

    def _clear(self, step: Step) -> None:
        """Take away what would keep a unit from a fresh start, and the record that it started."""
        self._remember_done(step["done"])
        self._forget_starts(step["units"])
        self._forget_restarts(step["units"])
        self._forget_done(step["done"])
        if step["known"]:
            systemd.reset_failed(step["known"])

    def _forget_done(self, done: t.Iterable[str]) -> None:
        for path in done:
            if self.record is None or not os.path.exists(path + BEFORE):
                files.remove(path)
            else:
                # What had been done before the switch is not done once more.
                files.write(path, b"", 0, 0, 0o644)

    def _remember_done(self, done: t.Container[str]) -> None:
        """That a unit has run is of the last good release as long as the ledger has the record of its start; afterwards it is of the
        release that is tried, also where the switch was killed and goes on.
        """
        group = self.robot.ledger.group(self.job, self.group["id"])
        for unit in kinds.that_run(self.group["resources"]):
            path = unit.get("done")
            if path and path in done and group and unit["name"] in group["started"] and os.path.exists(path):
                os.replace(path, path + BEFORE)

    def _forget_starts(self, units: t.Iterable[str]) -> None:
        """Before the restart: a run that dies after it must not take the record of the earlier start for the new one."""
        record = self.robot.ledger.of(self.job)
        group = record["groups"].get(self.group["id"])
        known = [unit for unit in units if group and group["started"].pop(unit, None)]
        if known:
            self.robot.ledger.save(record)

    def _healthy(self, step: Step) -> None:
        awaited = set(step["units"]) - self._lacking()
        units = [unit for unit in kinds.that_run(self.group["resources"]) if unit["name"] in awaited]
        waits = f"wait until {self.group['name']} is healthy"
        if units:
            self.progress(waits)
        # A last good release may come back because its checks have failed, too.
        checked = self.record is None
        told = {name: at for name, (_does, _process, at) in self._told.items()} if checked else {}
        try:
            shown = wait(units, self.began, self.words, checked, lambda text: self.progress(f"{waits}: {text}" if text else waits), told)
        except Unhealthy as unhealthy:
            raise Unhealthy([*unhealthy.errors, *self._ended_by_it(systemd.show([*told]))]) from None
        self.notices += self._ended_by_it(shown)
        # A task that cannot have its port ends, or does without; a proxy runs on without the listener that it could not have.
        wanted = [port for port in self.group["ports"] if not port.get("called")]
        silent = ports.without_listener(wanted)
        heard = [port for port in wanted if port not in silent]
        own = {unit["name"] for unit in kinds.that_run(self.group["resources"])}
        # One that began to listen after the first look is well; one that has the port as the end of a connection keeps itself out.
        taken = ports.taken(heard, own) + ports.taken(silent, own, own_ends=False)
        for unit in units:
            inside = kinds.of(unit).listens(unit)
            if inside and unit["name"] in shown:
                taken += ports.taken_inside(inside, shown[unit["name"]]["MainPID"], unit["name"])
        # Pods that go on may have got other callers and other ports.
        wrong = taken + wall_units.enforce(self.group["resources"])
        if wrong:
            raise Unhealthy(wrong)

    def _lacking(self) -> set[str]:
        """The units that need what could not be had."""
        return {unit["name"] for unit in kinds.that_run(self.group["resources"]) if not self.lacks.isdisjoint(kinds.of(unit).reads(unit))}

    def _ended_by_it(self, shown: systemd.Shown) -> list[str]:
        """Of the programs that were told of changed files, those that ended by it."""
        text = "{}: its program ended when it was told of changed files ({}){}"
        return [
            text.format(self._called(name), does, ", and was started again" if systemd.up(shown[name]) else "")
            for name, (does, process, _at) in self._told.items()
            if name in shown and systemd.number(shown[name], "MainPID") != process
        ]

    def _commit(self, step: Step) -> None:
        resources = self.group["resources"]
        record = self.robot.ledger.group(self.job, self.group["id"])
        before = record["started"] if record else {}
        # What lacks something has not started well with it.
        lacking = self._lacking()
        begun = {name: text for name, text in run_digests(resources, self.robot.digest).items() if name not in lacking}
        # With other files than these, where they have changed: so it did not begin anew.
        leaving = {unit["name"]: before[unit["name"]] for unit in resources if unit.get("leaving") and unit.get("name") in before}
        self._write_down(
            {
                "name": self.group["name"],
                "release": self.record["release"] if self.record else self.release,
                "committed": self.record["committed"] if self.record else time.time(),
                "resources": resources,
                "leftovers": step["leftovers"],
                "started": {**begun, **leaving},
                "needs": self.group["needs"],
                "ports": self.group["ports"],
                "secrets": self.group["secrets"],
            }
        )
        for path in filter(None, [unit.get("done") for unit in kinds.that_run(resources)]):
            files.remove(path + BEFORE)

    def _pruned(self, step: Step) -> None:
        group = self.robot.ledger.group(self.job, self.group["id"])
        if group:
            self._write_down({**group, "leftovers": step["leftovers"]})

    def _write_down(self, group: GroupRecord) -> None:
        record = self.robot.ledger.of(self.job)
        # Until all groups of the job are committed, the controller's digest is not of it.
        record["state"], record["plan"] = "partial", ""
        if group["resources"] or group["leftovers"]:
            record["groups"][self.group["id"]] = group
        else:
            record["groups"].pop(self.group["id"], None)
        self.robot.ledger.save(record)
