# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kept engine itself costs a robot: beside a Python that does nothing, and beside systemctl, which asks for all of a unit.

Measured on the robot, in turns, without the connection.
"""

from __future__ import annotations

import json
import shlex
import statistics
import typing as t

from ansible_collections.k8s4r.robot.plugins.plugin_utils.transport import packing
from ansible_collections.k8s4r.robot.plugins.plugin_utils.transport.exec import ROOM

from .stage import Bench, BenchError

TURNS = 40
# The job whose six tasks run, and which alone is asked for, as an unchanged run of it asks.
NAMESPACE, JOB = "default", "bench-six"

# Runs on the robot. The job's digest is taken from its ledger.
PROGRAM = r"""
import json, pathlib, subprocess, sys, time
program, turns, namespace, name = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
record = json.loads(pathlib.Path(f"/var/lib/k8s4r/ledger/{namespace}@{name}.json").read_text())
resources = [resource for group in record["groups"].values() for resource in group["resources"]]
units = [resource["name"] for resource in resources if resource.get("run", "none") != "none"]
tasks = [unit for unit in units if unit.endswith(".service")]
properties = "Id,ActiveState,SubState,NeedDaemonReload,NRestarts,ActiveEnterTimestampMonotonic"

def asking(jobs):
    request = {"op": "prepare", "jobs": jobs, "assumptions": {}, "check": False, "diff": False, "keep_data": False, "who": "bench"}
    return [sys.executable, "-IS", program], json.dumps(request).encode()

nothing = [{"namespace": "bench", "name": "nothing", "digest": "0", "empty": True}]
held = [{"namespace": namespace, "name": name, "digest": record["plan"]}]
commands = {
    "python": ([sys.executable, "-I", "-c", "pass"], b""),
    "holds_nothing": asking(nothing),
    "systemctl": (["systemctl", "show", "--no-pager", "-p", properties, "--", *units], b""),
    "unchanged": asking(held),
}
times = {name: [] for name in commands}
for turn in range(turns + 1):
    for name, (command, content) in commands.items():
        start = time.perf_counter()
        done = subprocess.run(command, input=content, stdout=subprocess.PIPE, check=True)
        if turn:
            times[name].append(time.perf_counter() - start)
        if "holds" in name or name == "unchanged":
            assert b'"unchanged"' in done.stdout, done.stdout
print(json.dumps({"tasks": len(tasks), "times": times}))
"""


class Engine(t.NamedTuple):
    """Medians in milliseconds: a bare `python3 -I`; the engine's answer for a job of which the robot holds nothing;
    `systemctl show` of the units of a job with this many running tasks; the engine's answer for that job.
    """

    tasks: int
    python: float
    holds_nothing: float
    systemctl: float
    unchanged: float


def engine(bench: Bench, robot: str) -> Engine:
    program = f"{ROOM}/{packing.engine().digest}/__main__.py"
    words = ["python3", "-c", PROGRAM, program, str(TURNS), NAMESPACE, JOB]
    said = json.loads(bench.on(robot, " ".join(map(shlex.quote, words))))
    if said["tasks"] != 6:
        raise BenchError(f"{robot} runs {said['tasks']} tasks of {JOB}, not 6")
    medians = {name: statistics.median(times) * 1000 for name, times in said["times"].items()}
    return Engine(said["tasks"], **medians)
