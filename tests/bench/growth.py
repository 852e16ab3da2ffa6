# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a growing fleet costs the controller: whole runs on the two robots of an inventory that names many more."""

from __future__ import annotations

import json
import statistics
import typing as t

from .contenders import unchanged
from .stage import HERE, Bench

RUNS = 3


class Growth(t.NamedTuple):
    """Medians of whole runs limited to the two robots: CPU seconds and largest resident set (KiB) of the controller."""

    robots: int
    ping_cpu: float
    cpu: float
    ping_resident: float
    resident: float


def growth(bench: Bench, robots: int) -> Growth:
    path = bench.work / f"fleet-{robots}.json"
    path.write_text(json.dumps(_inventory(json.loads(bench.inventory.read_text()), robots)))
    front = ["ansible-playbook", "-i", str(path), "--limit", ",".join(bench.robots)]
    commands = (
        [*front, str(HERE / "plain" / "ping.yml")],
        [*front, "k8s4r.robot.deploy_taskgroup", "-e", f"job={HERE / 'jobs' / 'six.yml'}"],
    )
    figures = []
    for command in commands:
        runs = [bench.run(command) for _run in range(RUNS)]
        for run in runs:
            unchanged(run)
        figures.append((statistics.median(run.cpu for run in runs), statistics.median(run.resident for run in runs)))
    (ping_cpu, ping_resident), (cpu, resident) = figures
    return Growth(robots, ping_cpu, cpu, ping_resident, resident)


def _inventory(real: dict[str, t.Any], robots: int) -> dict[str, t.Any]:
    """The bench's own inventory and robots that are not there; nothing connects to them."""
    hosts = real["all"]["children"]["robots"]["hosts"]
    for number in range(robots - len(hosts)):
        hosts[f"simulated{number:04}"] = {"ansible_host": f"192.0.2.{number % 250}", "k8s4r_labels": {"site": f"site-{number % 20}"}}
    return real
