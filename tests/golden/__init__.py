# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Golden cases: a job file in, the plan and the exact bytes of every file out.

`cases/<name>/job.yml` is compiled for the robots below; `cases/<name>/expected.txt` is what comes out, as a person can
read it in a diff. ``python3 -m tests.golden`` writes the expectations anew, to be read before they are committed.
"""

from __future__ import annotations

import hashlib
import json
import pathlib
import typing as t

from ansible_collections.k8s4r.robot.plugins.plugin_utils.compile.robot import CompiledRobot, compile_robot
from ansible_collections.k8s4r.robot.plugins.plugin_utils.fleet.placement import place
from ansible_collections.k8s4r.robot.plugins.plugin_utils.fleet.robots import Fleet, Robot
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.read import reader

CASES = pathlib.Path(__file__).parent / "cases"

FLEET = Fleet(
    robots=(
        Robot("arm1", "192.0.2.11", {"role": "work", "site": "north"}, "dc1", "arm"),
        Robot("base1", "192.0.2.12", {"role": "work"}, "dc1", "base"),
        Robot("centre", "192.0.2.1", {"role": "datacentre"}, "dc2", "server"),
    ),
    trust_domain="fleet.example",
    peers={"api.dc.example:18080": "spiffe://fleet.example/ns/default/job/api/group/api"},
)


def names() -> list[str]:
    return sorted(path.name for path in CASES.iterdir() if (path / "job.yml").exists())


def compile_case(name: str) -> dict[str, CompiledRobot]:
    """The compiled robots of a case that hold something, by name."""
    source = reader.Source(f"{name}/job.yml", (CASES / name / "job.yml").read_text(encoding="utf-8"))
    jobs, _warnings = reader.load([source])
    placement = place(jobs, FLEET)
    compiled = {robot.name: compile_robot(jobs, FLEET, placement, robot.name) for robot in FLEET.robots}
    return {name: robot for name, robot in compiled.items() if any(job["groups"] for job in robot.plan["jobs"])}


def groups(compiled: CompiledRobot) -> list[dict[str, t.Any]]:
    return [group for job in compiled.plan["jobs"] for group in job["groups"]]


def render(robots: t.Mapping[str, CompiledRobot]) -> str:
    """Everything that is in the plans, in their order; each line of a file's content behind a bar."""
    lines: list[str] = []
    for robot, compiled in robots.items():
        for group in groups(compiled):
            lines += [f"===== {robot}: {group['name']} ({group['id']})"]
            for resource in group["resources"]:
                lines += _resource(resource)
            lines += [f"check {check['name']}: {' '.join(check['argv'])}" for check in group["checks"]]
            lines += [f"need {need['what']}: {need['path']}" for need in group["needs"]]
            lines += [f"program {program['path']} {program['search']} ({program['where']})" for program in group["programs"]]
            lines += [f"port {port['address']}:{port['port']} ({port['where']})" for port in group["ports"]]
        lines += [f"entry {json.dumps(entry, sort_keys=True)}" for entry in compiled.entries]
        lines += [f"warning {warning}" for warning in compiled.warnings]
    return "\n".join(lines) + "\n"


def _resource(resource: t.Mapping[str, t.Any]) -> list[str]:
    shown = [
        f"{key}={value}"
        for key, value in resource.items()
        if key not in ("kind", "path", "name", "content") and value not in (None, [], False)
    ]
    head = f"{resource['kind']} {resource.get('path') or resource['name']} {' '.join(shown)}".rstrip()
    content = resource.get("content", "")
    if resource.get("path", "").endswith(".json"):
        # One line for the program, many for who reads a diff; the digest holds it to its bytes.
        head += f" sha256={hashlib.sha256(content.encode()).hexdigest()[:16]}"
        content = json.dumps(json.loads(content), indent=1)
    return [head, *(f"  | {line}".rstrip() for line in content.splitlines())]
