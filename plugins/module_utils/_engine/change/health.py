# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the units of a group do well after a switch, and what to report when one does not."""

from __future__ import annotations

import enum
import time

from .. import plan
from ..checks import states
from ..checks import units as check_units
from ..resources import kinds
from ..say import texts
from ..system import endings, systemd
from ..usage import oom

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ..logs.words import LastWords
    from ..plan import Resource

# Healthy is: active with no restart, and all checks passing, for this long; the job may say how long.
STEADY = 2.0
# Checks have so long to come to that, as Nomad gives them, unless the job says otherwise.
DEADLINE = 300.0
# Until they have, they are run this often.
IMPATIENCE = 1.0
# A program may fail while what it needs comes up; not for longer, and not again and again.
LONGEST_PENDING = 15.0
MOST_RESTARTS = 3
# A service that ends with 0 as soon as it has begun lacks nothing that might come up. One may do so once, to begin anew.
MOST_GOOD_ENDS = 2
# When one unit has failed, others that began with it get this long to show whether they fail too: a report has all reasons.
MOMENT = 1.0

# From one look to the next: each costs a robot some 15 ms of a processor. Where nothing has changed since the last look, there is
# less and less to be seen.
INTERVAL, LONGEST_INTERVAL, LONGER = 0.1, 0.5, 1.5
UNKNOWN = float("inf")
# What systemd writes of a program that cannot be executed, in two lines. How the first one begins differs from version to version.
NAMED = ("Failed to execute ", "Failed to locate executable ", "Unable to locate executable ")
FAILED_STEP = "Failed at step EXEC spawning "


class Unhealthy(Exception):
    """Units of the group do not do what they should: one text per unit, with its last log lines."""

    def __init__(self, errors: list[str]) -> None:
        super().__init__("; ".join(errors))
        self.errors = errors


class Verdict(enum.Enum):
    """What the properties of a unit mean at one time."""

    HEALTHY = "healthy"
    WAITING = "waiting"
    FAILED = "failed"


