# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the units of a group do well after a switch, and what to report when one does not."""

from __future__ import annotations

import enum
import time

from ..resources import kinds
from ..system import systemd

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ..plan import Resource

# Healthy is: active with no restart for this long.
STEADY = 2.0
# A program may fail while what it needs comes up; not for longer, and not again and again.
LONGEST_PENDING = 15.0
MOST_RESTARTS = 3

INTERVAL = 0.1


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

    def __init__(self, unit: Resource, restarts: int = 0) -> None:
        """``unit``: its resource. ``restarts``: systemd's count of them when the watch begins."""
        self.unit = unit
        self._restarts = restarts
        self._pending_since: float | None = None

    def verdict(self, values: systemd.Properties, now: float) -> Verdict:
        """What the unit's properties mean. ``now``: of the monotonic clock, in seconds, as systemd's own times."""
        if values.get("Job", "0") not in ("0", ""):
            # As long as systemd is at it, the unit has time.
            self._pending_since = None
            return Verdict.WAITING
        if _restarts(values) - self._restarts >= MOST_RESTARTS:
            return self._often_restarted(values, now)
        of_state = {"active": self._active, "inactive": self._inactive, "failed": self._failed}
        return of_state.get(values.get("ActiveState", ""), self._in_between)(values, now)

    def _often_restarted(self, values: systemd.Properties, now: float) -> Verdict:
        """Just up again, systemd has forgotten how it ended: wait for its next end, which tells. One that is always found up
        is not waited for endlessly.
        """
        endless = _restarts(values) - self._restarts >= 2 * MOST_RESTARTS
        return Verdict.WAITING if _fresh(values, now) and not endless else Verdict.FAILED

    def _active(self, values: systemd.Properties, now: float) -> Verdict:
        return Verdict.WAITING if kinds.of(self.unit).steady(self.unit) and _fresh(values, now) else Verdict.HEALTHY

    def _inactive(self, values: systemd.Properties, _now: float) -> Verdict:
        kind = kinds.of(self.unit)
        ended_well = kind.ends(self.unit) and values.get("Result") == "success"
        return Verdict.HEALTHY if ended_well or kind.finished(self.unit) else Verdict.FAILED

    def _failed(self, _values: systemd.Properties, _now: float) -> Verdict:
        return Verdict.FAILED

    def _in_between(self, _values: systemd.Properties, now: float) -> Verdict:
        """Neither up nor down: starting, stopping, or waiting for its next start."""
        if kinds.of(self.unit).finished(self.unit):
            return Verdict.HEALTHY
        if self._pending_since is None:
            self._pending_since = now
        return Verdict.FAILED if now - self._pending_since > LONGEST_PENDING else Verdict.WAITING


def _fresh(values: systemd.Properties, now: float) -> bool:
    """Whether the unit has become active only just now."""
    entered = (systemd.number(values, "ActiveEnterTimestampMonotonic") or 0) / 1e6
    return values.get("ActiveState") == "active" and now - entered < STEADY


def _restarts(values: systemd.Properties) -> int:
    return systemd.number(values, "NRestarts") or 0


def wait(units: t.Sequence[Resource], since: float) -> None:
    """Wait until all units are healthy.

    ``units``: resources. ``since``: when the switch began (seconds since the epoch), for the log lines.
    """
    names = [unit["name"] for unit in units]
    shown = systemd.show(names)
    watches = {unit["name"]: Watch(unit, _restarts(shown.get(unit["name"], {}))) for unit in units}
    while watches:
        now = time.monotonic()
        verdicts = {name: watch.verdict(shown.get(name, {}), now) for name, watch in watches.items()}
        failed = [name for name in names if verdicts[name] is Verdict.FAILED]
        if failed:
            raise Unhealthy(report(failed, shown, since))
        if Verdict.WAITING not in verdicts.values():
            return
        time.sleep(INTERVAL)
        shown = systemd.show(names)


def report(names: t.Sequence[str], shown: systemd.Shown, since: float) -> list[str]:
    """What happened to each unit. One that itself failed comes first: the others mostly wait for it."""
    culprits = [name for name in names if shown.get(name, {}).get("Result") != "success"]
    texts = []
    for name in culprits or names:
        lines = "".join("\n    " + line for line in systemd.journal(name, since))
        texts.append(f"{name}: {describe(shown.get(name, {}))}{'; its last log lines:' if lines else ''}{lines}")
    return texts


def describe(values: systemd.Properties) -> str:
    """A unit's end in words."""
    if values.get("LoadState") == "not-found":
        return "there is no such unit"
    state = f"{values.get('ActiveState')} ({values.get('SubState')})"
    result = f"result {values.get('Result', 'unknown')}"
    how = {"1": "exit status %s", "2": "killed by signal %s", "3": "killed by signal %s, core dumped"}.get(values.get("ExecMainCode", ""))
    words = [state, result] + ([how % values.get("ExecMainStatus")] if how else [])
    if _restarts(values):
        words.append(f"restarted {_restarts(values)} times")
    return ", ".join(words)
