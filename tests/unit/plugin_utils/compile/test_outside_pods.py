# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pods of different robots whose jobs are deployed by runs of their own: where they are, robots have said."""

from __future__ import annotations

import json

import pytest

from ansible_collections.k8s4r.robot.plugins.plugin_utils.compile.mesh import outside
from ansible_collections.k8s4r.robot.plugins.plugin_utils.compile.network import across
from ansible_collections.k8s4r.robot.plugins.plugin_utils.compile.site.site import sites_of
from ansible_collections.k8s4r.robot.plugins.plugin_utils.fleet.placement import place
from ansible_collections.k8s4r.robot.plugins.plugin_utils.fleet.robots import Fleet, Robot

from .deployed import Deployed, read

FLEET = Fleet(
    tuple(
        Robot(
            name,
            f"192.0.2.{n}",
            pods=f"10.{n}.0.0/20",
            pods6=f"fd00:{n}::/64",
            addresses=(f"192.0.2.{n}", f"2001:db8::{n}"),
            dns="k8s4r.internal",
        )
        for n, name in enumerate(("r1", "r2", "r3"), 1)
    )
)
TASKS = "tasks: [{name: app, config: {execConfig: {command: app}}}]"


def text(job, group, robot, reach=""):
    on = f"constraints: [{{lTarget: '${{node.unique.name}}', operand: '=', rTarget: {robot}}}]"
    return f"{{name: {job}, taskGroups: [{{name: {group}, {on}, network: {{mode: group, reach: [{reach}]}}, {TASKS}}}]}}"


SHOP = text("shop", "api", "r1", "{job: front, group: web}")
FRONT = text("front", "web", "r2")


@pytest.fixture
def fleet(tmp_path):
    return Deployed(tmp_path, FLEET)


def group(opened, robot="r1"):
    """What a robot gets of its one group: the file of its pod, and to which robots it expects links."""
    (job,) = opened[robot]["plan"]["jobs"]
    (found,) = job["groups"]
    (pod,) = [json.loads(each["content"]) for each in found["resources"] if each.get("path", "").startswith("/etc/k8s4r/pods/")]
    return pod, [each["name"] for each in found["expects"] if each["what"] == "link"]


def bare(opened, name, robot):
    """What a robot gets of a job, without the places in its file: they are no part of its digest."""
    (job,) = [each for each in opened[robot]["plan"]["jobs"] if each["name"] == name]
    for each in job["groups"]:
        for expected in each["expects"]:
            del expected["where"]
    return job


def test_pods_of_a_job_that_is_not_in_the_run_come_in_as_their_robot_has_said(fleet):
    front, _links = group(fleet.deploy(FRONT)[0], "r2")
    opened, warnings = fleet.deploy(SHOP)
    pod, links = group(opened)
    assert warnings == []
    assert pod["elsewhere"] == {"default/front/web": [front["address"]]}
    assert pod["elsewhere6"] == {"default/front/web": [front["address6"]]}
    assert pod["dns"]["pods"] == {"default/front/web": {front["name"]: [front["address"], front["address6"]]}}
    assert links == ["r2 10.2.0.0/20 192.0.2.2"]


def test_a_run_of_one_job_brings_what_a_run_of_both_has_brought(fleet):
    """Of both, since the names that a pod knows are also those of pods that let it in."""
    both, _warnings = fleet.deploy(SHOP, FRONT)
    for job, robot in ((SHOP, "r1"), (FRONT, "r2")):
        name = read(job)[0].name
        alone, warnings = fleet.deploy(job)
        assert warnings == []
        assert bare(alone, name, robot) == bare(both, name, robot)


def test_who_has_moved_comes_in_from_its_new_robot_with_the_next_run(fleet):
    fleet.deploy(SHOP, FRONT)
    fleet.deploy(FRONT.replace("r2", "r3"))
    pod, links = group(fleet.deploy(SHOP)[0])
    assert [address.rpartition(".")[0][:4] for address in pod["elsewhere"]["default/front/web"]] == ["10.3"]
    assert [link.split()[0] for link in links] == ["r3"]


def test_a_robot_is_believed_in_what_is_its_own_alone(fleet):
    fleet.deploy(FRONT)
    said = fleet.said()
    (told,) = said["r2"]["pods"]
    for lie in (
        {"address": "10.3.0.7"},
        {"address": "192.0.2.1"},
        {"group": "default/shop/api"},
        {"name": "db"},
        {"name": told["name"] + "0x"},
    ):
        fleet.said = lambda lie=lie: {**said, "r2": {**said["r2"], "pods": [{**told, **lie}]}}
        opened, (warning,) = fleet.deploy(SHOP)
        assert "elsewhere" not in group(opened)[0]
        assert "pods of default/front/web on other robots cannot get in" in warning
    fleet.said = lambda: {**said, "r2": {**said["r2"], "pods": [{**told, "address6": "fd00:3::7"}]}}
    assert "elsewhere6" not in group(fleet.deploy(SHOP)[0])[0]


def test_robots_that_never_told_are_asked_first_where_a_run_depends_on_it():
    shared = FLEET._replace(robots=tuple(robot._replace(pods="10.1.0.0/20") for robot in FLEET.robots))
    assert across.asks(read(SHOP), FLEET)
    assert not across.asks(read(SHOP), shared)
    assert not across.asks(read(SHOP, FRONT), FLEET)


def test_a_robot_that_never_told_which_pods_it_has_is_named(fleet):
    """Its pods would otherwise lose their way without a word, where a controller has lost what it knew."""
    fleet.deploy(FRONT)
    jobs = read(SHOP)
    placement = place(jobs, FLEET)
    known = across.known(jobs, FLEET, placement, lambda _robot: {}, fleet.said(), {"r2"})
    (site,) = sites_of(jobs, FLEET, placement, FLEET.robot("r1"))
    (warning,) = across.warnings(site, known)
    assert "pods of default/front/web on r2 cannot get in: r2 has not reported which pods run there; run again when r2 can" in str(warning)


def test_robots_are_asked_where_a_reach_leads_out_of_the_run_or_into_it(fleet):
    assert outside.concerns(read(SHOP), {})
    assert not outside.concerns(read(SHOP, FRONT), {})
    assert not outside.concerns(read(FRONT), {})
    fleet.deploy(SHOP)
    assert outside.concerns(read(FRONT), fleet.said())
    assert not outside.concerns(read(FRONT, SHOP), fleet.said())
