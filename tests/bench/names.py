# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each further robot of a run costs: an inventory with many names for the two robots, which all are asked."""

from __future__ import annotations

import json
import statistics
import typing as t

from .contenders import anything, unchanged
from .stage import HERE, Bench

NAMES, ROUNDS = 64, 5
NOTHING, RAW, OURS, PING = "a play with no task", "`ansible.builtin.raw: true`", "unchanged deploy: 6 tasks", "ping"


class Named(t.NamedTuple):
    """Medians of runs on all names, in seconds: wall-clock time, and the controller's CPU time."""

    seconds: float
    cpu: float


def names(bench: Bench) -> dict[str, Named]:
    """The runs take turns, so that what else the machine does meets all of them alike."""
    path = bench.work / "names.json"
    path.write_text(json.dumps(_inventory(json.loads(bench.inventory.read_text()))))
    front = ["ansible-playbook", "-i", str(path), "--forks", "5"]
    commands = {
        NOTHING: [*front, str(HERE / "plain" / "nothing.yml")],
        RAW: [*front, str(HERE / "plain" / "raw.yml")],
        OURS: [*front, "k8s4r.robot.deploy_taskgroup", "-e", f"job={HERE / 'jobs' / 'six.yml'}"],
        PING: [*front, str(HERE / "plain" / "ping.yml")],
    }
    # The first run asks each name what it can do.
    bench.run(commands[OURS])
    runs = {name: [] for name in commands}
    for _round in range(ROUNDS):
        for name, command in commands.items():
            timed = bench.run(command)
            (anything if name == NOTHING else unchanged)(timed)
            runs[name].append(timed)
    return {
        name: Named(statistics.median(run.seconds for run in each), statistics.median(run.cpu for run in each))
        for name, each in runs.items()
    }


def _inventory(real: dict[str, t.Any]) -> dict[str, t.Any]:
    """The bench's own inventory with each robot under many names."""
    group = real["all"]["children"]["robots"]
    robots = list(group["hosts"].values())
    group["hosts"] = {f"name{number:02}": robots[number % len(robots)] for number in range(NAMES)}
    return real
