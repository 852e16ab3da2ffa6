# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""k8s4r-checks.service: runs the health checks of a robot's tasks that are due, and ends. A timer starts it again and again.

What a task answers is read by children that have given up every privilege; from them come a status and a line of text, no more.
"""

from __future__ import annotations

import functools
import os
import select
import sys
from time import monotonic

from .. import plan
from . import states
from .children import Checks, connect
from .restart import Restart
from .up import running

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from .children import Due, Result
    from .states import Check, Description, State, Task
    from .up import Up

    Flights = t.Union[Checks, Restart]

# Seconds. While something is under way, others may become due; they are looked for no more often.
LOOK = 0.5
SCRIPT = "script"


class Runner:
    """``directory`` has the descriptions of checks, ``results`` their states."""

    def __init__(self, directory: str = plan.CHECKS, results: str = plan.CHECK_STATES) -> None:
        self._directory = directory
        self._results = results
        self._poll = select.poll()
        self._flights: dict[int, Flights] = {}
        # What is under way, by a task's file and a check's name: whether it was its time, and of which start of the task it is.
        self._flying: dict[tuple[str, str], tuple[bool, int]] = {}
        self._described: dict[str, Description] = {}
        self._up: dict[str, Up] = {}
        # The starts of units that are being ended.
        self._restarting: set[tuple[str, int]] = set()
        os.makedirs(results, mode=0o700, exist_ok=True)

    def run(self) -> None:
        """Run what is due, and what becomes due while that is under way."""
        look = 0.0
        while True:
            if monotonic() >= look:
                self._begin(states.is_asked(self._results))
                look = monotonic() + LOOK
            if not self._flights:
                return
            soonest = min([look, *[flight.child.deadline for flight in self._flights.values()]])
            for pipe, _event in self._poll.poll(max(0.0, soonest - monotonic()) * 1000 + 1):
                found, over = self._flights[pipe].more()
                self._take(found)
                if over:
                    self._end(pipe)
            for pipe in [pipe for pipe, flight in self._flights.items() if flight.child.deadline <= monotonic()]:
                self._end(pipe)

    def _begin(self, impatient: bool) -> None:
        """``impatient``: a deployment waits. Then a check that has not been passing since its task started is due in any case."""
        described = self._described = states.described(self._directory)
        states.forget(described, self._results)
        up = self._up = running(sorted({description["unit"] for description in described.values()}))
        # Half the time from one run to the next.
        early = period(described) / 2
        due = [
            (task, check)
            for task, description in described.items()
            if description["unit"] in up
            for check in self._due(task, description, up[description["unit"]], early, impatient)
        ]
        self._connect([(task, check) for task, check in due if check["type"] != SCRIPT])
        self._execute([(task, check) for task, check in due if check["type"] == SCRIPT])

    def _due(self, task: str, description: Description, up: Up, early: float, impatient: bool) -> list[Check]:
        """The checks of a task that are due, or will be in less than ``early``."""
        now, known = monotonic(), states.load(task, self._results)
        found, kept = [], {}
        for check in description["checks"]:
            state = kept[check["name"]] = states.current(check, known, up[0], now)
            if (task, check["name"]) in self._flying:
                continue
            scheduled = now + early >= state["due"]
            if scheduled:
                following = state["due"] + check["interval"]
                # What was missed is not made up for.
                state["due"] = following if following > now else now + check["interval"]
            if scheduled or (impatient and not state["passed"]):
                self._flying[task, check["name"]] = (scheduled, up[0])
                found.append(check)
        self._save(task, {"started": up[0], "checks": kept})
        return found

    def _save(self, task: str, state: Task) -> None:
        try:
            states.save(task, state, self._results)
        except OSError as error:
            # The others' may have room.
            sys.stderr.write(f"{self._results}/{task}: {error.strerror}\n")

    def _connect(self, due: t.Sequence[Due]) -> None:
        # Those in a pod are a child's of their own, which enters its network.
        pods: dict[str, list[Due]] = {}
        for task, check in due:
            pods.setdefault(self._described[task].get("network", ""), []).append((task, check))
        for pod, mine in pods.items():
            self._fly(Checks(mine, functools.partial(_within, pod, mine)))

    def _execute(self, due: t.Sequence[Due]) -> None:
        if not due:
            return
        from . import script

        for task, check in due:
            run, unit = self._described[task]["run"], self._described[task]["unit"]
            self._fly(Checks([(task, check)], functools.partial(script.run, task, check, run, unit, self._up[unit][1])))

    def _fly(self, flight: Flights) -> None:
        self._flights[flight.child.pipe] = flight
        self._poll.register(flight.child.pipe, select.POLLIN)

    def _end(self, pipe: int) -> None:
        self._poll.unregister(pipe)
        self._take(self._flights.pop(pipe).end())

    def _take(self, results: t.Iterable[Result]) -> None:
        known: dict[str, Task] = {}
        for task, check, outcome in results:
            counts, started = self._flying.pop((task, check["name"]), (True, 0))
            if task not in known:
                known[task] = states.load(task, self._results)
            state = known[task]["checks"].get(check["name"])
            # It may have become another one meanwhile, or be of another start of the task.
            if state and state["of"] == states.identity(check) and known[task]["started"] == started:
                state = known[task]["checks"][check["name"]] = states.after(check, state, outcome, monotonic(), counts)
                self._restart(task, check, state, known[task]["started"])
        for task, found in known.items():
            if found["checks"]:
                self._save(task, found)

    def _restart(self, task: str, check: Check, state: State, started: int) -> None:
        """Have a task end whose check has failed too often. What it was before the grace was over does not count."""
        limit, description = check.get("restart"), self._described[task]
        if limit is None or not limit["limit"]:
            return
        if monotonic() - started / 1e6 < limit["grace"]:
            state["failed"] = 0
        unit = description["unit"]
        if state["failed"] < limit["limit"] or (unit, started) in self._restarting:
            return
        since, pid = running([unit]).get(unit, (0, 0))
        if since == started and pid:
            self._restarting.add((unit, started))
            often = f"health check {check['name']} has failed {state['failed']} times in a row: {state['said']}"
            sys.stderr.write(f"{unit}: is asked to end and start again, because {often}\n")
            self._fly(Restart(unit, pid, description["stop"]))


def _within(pod: str, due: t.Sequence[Due], writer: int) -> None:
    connect(due, writer, pod)


def period(described: t.Mapping[str, Description]) -> float:
    """The time from one run to the next: the shortest of all intervals."""
    return min([check["interval"] for description in described.values() for check in description["checks"]], default=0.0)


def main() -> None:
    Runner().run()