class Watch:
    """One unit, asked for again and again: counts its restarts, and for how long it is neither up nor down."""

    def __init__(self, unit: Resource, restarts: int = 0, checked: bool = False, patience: float = DEADLINE) -> None:
        """``unit``: its resource. ``restarts``: systemd's count of them when the watch begins. ``checked``: its health checks count.
        ``patience``: seconds that it has where the unit itself does not say.
        """
        self.unit = unit
        # Its checks that do not pass; whether their time is up, and whether the next run of one is worth waiting for.
        self.failing: list[str] = []
        self._seen: list[tuple[states.Check, states.State]] = []
        self.late = self.asks = False
        # In how many seconds it will have been well for long enough, if nothing happens; without end if that cannot be told.
        self.due = UNKNOWN
        self._restarts = restarts
        self._pending_since: float | None = None
        self._checks = kinds.of(unit).checks(unit) if checked and kinds.of(unit).steady(unit) else ""
        settles, deadline = kinds.of(unit).settles(unit), kinds.of(unit).deadline(unit)
        self._settles = STEADY if settles is None else settles
        self._patience = patience if deadline is None else deadline
        self._until: float | None = None

    def verdict(self, values: systemd.Properties, now: float) -> Verdict:
        """What the unit's properties mean, and its checks. ``now``: of the monotonic clock, in seconds, as systemd's own times."""
        self._until = self._until or now + self._patience
        self.asks = self.late = False
        self.due = UNKNOWN
        found = self._of_unit(values, now)
        if found is not Verdict.WAITING:
            self.due = 0.0 if found is Verdict.HEALTHY else UNKNOWN
        if found is Verdict.FAILED and not self.late:
            # A check that had no turn is not why.
            self.failing = [_failing(check["name"], state) for check, state in self._seen if state["at"]]
        if found is Verdict.FAILED or not self._checks or values.get("ActiveState") != "active":
            return found
        verdict = self._of_checks(systemd.number(values, "ActiveEnterTimestampMonotonic") or 0, now)
        return found if verdict is Verdict.HEALTHY else verdict

    def _of_checks(self, started: int, now: float) -> Verdict:
        known = states.of(self._checks, started)
        failing = [(check, state) for check, state in known if state["status"] != states.PASSING]
        left = UNKNOWN
        if not failing and all(state["at"] for _check, state in known):
            left = max(state["since"] for _check, state in known) + self._settles - now
            if left <= 0:
                return Verdict.HEALTHY
        self.due = max(self.due, left)
        # Nobody else may run them yet: a robot's first checks get their timer when all is well.
        self.asks = True
        self.late = self._until is not None and now >= self._until
        self._seen = failing or known
        self.failing = [_failing(check["name"], state) for check, state in self._seen]
        return Verdict.FAILED if self.late else Verdict.WAITING

    def _of_unit(self, values: systemd.Properties, now: float) -> Verdict:
        if values.get("Job", "0") not in ("0", ""):
            # As long as systemd is at it, the unit has time; but who waits for it does not wait without end.
            self._pending_since = None
            self.late = self._hangs(values, now)
            return Verdict.FAILED if self.late else Verdict.WAITING
        if _is_down(values) and kinds.of(self.unit).finished(self.unit):
            # Whatever became of its program: a sidecar that had to be killed, or a last hook that failed, undoes no work.
            return Verdict.HEALTHY
        if _is_down(values) and endings.cannot_start(values):
            return Verdict.FAILED
        if self.unit.get("endless") and (values.get("SubState") == systemd.AUTO_RESTART or systemd.up(values)):
            # How its program ends is the result of its work, and no reason to go back: that would depend on how fast it fails.
            return self._executed(values, now)
        if _restarts(values) - self._restarts >= MOST_RESTARTS:
            return self._often_restarted(values, now)
        if kinds.of(self.unit).steady(self.unit) and values.get("SubState") == systemd.AUTO_RESTART and endings.by_itself(values):
            ends = _restarts(values) - self._restarts + 1
            if ends >= MOST_GOOD_ENDS and endings.lasted(values) < STEADY:
                return Verdict.FAILED
        of_state = {"active": self._active, "inactive": self._inactive, "failed": self._failed}
        return of_state.get(values.get("ActiveState", ""), self._in_between)(values, now)

    def _hangs(self, values: systemd.Properties, now: float) -> bool:
        """Whether its program should have come to its end, or said that it is ready, and systemd would wait for that for ever."""
        began = systemd.seconds(values, "ExecMainStartTimestampMonotonic")
        endless = values.get("ActiveState") == "activating" and values.get("TimeoutStartUSec") == "infinity"
        if not endless or not began or now - began < self._patience:
            return False
        what = "ended" if _comes_to_an_end(values) else "become ready"
        self.failing = [f"has not {what} within {self._patience:g} s; set its timeout, or a longer update.healthyDeadline"]
        return True

    def _often_restarted(self, values: systemd.Properties, now: float) -> Verdict:
        """Just up again, systemd has forgotten how it ended: wait for its next end, which tells. One that is always found up
        is not waited for endlessly.
        """
        endless = _restarts(values) - self._restarts >= 2 * MOST_RESTARTS
        return Verdict.WAITING if self._is_fresh(values, now) and not endless else Verdict.FAILED

    def _active(self, values: systemd.Properties, now: float) -> Verdict:
        if not kinds.of(self.unit).steady(self.unit):
            return self._executed(values, now)
        return Verdict.WAITING if self._is_fresh(values, now, self._settles) else Verdict.HEALTHY

    def _executed(self, values: systemd.Properties, now: float) -> Verdict:
        """A program that ends may be at work, or about to tell that it cannot be run."""
        young = kinds.of(self.unit).ends(self.unit) and self._is_fresh(values, now, endings.AT_ONCE)
        return Verdict.WAITING if young else Verdict.HEALTHY

    def _is_fresh(self, values: systemd.Properties, now: float, seconds: float = STEADY) -> bool:
        """Whether the unit has become active only just now; until it is not, it is not due."""
        self.due = _fresh(values, now, seconds)
        return self.due > 0

    def _inactive(self, values: systemd.Properties, _now: float) -> Verdict:
        ended_well = kinds.of(self.unit).ends(self.unit) and values.get("Result") == "success"
        return Verdict.HEALTHY if ended_well else Verdict.FAILED

    def _failed(self, _values: systemd.Properties, _now: float) -> Verdict:
        return Verdict.FAILED

    def _in_between(self, _values: systemd.Properties, now: float) -> Verdict:
        """Neither up nor down: starting, stopping, or waiting for its next start."""
        if kinds.of(self.unit).finished(self.unit):
            return Verdict.HEALTHY
        if self._pending_since is None:
            self._pending_since = now
        # The job may want a long time between a failure and the next try: then it gets all of its tries.
        longest = LONGEST_PENDING + min(kinds.of(self.unit).pause(self.unit) * MOST_RESTARTS, self._patience)
        return Verdict.FAILED if now - self._pending_since > longest else Verdict.WAITING


