# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Placement and compile alone, for simulated robots x 5 groups, each fleet in a process of its own.

``python3 -m tests.bench.scale <robots>`` prints one JSON object; `scale` runs it for several sizes.
"""

from __future__ import annotations

import json
import pathlib
import resource
import statistics
import sys
import time
import typing as t

JOBS = sorted((pathlib.Path(__file__).parent / "jobs").glob("fleet-*.yml"))
SIZES = (250, 500, 1000)


class Scale(t.NamedTuple):
    """One fleet: seconds of each step, by the clock, and `cpu`, the CPU seconds of all three; the process's largest resident set
    (KiB) and what it was before the fleet. `seal` is what comes on top where the run reaches every robot.

    `request` is the mean size in bytes of what each robot is asked, `sealed` of its plan as it travels to the robot's worker,
    and `opened` the seconds in which a changed robot's worker reads it.
    """

    robots: int
    place: float
    compile: float
    seal: float
    cpu: float
    resident: int
    resident_before: int
    request: float
    sealed: float
    opened: float

    @property
    def seconds(self) -> float:
        return self.place + self.compile + self.seal


def measure(robots: int) -> Scale:
    """The steps of the action `compile`, with the collection's own functions and no Ansible."""
    from ansible_collections.k8s4r.robot.plugins.plugin_utils.fleet.placement import place
    from ansible_collections.k8s4r.robot.plugins.plugin_utils.fleet.robots import Fleet, Robot
    from ansible_collections.k8s4r.robot.plugins.plugin_utils.home import key
    from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.read.reader import load
    from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.read.source import Source
    from ansible_collections.k8s4r.robot.plugins.plugin_utils.run import plans

    contents = {str(job): job.read_text(encoding="utf-8").replace("count: 1000", f"count: {robots}") for job in JOBS}
    jobs, _warnings = load([Source(name, text) for name, text in contents.items()])
    fleet = Fleet(
        robots=tuple(
            Robot(f"robot{number:04}", f"10.0.{number // 250}.{number % 250}", {"site": f"site-{number % 20}"}) for number in range(robots)
        ),
        trust_domain="fleet.example",
    )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    placement = place(jobs, fleet)
    placed = time.perf_counter()
    controller = key.Key(bytes(key.KEY_BYTES))
    plans.deployment(jobs, fleet, placement, (), controller)
    compiled, used = time.perf_counter(), _cpu()
    found, _more = plans.deployment(jobs, fleet, placement, {robot.name for robot in fleet.robots}, controller)
    sealed, whole = time.perf_counter(), _cpu() - used
    controller.unseal(found[fleet.robots[-1].name].sealed)
    opened = time.perf_counter()
    return Scale(
        robots=robots,
        place=placed - start,
        compile=compiled - placed,
        seal=(sealed - compiled) - (compiled - placed),
        cpu=(placed - start) + whole,
        resident=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        resident_before=before,
        request=statistics.fmean(len(json.dumps(robot.jobs)) for robot in found.values()),
        sealed=statistics.fmean(len(robot.sealed) for robot in found.values()),
        opened=opened - sealed,
    )


def _cpu() -> float:
    """CPU seconds of this process and of those that it has waited for."""
    used = [resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def main() -> None:
    print(json.dumps(measure(int(sys.argv[1]))._asdict()))


if __name__ == "__main__":
    main()
