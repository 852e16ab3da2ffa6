# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long an exec task takes from the order to start it until its program runs, beside the same command in a bare transient unit."""

from __future__ import annotations

import json
import shlex
import statistics
import typing as t

import yaml

from .stage import HERE, Bench

TURNS, ROBOT = 21, "robot1"
JOB = "start.yml"

# Runs on the robot. The command writes the time at which it runs.
PROGRAM = r"""
import json, os, subprocess, sys, time
turns, command = int(sys.argv[1]), sys.argv[2]
show = ["systemctl", "list-units", "--all", "--plain", "--no-legend", "k8s4r-task-bench-start-*.service"]
task = subprocess.run(show, stdout=subprocess.PIPE, check=True, universal_newlines=True).stdout.split()[0]
(alloc,) = [entry.path + "/alloc" for entry in os.scandir("/var/lib/k8s4r/groups") if entry.name.startswith("bench-start-")]
os.makedirs("/run/bench-start", exist_ok=True)
bare = ["systemd-run", "--quiet", "--unit=bench-bare", "--property=Type=exec", "--setenv=NOMAD_ALLOC_DIR=/run/bench-start"]
starts = {
    "bare": ([*bare, "/bin/sh", "-c", command], "bench-bare.service", "/run/bench-start/started"),
    "task": (["systemctl", "start", task], task, alloc + "/started"),
}
times = {name: [] for name in starts}
for turn in range(turns + 1):
    for name, (start, unit, mark) in starts.items():
        subprocess.run(["systemctl", "stop", unit], stderr=subprocess.DEVNULL)
        if os.path.exists(mark):
            os.unlink(mark)
        begun, text = time.time(), ""
        subprocess.run(start, check=True)
        while not text.endswith("\n"):
            time.sleep(0.002)
            if os.path.exists(mark):
                with open(mark) as stream:
                    text = stream.read()
        if turn:
            times[name].append(int(text) / 1e9 - begun)
subprocess.run(["systemctl", "stop", "bench-bare.service"])
print(json.dumps(times))
"""


class Start(t.NamedTuple):
    """Medians in milliseconds."""

    bare: float
    task: float


def start(bench: Bench) -> Start:
    """Both take turns."""
    bench.run([*bench.deploy(JOB), "--limit", ROBOT])
    (group,) = yaml.safe_load((HERE / "jobs" / JOB).read_text())["taskGroups"]
    _shell_option, command = group["tasks"][0]["config"]["execConfig"]["args"]
    words = ["python3", "-c", PROGRAM, str(TURNS), command]
    times = json.loads(bench.on(ROBOT, " ".join(map(shlex.quote, words))))
    bench.run([*bench.remove(JOB), "--limit", ROBOT])
    return Start(**{name: statistics.median(each) * 1000 for name, each in times.items()})