def _failing(name: str, state: states.State) -> str:
    if not state["at"]:
        return f"health check {name} has not been run yet"
    answer = f"; its last answer: {state['output']}" if state["output"] else ""
    return f"health check {name} is {state['status']}: {state['said']}{answer}"


def _is_down(values: systemd.Properties) -> bool:
    """Whether the unit's program has ended, for good or until the next try."""
    return values.get("ActiveState") in systemd.DOWN or values.get("SubState") == systemd.AUTO_RESTART


def _fresh(values: systemd.Properties, now: float, seconds: float) -> float:
    """How many of its first ``seconds`` a unit that is active has before it; 0 if none."""
    left = systemd.seconds(values, "ActiveEnterTimestampMonotonic") + seconds - now
    return max(left, 0.0) if values.get("ActiveState") == "active" else 0.0


def _restarts(values: systemd.Properties) -> int:
    return systemd.number(values, "NRestarts") or 0


def wait(
    units: t.Sequence[Resource],
    since: float,
    words: LastWords,
    checked: bool = False,
    tell: t.Callable[[str], None] = lambda _text: None,
) -> systemd.Shown:
    """Wait until all units are healthy; their properties then.

    ``units``: resources. ``since``: when the switch began, of the monotonic clock. ``words``: of their log files. ``checked``: their
    health checks must pass, too. ``tell`` is called with what is waited for, whenever that changes; with nothing where all are up.
    """
    names = [unit["name"] for unit in units]
    changes, shown = systemd.changes(names), systemd.show(names)
    # All units are of one job, and not all carry what it says.
    patience = next((found for found in (kinds.of(unit).deadline(unit) for unit in units) if found is not None), DEADLINE)
    watches = {unit["name"]: Watch(unit, _restarts(shown.get(unit["name"], {})), checked, patience) for unit in units}
    ends: dict[str, systemd.Properties] = {}
    moment: float | None = None
    asked, told = 0.0, ""
    pause = INTERVAL
    while watches:
        now = time.monotonic()
        verdicts = {name: watch.verdict(shown.get(name, {}), now) for name, watch in watches.items()}
        ends.update({name: shown.get(name, {}) for name in names if _has_ended(verdicts[name], shown.get(name, {}))})
        if Verdict.FAILED in verdicts.values():
            moment = moment or now + MOMENT
            undecided = any(_undecided(unit, verdicts[unit["name"]], shown.get(unit["name"], {}), now) for unit in units)
            if now >= moment or not undecided:
                over = [unit for unit in units if unit["name"] in ends and verdicts[unit["name"]] is not Verdict.HEALTHY]
                late = [watch for watch in watches.values() if watch.late]
                over = [unit for unit in over if not watches[unit["name"]].late]
                # One that was restarted for its checks may have ended as it should.
                why = [f"{kinds.called(unit)}: {text}" for unit in over for text in watches[unit["name"]].failing]
                raise Unhealthy(
                    (report(over, ends, since, words) if over else []) + why + [_of_late(watch, since, words) for watch in late]
                )
        elif Verdict.WAITING not in verdicts.values():
            break
        told = _tell(tell, told, [] if moment else units, shown)
        asks = any(watch.asks for watch in watches.values())
        if asks and now >= asked + IMPATIENCE:
            asked = now
            check_units.begin()
        time.sleep(min(pause, max(watch.due for watch in watches.values()), asked + IMPATIENCE - now if asks else UNKNOWN))
        # Taken before the look: what happens in between is looked at once more.
        now_changed = systemd.changes(names)
        before = shown
        if not changes or now_changed != changes or _waits_for_turn(shown):
            changes, shown = now_changed, systemd.show(names)
        pause = min(LONGER * pause, LONGEST_INTERVAL) if moment is None and _lives(shown) == _lives(before) else INTERVAL
    return shown


