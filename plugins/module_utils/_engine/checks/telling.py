# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scripts that run beside a task when its files have changed, in the same way as those of health checks."""

from __future__ import annotations

import time

from ..resources import kinds
from ..system import systemd

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ..plan import Resource, Script

# Seconds between the end of a program and systemd's last word of it.
ENDING = 1.0


def tell(unit: Resource, files: t.Iterable[str]) -> list[str]:
    """Run a unit's scripts for these files, one after the other; returns what went wrong."""
    told = kinds.of(unit).told(unit)
    failed: list[str] = []
    for path in files if told else ():
        if told and path in told["scripts"]:
            failed += _run(unit, told["scripts"][path], told["run"])
    return failed


def _run(unit: Resource, asked: Script, how: t.Mapping[str, t.Any]) -> list[str]:
    # Imported here, because few units have scripts.
    from . import children, script, states

    name = unit["name"]
    process = systemd.program_of(name)
    if not process:
        # The program is not running: it finds the files when it starts.
        return []
    check: t.Any = {"name": asked["name"], "argv": asked["argv"], "timeout": asked["timeout"]}
    run: t.Any = how
    running = children.Checks([(name, check)], lambda writer: script.run(name, check, run, name, process or 0, writer))
    outcomes, over = [], False
    while not over:
        found, over = running.more()
        outcomes += found
    outcomes += running.end()
    bad = [outcome for _task, _check, outcome in outcomes if outcome.status != states.PASSING]
    if bad and _has_ended(name, process):
        # systemd may have killed the script with its program; and that finds the files when it starts.
        return []
    called = f"{kinds.called(unit)}: the script for {asked['name']}"
    return [f"{called}: {outcome.said}" + (f": {outcome.output}" if outcome.output else "") for outcome in bad]


def _has_ended(name: str, process: int) -> bool:
    """Whether a unit's program ends about now. What holds its walls up ends a moment after it."""
    deadline = time.monotonic() + ENDING
    while systemd.program_of(name) == process:
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.1)
    return True
