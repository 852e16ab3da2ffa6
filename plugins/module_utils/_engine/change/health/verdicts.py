# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a unit does well after a switch: what systemd says of it, and its health checks, from one look to the next."""

from __future__ import annotations

import enum

from ...checks import states
from ...resources import kinds
from ...system import endings, systemd

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...plan import Resource

# Healthy is: active with no restart, and all checks passing, for this long; the job may say how long.
STEADY = 2.0
# Checks have so long to come to that, as Nomad gives them, unless the job says otherwise.
DEADLINE = 300.0
# A program may fail while what it needs comes up; not for longer, and not again and again.
LONGEST_PENDING = 15.0
MOST_RESTARTS = 3
# A service that ends with 0 as soon as it has begun lacks nothing that might come up. One may do so once, to begin anew.
MOST_GOOD_ENDS = 2
UNKNOWN = float("inf")


class Verdict(enum.Enum):
    """What the properties of a unit mean at one time."""

    HEALTHY = "healthy"
    WAITING = "waiting"
    FAILED = "failed"


class Watch:
    """One unit, asked for again and again: counts its restarts, and for how long it is neither up nor down."""

    def __init__(self, unit: Resource, restarts: int = 0, checked: bool = False, patience: float = DEADLINE, told: float = 0.0) -> None:
        """``unit``: its resource. ``restarts``: systemd's count of them when the watch begins. ``checked``: its health checks count.
        ``patience``: seconds that it has where the unit itself does not say. ``told``: when its program was told of changed files, of the
        monotonic clock; of that, too, it may end.
        """
        self.unit = unit
        # Its checks that do not pass; whether their time is up, and whether the next run of one is worth waiting for.
        self.failing: list[str] = []
        self._seen: list[tuple[states.Check, states.State]] = []
        self.late = self.asks = False
        # In how many seconds it will have been well for long enough, if nothing happens; without end if that cannot be told.
        self.due = UNKNOWN
        self._restarts = restarts
        self._told = told
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
        if restarts_of(values) - self._restarts >= MOST_RESTARTS:
            return self._often_restarted(values, now)
        if kinds.of(self.unit).steady(self.unit) and values.get("SubState") == systemd.AUTO_RESTART and endings.by_itself(values):
            ends = restarts_of(values) - self._restarts + 1
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
        what = "ended" if comes_to_an_end(values) else "become ready"
        self.failing = [f"has not {what} within {self._patience:g} s; give it a timeout, or raise update.healthyDeadline"]
        return True

    def _often_restarted(self, values: systemd.Properties, now: float) -> Verdict:
        """Just up again, systemd has forgotten how it ended: wait for its next end, which tells. One that is always found up
        is not waited for endlessly.
        """
        endless = restarts_of(values) - self._restarts >= 2 * MOST_RESTARTS
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
        self.due = max(fresh(values, now, seconds), self._told + seconds - now if values.get("ActiveState") == "active" else 0.0)
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


def fresh(values: systemd.Properties, now: float, seconds: float) -> float:
    """How many of its first ``seconds`` a unit that is active has before it; 0 if none."""
    left = systemd.seconds(values, "ActiveEnterTimestampMonotonic") + seconds - now
    return max(left, 0.0) if values.get("ActiveState") == "active" else 0.0


def restarts_of(values: systemd.Properties) -> int:
    return systemd.number(values, "NRestarts") or 0


def comes_to_an_end(values: systemd.Properties) -> bool:
    """Whether systemd takes a unit for up when its program has ended."""
    return values.get("Type") == "oneshot"
