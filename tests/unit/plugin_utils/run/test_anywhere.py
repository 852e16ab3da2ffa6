# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong in an inventory whatever its robots can do, and what they may make good once they are asked."""

from __future__ import annotations

import pytest

from ansible_collections.k8s4r.robot.plugins.plugin_utils.fleet.robots import ASSUMED_CAPABILITIES, Fleet, Robot
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.errors import JobErrors
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.read import reader
from ansible_collections.k8s4r.robot.plugins.plugin_utils.run import anywhere

ROBOTS = (Robot("r1", "r1.example", {"arm": "left"}), Robot("r2", "r2.example", {"arm": "right"}))
PEERS = {"one.example:5432": "spiffe://fleet.example/ns/a/job/b/group/c"}
TASKS = "tasks: [{name: app, config: {execConfig: {command: app}}%s}]"
REPORTED = "constraints: [{lTarget: '${attr.os.name}', operand: '%s', rTarget: debian}]"
UPSTREAM = "network: {upstreams: [{name: one, localPort: 9000, %s}]}"


def job(group: str, task: str = "", name: str = "web", more: str = "") -> str:
    return f"{{name: {name}, type: system, {more} taskGroups: [{{name: g, {group} {TASKS % task}}}]}}"


def wrong(*texts: str, asked: tuple[str, ...] = (), robots: tuple[Robot, ...] = ROBOTS) -> list[str]:
    jobs, _warnings = reader.load([reader.Source(f"{number}.yml", text) for number, text in enumerate(texts)])
    unasked = {robot.name for robot in robots} - set(asked)
    try:
        anywhere.check_in(Fleet(robots, "fleet.example", peers=PEERS), unasked, jobs)
    except JobErrors as errors:
        return list(map(str, errors.errors))
    return []


@pytest.mark.parametrize(
    "text",
    [
        job(REPORTED % "=" + ","),
        job("", ", resources: {cpu: '64'}"),
        job("", ", env: {OS: '${attr.os.name}'}"),
        job(UPSTREAM % "upstream: 'one.example:5432'" + ","),
        # Robots that are known by name alone need not have what another job serves.
        job(UPSTREAM % "service: shop/api/http" + ","),
        job("", ", templates: [{destPath: local/a, embeddedTmpl: '{{ nope }}'}]"),
    ],
)
def test_what_robots_may_make_good_is_no_error(text):
    assert wrong(text) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (job("", more="robotSelector: {arn: left},"), "no robot can run this group: robotSelector.arn requires 'left'"),
        (job("", more=f"datacenters: [x], {REPORTED % '='},"), "no robot can run this group: datacenters allows x (rules out r1, r2: each"),
        (
            job("constraints: [{lTarget: '${attr.a}', rTarget: b}, {lTarget: '${meta.arm}', rTarget: up}],"),
            "no robot can run this group: taskGroups[0].constraints[1] requires ${meta.arm} = up",
        ),
        (job("", ", env: {COLOR: '${meta.color}'}"), "${meta.color} has no value"),
        (job(UPSTREAM % "upstream: 'two.example:5432'" + ","), "no identity is known for two.example:5432"),
    ],
)
def test_what_comes_from_the_inventory_is_an_error(text, said):
    (error,) = wrong(text)
    assert said in error


def test_what_several_groups_want_of_one_robot_depends_on_where_they_are():
    def both(first: str, second: str) -> list[str]:
        port = "network: {ports: [{label: a, static: 8080}]},"
        return wrong(job(port + first), job(port + second, name="other"))

    assert "8080" in "".join(both("", ""))
    assert both(f"{REPORTED % '='},", f"{REPORTED % '!='},") == []


def test_what_a_robot_has_reported_stands():
    robots = tuple(robot._replace(capabilities={**ASSUMED_CAPABILITIES, "cpu.numcores": "2"}) for robot in ROBOTS)
    asks = job("", ", resources: {cpu: '3'}")
    assert wrong(asks, robots=robots) == []
    (error,) = wrong(asks, robots=robots, asked=("r2",))
    assert "asks for 3 cores, and the robot has 2 (for r2)" in error
