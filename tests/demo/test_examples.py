# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every example is right: its jobs are read with no word of complaint and compile for the example fleet."""

from __future__ import annotations

import pathlib
import re

import pytest
import yaml

from ansible_collections.k8s4r.robot.plugins.plugin_utils.compile.mesh import peers
from ansible_collections.k8s4r.robot.plugins.plugin_utils.compile.robot import compile_robot
from ansible_collections.k8s4r.robot.plugins.plugin_utils.fleet.catalogue import fleet_from_inventory
from ansible_collections.k8s4r.robot.plugins.plugin_utils.fleet.placement import place
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.read import reader

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples"
SCHEMA_LINE = "# yaml-language-server: $schema="
JOBS = sorted(path for path in EXAMPLES.rglob("*.yml") if "taskGroups:" in path.read_text())


def load(*paths: pathlib.Path):
    sources = [reader.Source(str(path), path.read_text()) for path in paths]
    return reader.load(sources, reader.Options(decrypt=lambda _text: "a password"))


def fleet():
    """The fleet of examples/inventory.yml, read as plainly as it is written."""
    everything = yaml.safe_load((EXAMPLES / "inventory.yml").read_text())["all"]
    robots = everything["children"]["robots"]["hosts"]
    return fleet_from_inventory({"robots": list(robots)}, lambda name: {**everything["vars"], **robots[name]}, {})


@pytest.mark.parametrize("path", JOBS, ids=lambda path: str(path.relative_to(EXAMPLES)))
def test_job_is_valid_and_names_the_schema(path):
    _jobs, warnings = load(path)
    assert warnings == []
    first = path.read_text().splitlines()[0]
    assert first.startswith(SCHEMA_LINE)
    assert (path.parent / first.removeprefix(SCHEMA_LINE)).resolve() == EXAMPLES.parent / "schemas" / "job.schema.json"


def test_jobs_compile_together_for_the_example_fleet():
    jobs, _warnings = load(*JOBS)
    robots = fleet()
    placement = place(jobs, robots)
    known = peers.known_services(jobs, robots, placement)
    compiled = {robot.name: compile_robot(jobs, robots, placement, robot.name, known) for robot in robots.robots}
    assert [robot.warnings for robot in compiled.values()] == [()] * 3
    held = placement.instances["default", "web-service", "web"]
    assert {name: len(indices) for name, indices in held.items()} == {"work1": 2, "work2": 2}
    assert sorted(placement.instances["default", "watch-disk", "watch"]) == ["datacentre1", "work1", "work2"]


def test_the_job_of_the_readme_is_valid():
    blocks = re.findall(r"```yaml\n(.*?)```", (EXAMPLES.parent / "README.md").read_text(), re.DOTALL)
    (job,) = [block for block in blocks if block.startswith("taskGroups:")]
    _jobs, warnings = reader.load([reader.Source("hello.yml", job)])
    assert warnings == []


def test_programs_are_small():
    for program in (EXAMPLES / "web-service" / "programs").glob("*.py"):
        assert len(program.read_text().splitlines()) < 60, program.name
        assert "k8s4r" not in program.read_text().split('"""', 1)[1], f"{program.name} knows of us"