def _waits_for_turn(shown: systemd.Shown) -> bool:
    """Whether systemd is to do something with a unit: should it not come to that, the unit's state is what it was."""
    return any(values.get("Job", "0") not in ("0", "") for values in shown.values())


def _lives(shown: systemd.Shown) -> list[list[str | None]]:
    """Of each unit what is another thing when it has begun, ended or been tried again."""
    return [[values.get(name) for name in ("ActiveState", "SubState", "Job", "NRestarts", "MainPID")] for values in shown.values()]


def _tell(tell: t.Callable[[str], None], told: str, units: t.Sequence[Resource], shown: systemd.Shown) -> str:
    """Say which units are waited for, and of those that are to be tried again how they ended, unless that was ``told`` last; returns
    what was.
    """
    found = [(unit, shown.get(unit["name"], {})) for unit in units]
    said = [f"{kinds.called(unit)} is tried again: {ended(unit, values)}" for unit, values in found if _waits(values)]
    said += [
        f"{kinds.called(unit)} {'has not ended' if _comes_to_an_end(values) else 'is not ready'} yet"
        for unit, values in found
        if values.get("ActiveState") == "activating" and not _waits(values)
    ]
    text = "; ".join(said)
    if text != told:
        tell(text)
    return text


def _comes_to_an_end(values: systemd.Properties) -> bool:
    """Whether systemd takes a unit for up when its program has ended."""
    return values.get("Type") == "oneshot"


def _waits(values: systemd.Properties) -> bool:
    """Whether a unit waits for its next try."""
    return values.get("SubState") == systemd.AUTO_RESTART


def _has_ended(verdict: Verdict, values: systemd.Properties) -> bool:
    """Whether a unit has failed, or is to be tried again: that may be why another one failed."""
    return verdict is Verdict.FAILED or (verdict is Verdict.WAITING and _waits(values))


def _undecided(unit: Resource, verdict: Verdict, values: systemd.Properties, now: float) -> bool:
    """Whether a unit with a program may soon turn out to have failed, too."""
    return kinds.of(unit).restarts(unit) and (
        verdict is Verdict.WAITING or (verdict is Verdict.HEALTHY and _fresh(values, now, MOMENT) > 0)
    )


def _of_late(watch: Watch, since: float, words: LastWords) -> str:
    lines = "".join("\n    " + line for line in last_lines(watch.unit, since, words))
    return f"{kinds.called(watch.unit)}: {'; '.join(watch.failing)}{'; its last lines:' if lines else ''}{lines}"


def report(units: t.Sequence[Resource], shown: systemd.Shown, since: float, words: LastWords) -> list[str]:
    """What happened to each unit. Those that only waited for one that failed are not mentioned beside it."""
    shown = oom.told(shown)
    tried = [unit for unit in units if _tried(shown.get(unit["name"], {}), since)]
    # What runs when others have ended is not why they did.
    tried.sort(key=lambda unit: endings.is_last(shown.get(unit["name"], {})))
    said = []
    for unit in tried or units:
        lines = "".join("\n    " + line for line in last_lines(unit, since, words))
        how = ended(unit, shown.get(unit["name"], {}))
        said.append(f"{kinds.called(unit)}: {how}{'; its last lines:' if lines else ''}{lines}")
    return said


def ended(unit: Resource, values: systemd.Properties, runtime: str = plan.RUNTIME) -> str:
    """How a unit ended, and who had it end or left it down, in words."""
    kind = kinds.of(unit)
    asked = states.blamed(kind.checks(unit), systemd.number(values, "ActiveEnterTimestampMonotonic") or 0)
    return endings.of(unit["name"], values, kind.steady(unit), runtime, asked)


def last_lines(unit: Resource, since: float, words: LastWords, most: int = 10) -> list[str]:
    """From its log files, and from the journal: why its program could not be executed, and all of a unit that has no log files."""
    logs = kinds.of(unit).logs(unit)
    written = texts.once(systemd.last_words(unit["name"], since, most))
    if any(text.startswith(NAMED) for text in written):
        # That names the program and the reason, too.
        written = [text for text in written if not text.startswith(FAILED_STEP)]
    return (written + (words.of(logs, most) if logs else []))[-most:]


def _tried(values: systemd.Properties, since: float) -> bool:
    return endings.started(values, since) or values.get("Result", "success") != "success"
