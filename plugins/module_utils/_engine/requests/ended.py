# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``ended``: whether the tasks of jobs that run once have run to their end. Waits for some seconds and changes nothing."""

from __future__ import annotations

import time

from ..change.health import report, verdicts
from ..logs.words import LastWords
from ..resources import kinds
from ..say.texts import harmless
from ..state.scrub import Scrubber, of_groups
from ..system import systemd
from .background import ANSWER_WITHIN
from .status import timer

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ..plan import Resource
    from ..state.ledger import GroupRecord, JobName
    from ..state.robot import Robot

    class Ended(t.TypedDict, total=False):
        """``running`` with the `progress`, what still runs; ``ok``, with how many units have `finished`; ``failed`` with `errors`."""

        status: t.Literal["running", "ok", "failed"]
        progress: str
        finished: int
        errors: list[str]


INTERVAL = 0.25
DEFAULT = "default/"


def answer(robot: Robot, jobs: t.Sequence[JobName]) -> Ended:
    """What became of the units that run once, of all groups of these jobs."""
    gone = [_short(f"{job['namespace']}/{job['name']}") for job in jobs if robot.ledger.of(job)["state"] == "empty"]
    if gone:
        return {"status": "failed", "errors": [f"{', '.join(gone)}: another run has removed it meanwhile"]}
    groups = robot.ledger.groups(jobs)
    deadline = robot.began + ANSWER_WITHIN
    while True:
        found = _now(groups, of_groups(robot, groups))
        if found["status"] != "running" or time.monotonic() >= deadline:
            return found
        time.sleep(INTERVAL)


def _now(groups: t.Sequence[GroupRecord], scrub: Scrubber) -> Ended:
    runs = [(group, unit) for group in groups for unit in kinds.that_run(group["resources"]) if unit.get("done")]
    shown = dict(systemd.show([unit["name"] for _group, unit in runs]))
    down = [unit["name"] for _group, unit in runs if not systemd.up(shown.get(unit["name"], {}))]
    # A restart policy may have set a timer for a unit that it has stopped.
    shown.update(systemd.show([timer(name) for name in down], "Id,ActiveState"))
    going, failed = [], []
    for group, unit in runs:
        if _is_going(shown, unit):
            # A finished sidecar is about to be stopped, and a last hook runs.
            going.append((group, unit))
        elif not kinds.of(unit).finished(unit):
            failed.append((group, unit))
    # What keeps running beside the others waits for them, and is not waited for when they have failed.
    busy = [(group, unit) for group, unit in going if kinds.of(unit).ends(unit)]
    if busy or (going and not failed):
        names = [f"{_short(group['name'])} {unit['called']}" for group, unit in busy or going]
        return {"status": "running", "progress": f"waits for {', '.join(sorted(names))}"}
    if failed:
        return {"status": "failed", "errors": [harmless(text) for text in scrub(_errors(failed, shown))]}
    return {"status": "ok", "finished": len(runs)}


def _is_going(shown: systemd.Shown, unit: Resource) -> bool:
    values = shown.get(unit["name"], {})
    if unit.get("endless") and (systemd.number(values, "NRestarts") or 0) >= verdicts.MOST_RESTARTS and not systemd.up(values):
        # Nobody ever gives it up; so for the one who waits, this is a failure.
        return False
    waits = values.get("Job", "0") not in ("0", "") or systemd.up(shown.get(timer(unit["name"]), {}))
    return waits or values.get("ActiveState", "inactive") not in systemd.DOWN


def _errors(failed: t.Sequence[tuple[GroupRecord, Resource]], shown: systemd.Shown) -> list[str]:
    """One text for each unit, with the last lines that its program wrote."""
    texts = []
    for group in {id(group): group for group, _unit in failed}.values():
        units = [unit for other, unit in failed if other is group]
        name = _short(group["name"])
        texts += [f"{name}: {text}" for text in report.of_ended(units, shown, 0.0, LastWords())]
        # Nobody ever gives these up.
        endless = ", ".join(unit["called"] for unit in units if unit.get("endless"))
        texts += [f"{name}: {endless}: the robot goes on trying, because no restartPolicy says when to give up"] if endless else []
    return texts


def _short(name: str) -> str:
    """Of a job or a group, without the namespace that everybody has."""
    return name[len(DEFAULT) :] if name.startswith(DEFAULT) else name
