# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kept engine itself costs a robot, beside a Python that does nothing and a systemctl that asks what it asks.

Measured on the robot, in turns, without the connection: what is left is all that can be won there.
"""

from __future__ import annotations

import json
import shlex
import statistics
import typing as t

from ansible_collections.k8s4r.robot.plugins.plugin_utils.transport import packing
from ansible_collections.k8s4r.robot.plugins.plugin_utils.transport.bootstrap import ROOM

from .stage import Bench, BenchError

TURNS = 40

# Runs on the robot. The jobs that it holds are asked for as its ledger has them: that is what an unchanged run asks.
PROGRAM = r"""
import json, pathlib, subprocess, sys, time
program, turns = sys.argv[1], int(sys.argv[2])
records = [json.loads(path.read_text()) for path in pathlib.Path("/var/lib/k8s4r/ledger").glob("*.json")]
resources = [r for record in records for group in record["groups"].values() for r in group["resources"]]
units = [r["name"] for r in resources if r.get("run", "none") != "none"]
properties = "Id,ActiveState,SubState,NeedDaemonReload,NRestarts,ActiveEnterTimestampMonotonic"

def asking(jobs):
    request = {"op": "prepare", "jobs": jobs, "assumptions": {}, "check": False, "diff": False, "keep_data": False, "who": "bench"}
    return [sys.executable, "-IS", program], json.dumps(request).encode()

nothing = [{"namespace": "bench", "name": "nothing", "digest": "0", "empty": True}]
held = [{"namespace": r["namespace"], "name": r["name"], "digest": r["plan"]} for r in records]
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
print(json.dumps({"units": len(units), "times": times}))
"""


class Engine(t.NamedTuple):
    """Medians in milliseconds: a bare `python3 -I`; the engine's answer for a job of which the robot holds nothing;
    `systemctl show` of the units that should run; the engine's answer for the jobs that the robot holds.
    """

    units: int
    python: float
    holds_nothing: float
    systemctl: float
    unchanged: float


def engine(bench: Bench, robot: str) -> Engine:
    program = f"{ROOM}/{packing.engine().digest}/__main__.py"
    words = ["python3", "-c", PROGRAM, program, str(TURNS)]
    said = json.loads(bench.on(robot, " ".join(map(shlex.quote, words))))
    if not said["units"]:
        raise BenchError(f"{robot} holds no task: its answer says nothing")
    medians = {name: statistics.median(times) * 1000 for name, times in said["times"].items()}
    return Engine(said["units"], **medians)
