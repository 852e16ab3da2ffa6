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
KEYS = ("name", "constraints", "network")  # of a group, on which what the README says of call-and-answer depends
JOBS = sorted(path for path in EXAMPLES.rglob("*.yml") if "taskGroups:" in path.read_text())


def load(*paths: pathlib.Path):
    sources = [reader.Source(str(path), path.read_text()) for path in paths]
    return reader.load(sources, reader.Options(decrypt=lambda _text: "a password"))


def fleet(inventory: str | None = None):
    """The fleet of an inventory, by default examples/inventory.yml, read as plainly as it is written."""
    everything = yaml.safe_load(inventory or (EXAMPLES / "inventory.yml").read_text())["all"]
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


def blocks(page: str) -> list[str]:
    """The YAML of a page that a reader copies."""
    return re.findall(r"```yaml\n(.*?)```", (EXAMPLES.parent / page).read_text(), re.DOTALL)


def test_the_jobs_of_the_readme_compile_for_its_inventory():
    (inventory,) = [block for block in blocks("README.md") if block.startswith("all:")]
    files = [block for block in blocks("README.md") if "taskGroups:" in block]
    sources = [reader.Source(name, block) for name, block in zip(("hello.yml", "answer.yml", "call.yml"), files, strict=True)]
    jobs, warnings = reader.load(sources)
    assert warnings == []
    robots = fleet(inventory)
    placement = place(jobs, robots)
    known = peers.known_services(jobs, robots, placement)
    assert [compile_robot(jobs, robots, placement, robot.name, known).warnings for robot in robots.robots] == [()] * 2
    assert {"work1", "datacentre1"} == set(placement.instances["default", "hello", "hello"])


def test_the_readme_the_inventory_and_call_and_answer_tell_of_one_fleet():
    (inventory,) = [block for block in blocks("README.md") if block.startswith("all:")]
    examples = {robot.name: robot for robot in fleet().robots}
    for robot in fleet(inventory).robots:
        assert (robot.address, robot.labels) == (examples[robot.name].address, examples[robot.name].labels)
    for name in ("answer", "call"):
        (block,) = [block for block in blocks("README.md") if block.startswith(f"# jobs/{name}.yml")]
        (here,) = yaml.safe_load(block)["taskGroups"]
        (there,) = yaml.safe_load((EXAMPLES / "call-and-answer" / f"{name}.yml").read_text())["taskGroups"]
        for connection in (*there["network"].get("upstreams", ()), *there["network"].get("services", ())):
            connection.pop("tls", None)
        assert [(key, here.get(key)) for key in KEYS] == [(key, there.get(key)) for key in KEYS]


def test_the_job_of_a_program_of_ones_own_is_valid():
    (job,) = [block for block in blocks("docs/everyday.md") if block.startswith("taskGroups:")]
    _jobs, warnings = reader.load([reader.Source("rover.yml", job.replace("{{ version }}", "2.1"))])
    assert warnings == []


def test_programs_are_small():
    for program in (EXAMPLES / "web-service" / "programs").glob("*.py"):
        assert len(program.read_text().splitlines()) < 60, program.name
        assert "k8s4r" not in program.read_text().split('"""', 1)[1], f"{program.name} knows of us"
