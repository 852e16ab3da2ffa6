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
from ..system import files, ports, systemd
from . import steps
from .health.report import last_lines
from .health.wait import Unhealthy, wait

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ..state.ledger import GroupRecord, JobName
    from ..state.manifest import ManifestGroup
    from ..state.robot import Robot
    from .steps import Step

    # Called with each step as it begins.
    Progress = t.Callable[[str], None]


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
        self.words = LastWords()
        self._verbs: dict[str, t.Callable[[Step], None]] = {
            "make": lambda step: kinds.of(step["resource"]).fix(step["resource"], robot),
            "extend": lambda step: kinds.of(step["resource"]).extend(step["resource"], robot),
            "halt": lambda step: systemd.stop(step["units"]),
            "reload": lambda _step: systemd.reload(),
            "stop": self._stop,
            "clear": self._clear,
            "down": lambda step: systemd.stop(step["units"]),
            "start": self._start,
            "refresh": self._refresh,
            "healthy": self._healthy,
            "commit": self._commit,
            "remove": lambda step: kinds.of(step["resource"]).remove(step["resource"]),
            "unload": lambda _step: systemd.reload(),
            "discard": lambda step: kinds.of(step["resource"]).remove(step["resource"]),
            "pruned": self._pruned,
        }

    def perform(self, step: Step) -> None:
        if step["text"]:
            self.progress(step["text"])
        self._verbs[step["do"]](step)

    def _stop(self, step: Step) -> None:
        systemd.stop(step["units"])
        self._forget_restarts(step["units"])
        # A unit that failed would stay in systemd's memory when its file is gone.
        systemd.reset_failed(step["units"])

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
            if not systemd.refresh(unit["name"]):
                lines = "".join("\n    " + line for line in last_lines(unit, began, self.words))
                raise Unhealthy([f"{kinds.called(unit)} could not take in its changed files{':' if lines else ''}{lines}"])
            failed = telling.tell(unit, step["files"])
            # On the way back, a script fails that failed on the way there.
            if failed and self.record is None:
                raise Unhealthy(failed)

    def _forget_restarts(self, units: t.Iterable[str]) -> None:
        for unit in units:
            files.remove(f"{self.robot.runtime}/{RESTART_COUNTS}/{unit}")

    def _clear(self, step: Step) -> None:
        """Take away what would keep a unit from a fresh start, and the record that it started."""
        self._forget_starts(step["units"])
        self._forget_restarts(step["units"])
        for path in step["done"]:
            if self.record is None:
                _begin(path)
            else:
                _undo(path)
        if step["known"]:
            systemd.reset_failed(step["known"])

    def _forget_starts(self, units: t.Iterable[str]) -> None:
        """Before the restart: a run that dies after it must not take the record of the earlier start for the new one."""
        record = self.robot.ledger.of(self.job)
        group = record["groups"].get(self.group["id"])
        known = [unit for unit in units if group and group["started"].pop(unit, None)]
        if known:
            self.robot.ledger.save(record)

    def _healthy(self, step: Step) -> None:
        units = [unit for unit in kinds.that_run(self.group["resources"]) if unit["name"] in step["units"]]
        waits = f"wait until {self.group['name']} is healthy"
        if units:
            self.progress(waits)
        # A last good release may come back because its checks have failed, too.
        checked = self.record is None
        shown = wait(units, self.began, self.words, checked, lambda text: self.progress(f"{waits}: {text}" if text else waits))
        # A task that cannot have its port ends, or does without; a proxy runs on without the listener that it could not have.
        wanted = [port for port in self.group["ports"] if not port.get("called")]
        silent = ports.without_listener(wanted)
        heard = [port for port in wanted if port not in silent]
        own = {unit["name"] for unit in units}
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

    def _commit(self, step: Step) -> None:
        resources = self.group["resources"]
        self._write_down(
            {
                "name": self.group["name"],
                "release": self.record["release"] if self.record else self.release,
                "committed": self.record["committed"] if self.record else time.time(),
                "resources": resources,
                "leftovers": step["leftovers"],
                "started": steps.run_digests(resources, self.robot.digest),
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


def _begin(done: str) -> None:
    """The unit is to run again."""
    try:
        os.replace(done, done + BEFORE)
    except FileNotFoundError:
        files.remove(done + BEFORE)


def _undo(done: str) -> None:
    """As it was before the switch: work that had been done by then is not done once more. It may be called again."""
    if os.path.exists(done + BEFORE):
        files.write(done, b"", 0, 0, 0o644)
    else:
        files.remove(done)
