# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A robot with fifty tasks: its first deployment, an unchanged run beside the ping playbook, and a run that changes one task."""

from __future__ import annotations

import json
import statistics
import typing as t

from .contenders import anything, changes, unchanged
from .stage import HERE, Bench, BenchError, Timed

TASKS, ROUNDS, ROBOT = 50, 7, "robot1"
JOB = "fifty.yml.j2"
PROCESSES = "systemctl show --property=MainPID --value 'k8s4r-task-bench-fifty-*'"


class Fifty(t.NamedTuple):
    """Medians of whole runs on one robot, in seconds."""

    ping: float
    first: float
    unchanged: float
    one: float


def fifty(bench: Bench) -> Fifty:
    """The runs take turns. Raises `BenchError` where a run restarted another number of tasks than it should."""
    ping = bench.playbook("--limit", ROBOT, str(HERE / "plain" / "ping.yml"))
    seconds: dict[str, list[float]] = {name: [] for name in Fifty._fields}
    version = 1
    for _round in range(ROUNDS):
        bench.run(_limited(bench.remove(JOB), version))
        seconds["first"].append(_run(bench, _limited(bench.deploy(JOB), version), restarts=TASKS))
        timed = bench.run(ping)
        anything(timed)
        seconds["ping"].append(timed.seconds)
        seconds["unchanged"].append(_run(bench, _limited(bench.deploy(JOB), version), restarts=0))
        version += 1
        seconds["one"].append(_run(bench, _limited(bench.deploy(JOB), version), restarts=1))
    bench.run(_limited(bench.remove(JOB), version))
    return Fifty(**{name: statistics.median(each) for name, each in seconds.items()})


def _limited(command: t.Sequence[str], version: int) -> list[str]:
    return [*command, "--limit", ROBOT, "-e", json.dumps({"k8s4r_vars": {"version": version}})]


def _run(bench: Bench, command: t.Sequence[str], restarts: int) -> float:
    before = _processes(bench)
    timed: Timed = bench.run(command)
    new = _processes(bench) - before
    if len(new) != restarts:
        raise BenchError(f"{len(new)} of {TASKS} tasks were started, not {restarts}:\n{timed.output[-3000:]}")
    if restarts:
        if not any(changes(timed)):
            raise BenchError(f"this run should have changed something:\n{timed.output[-3000:]}")
    else:
        unchanged(timed)
    return timed.seconds


def _processes(bench: Bench) -> set[str]:
    return set(bench.on(ROBOT, PROCESSES).split()) - {"0"}
