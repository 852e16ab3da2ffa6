# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Golden cases: a job file in, the plan and the exact bytes of every file out. One small case for each feature.

`cases/<name>.yml` is a job, compiled for the robots below. A case that begins with `# base: <other>` shows in
`cases/<name>.txt` how its plan differs from the other one's; a case without shows all of its plan.
``python3 -m tests.golden`` writes the texts anew, to be read before they are committed.
"""

from __future__ import annotations

import pathlib
import re
import typing as t

from ansible_collections.k8s4r.robot.plugins.plugin_utils.compile.mesh import peers
from ansible_collections.k8s4r.robot.plugins.plugin_utils.compile.robot import CompiledRobot, compile_robot
from ansible_collections.k8s4r.robot.plugins.plugin_utils.fleet.placement import place
from ansible_collections.k8s4r.robot.plugins.plugin_utils.fleet.robots import ASSUMED_CAPABILITIES, Fleet, Robot
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.read import reader
from tests.golden import render

CASES = pathlib.Path(__file__).parent / "cases"

FLEET = Fleet(
    robots=(
        Robot("arm1", "192.0.2.11", {"role": "work", "site": "north"}, "dc1", "arm", {**ASSUMED_CAPABILITIES, "disk.quota": "no"}),
        Robot("base1", "192.0.2.12", {"role": "work"}, "dc1", "base", {**ASSUMED_CAPABILITIES, "disk.quota": "ext4"}),
        Robot("centre", "192.0.2.1", {"role": "datacentre"}, "dc2", "server"),
    ),
    trust_domain="fleet.example",
    peers={"api.dc.example:18080": "spiffe://fleet.example/ns/default/job/api/group/api"},
)


def names() -> list[str]:
    return sorted(path.stem for path in CASES.glob("*.yml"))


def read(name: str) -> str:
    return (CASES / f"{name}.yml").read_text(encoding="utf-8")


def compile_case(name: str) -> dict[str, CompiledRobot]:
    """The compiled robots of a case that hold something, by name."""
    # Under one name, so that what is said of a place in the file is the same for all.
    jobs, _warnings = reader.load([reader.Source("job.yml", read(name))])
    placement = place(jobs, FLEET)
    known = peers.known_services(jobs, FLEET, placement)
    compiled = {robot.name: compile_robot(jobs, FLEET, placement, robot.name, known) for robot in FLEET.robots}
    return {name: robot for name, robot in compiled.items() if any(job["groups"] for job in robot.plan["jobs"])}


def groups(compiled: CompiledRobot) -> list[dict[str, t.Any]]:
    return [group for job in compiled.plan["jobs"] for group in job["groups"]]


def whole(name: str) -> dict[str, list[str]]:
    """All of a case's plan, in lines, by robot."""
    return {robot: render.lines(compiled) for robot, compiled in compile_case(name).items()}


def text(name: str) -> str:
    """What stands in the case's text file."""
    found = whole(name)
    base = re.search(r"^# base: (\S+)$", read(name), re.M)
    if not base:
        return "".join(f"===== {robot}\n" + "".join(f"{line}\n" for line in lines) for robot, lines in found.items())
    before = whole(base[1])
    first = next(iter(before))
    shown = []
    for robot, lines in found.items():
        like = robot if robot in before else first
        differences = render.differences(before[like], lines)
        shown += [f"===== {robot}, compared with {base[1]} on {like}", *(differences or ["nothing differs"])]
    return "".join(f"{line}\n" for line in shown)
