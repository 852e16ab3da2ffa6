# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting for the units of a group after a switch, until all are well or it is known why one is not."""

from __future__ import annotations

import time

from ...checks import units as check_units
from ...resources import kinds
from ...system import systemd
from . import report
from .verdicts import DEADLINE, UNKNOWN, Verdict, Watch, comes_to_an_end, fresh, restarts_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ...logs.words import LastWords
    from ...plan import Resource

# Checks that have not passed for long enough are run this often.
IMPATIENCE = 1.0
# When one unit has failed, others that began with it get this long to show whether they fail too: a report has all reasons.
MOMENT = 1.0
# From one look to the next: each costs a robot some 15 ms of a processor. Where nothing has changed since the last look, there is
# less and less to be seen.
INTERVAL, LONGEST_INTERVAL, LONGER = 0.1, 0.5, 1.5


class Unhealthy(Exception):
    """Units of the group do not do what they should: one text per unit, with its last log lines."""

    def __init__(self, errors: list[str]) -> None:
        super().__init__("; ".join(errors))
        self.errors = errors


def wait(
    units: t.Sequence[Resource],
    since: float,
    words: LastWords,
    checked: bool = False,
    tell: t.Callable[[str], None] = lambda _text: None,
    told: t.Mapping[str, float] | None = None,
) -> systemd.Shown:
    """Wait until all units are healthy; their properties then. Raises `Unhealthy`.

    ``units``: resources. ``since``: when the switch began, of the monotonic clock. ``words``: of their log files. ``checked``: their
    health checks must pass, too. ``tell`` is called with what is waited for, whenever that changes; with nothing where all are up.
    ``told``: when units that go on were told of changed files, of the monotonic clock, by their names.
    """
    vigil, last = _Vigil(units, since, words, checked, told or {}), ""
    while units:
        now = time.monotonic()
        if vigil.are_well(now):
            break
        text = vigil.awaited()
        if text != last:
            tell(text)
        last = text
        vigil.pause(now)
        vigil.look()
    return vigil.shown


class _Vigil:
    """The units that are waited for, as systemd shows them: ``shown`` is of the last look."""

    def __init__(self, units: t.Sequence[Resource], since: float, words: LastWords, checked: bool, told: t.Mapping[str, float]) -> None:
        self.units, self.since, self.words = units, since, words
        self.names = [unit["name"] for unit in units]
        self._changes, self.shown = systemd.changes(self.names), systemd.show(self.names)
        # All units are of one job, and not all carry what it says.
        patience = next((found for found in (kinds.of(unit).deadline(unit) for unit in units) if found is not None), DEADLINE)
        self._watches = {
            unit["name"]: Watch(unit, restarts_of(self._of(unit["name"])), checked, patience, told.get(unit["name"], 0.0)) for unit in units
        }
        self._verdicts: dict[str, Verdict] = {}
        # What systemd showed of each that had ended, at whichever look: it may have been started again since.
        self._ends: dict[str, systemd.Properties] = {}
        # Until when other units may show that they fail, too; from the first failure on.
        self._moment: float | None = None
        self._interval = INTERVAL
        # When checks were last asked for.
        self._asked = 0.0

    def _of(self, name: str) -> systemd.Properties:
        return self.shown.get(name, {})

    def are_well(self, now: float) -> bool:
        """Whether all are. Raises `Unhealthy` where one has failed, as soon as nothing more is to be learnt from the others."""
        self._verdicts = {name: watch.verdict(self._of(name), now) for name, watch in self._watches.items()}
        # Of one that is up again, systemd has forgotten how it ended.
        ended = [name for name in self.names if _has_ended(self._verdicts[name], self._of(name))]
        self._ends.update({name: self._of(name) for name in ended if not (name in self._ends and systemd.up(self._of(name)))})
        if Verdict.FAILED not in self._verdicts.values():
            return Verdict.WAITING not in self._verdicts.values()
        self._moment = self._moment or now + MOMENT
        undecided = any(_undecided(unit, self._verdicts[unit["name"]], self._of(unit["name"]), now) for unit in self.units)
        if now >= self._moment or not undecided:
            raise Unhealthy(self._reasons())
        return False

    def _reasons(self) -> list[str]:
        over = [unit for unit in self.units if unit["name"] in self._ends and self._verdicts[unit["name"]] is not Verdict.HEALTHY]
        over = [unit for unit in over if not self._watches[unit["name"]].late]
        said = report.of_ended(over, self._ends, self.since, self.words) if over else []
        # One that was restarted for its checks may have ended as it should.
        said += [f"{kinds.called(unit)}: {text}" for unit in over for text in self._watches[unit["name"]].failing]
        late = [watch for watch in self._watches.values() if watch.late]
        return said + [report.of_late(watch.unit, watch.failing, self.since, self.words) for watch in late]

    def awaited(self) -> str:
        """Which units are waited for, and of those that are to be tried again how they ended. After a failure that is nobody's concern."""
        found = [(unit, self._of(unit["name"])) for unit in self.units] if self._moment is None else []
        said = [f"{kinds.called(unit)} is tried again: {report.ended(unit, values)}" for unit, values in found if _waits(values)]
        said += [
            f"{kinds.called(unit)} {'has not ended' if comes_to_an_end(values) else 'is not ready'} yet"
            for unit, values in found
            if values.get("ActiveState") == "activating" and not _waits(values)
        ]
        return "; ".join(said)

    def pause(self, now: float) -> None:
        """Until something may be another thing. Checks that are waited for are run meanwhile."""
        longest = UNKNOWN
        if any(watch.asks for watch in self._watches.values()):
            if now >= self._asked + IMPATIENCE:
                self._asked = now
                check_units.begin()
            longest = self._asked + IMPATIENCE - now
        time.sleep(min(self._interval, max(watch.due for watch in self._watches.values()), longest))

    def look(self) -> None:
        """Ask systemd for all that it knows of them, if anything is another thing."""
        before = self.shown
        # Taken before the look: what happens in between is looked at once more.
        changes = systemd.changes(self.names)
        if not self._changes or changes != self._changes or _waits_for_turn(before):
            self._changes, self.shown = changes, systemd.show(self.names)
        quiet = self._moment is None and _lives(self.shown) == _lives(before)
        self._interval = min(LONGER * self._interval, LONGEST_INTERVAL) if quiet else INTERVAL


def _waits_for_turn(shown: systemd.Shown) -> bool:
    """Whether systemd is to do something with a unit: should it not come to that, the unit's state is what it was."""
    return any(values.get("Job", "0") not in ("0", "") for values in shown.values())


def _lives(shown: systemd.Shown) -> list[list[str | None]]:
    """Of each unit what is another thing when it has begun, ended or been tried again."""
    return [[values.get(name) for name in ("ActiveState", "SubState", "Job", "NRestarts", "MainPID")] for values in shown.values()]


def _waits(values: systemd.Properties) -> bool:
    """Whether a unit waits for its next try."""
    return values.get("SubState") == systemd.AUTO_RESTART


def _has_ended(verdict: Verdict, values: systemd.Properties) -> bool:
    """Whether a unit has failed, or is to be tried again: that may be why another one failed."""
    return verdict is Verdict.FAILED or (verdict is Verdict.WAITING and _waits(values))


def _undecided(unit: Resource, verdict: Verdict, values: systemd.Properties, now: float) -> bool:
    """Whether a unit with a program may soon turn out to have failed, too."""
    return kinds.of(unit).restarts(unit) and (verdict is Verdict.WAITING or (verdict is Verdict.HEALTHY and fresh(values, now, MOMENT) > 0))
