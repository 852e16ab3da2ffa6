# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pods of different robots: which robots have routes to each other, who may come, and where they cannot."""

from __future__ import annotations

import ipaddress
import json

import pytest

from ansible_collections.k8s4r.robot.plugins.plugin_utils.compile.names import group_id
from ansible_collections.k8s4r.robot.plugins.plugin_utils.fleet.robots import Robot

from .one_robot import ROBOT, compiled, refusal

APP = {"name": "app", "config": {"execConfig": {"command": "app"}}}
OWN = ROBOT._replace(pods="10.1.0.0/20")
TWO, THREE = Robot("r2", "192.0.2.2", pods="10.2.0.0/20"), Robot("r3", "192.0.2.3", pods="10.3.0.0/20")
HERE = [{"lTarget": "${node.unique.name}", "operand": "=", "rTarget": "r1"}]


def group(name, reach=(), count=1, constraints=(), mode="group"):
    network = {"mode": mode, "reach": [*reach]} if reach else {"mode": mode}
    return {"name": name, "count": count, "network": network, "tasks": [APP], "constraints": [*constraints]}


def job(*groups, **keys):
    return json.dumps({"name": "a", "taskGroups": groups, **keys})


def plan(*jobs, robots, **more):
    """The first group that a robot, by default the first, gets: its file of routes, its pods and what it expects."""
    found = compiled(*jobs, robots=robots, **{"robot": robots[0], **more})
    group = found.plan["jobs"][0]["groups"][0]
    files = {
        each["path"]: json.loads(each["content"])
        for each in group["resources"]
        if each.get("path", "").startswith("/etc/k8s4r/") and each["path"].split("/")[3] in ("routes", "pods")
    }
    routes = [content for path, content in files.items() if "/routes/" in path]
    pods = [content for path, content in files.items() if "/pods/" in path]
    links = [(each["name"], each["where"]) for each in group["expects"] if each["what"] == "link"]
    return routes, pods, links, found.warnings


WEB = group("web", [{"group": "api"}], constraints=HERE)
API = group("api", count=2, constraints=[{**HERE[0], "operand": "!="}])


def test_a_robot_is_told_where_pods_of_the_others_are_and_which_of_them_may_come():
    robots = (OWN, TWO, THREE)
    ((routes,), (web,), links, warnings) = plan(job(WEB, API), robots=robots)
    assert routes["robots"] == {
        "r1": {"range": "10.1.0.0/20", "addresses": ["192.0.2.1"]},
        "r2": {"range": "10.2.0.0/20", "addresses": ["192.0.2.2"]},
        "r3": {"range": "10.3.0.0/20", "addresses": ["192.0.2.3"]},
    }
    apis = {robot.name: plan(job(WEB, API), robots=robots, robot=robot)[1][0] for robot in robots[1:]}
    # The groups of the own pod are among them where they run elsewhere, too.
    assert web["elsewhere"] == {"default/a/api": [apis["r2"]["address"], apis["r3"]["address"]]}
    assert apis["r2"]["elsewhere"] == {"default/a/api": [apis["r3"]["address"]]}
    where = "job0.yml: taskGroups[0].network.reach[0]"
    assert links == [("r2 10.2.0.0/20 192.0.2.2", where), ("r3 10.3.0.0/20 192.0.2.3", where)]
    assert plan(job(WEB, API), robots=robots, robot=TWO)[2] == [("r1 10.1.0.0/20 192.0.2.1", where)]
    assert warnings == ()


def of_six(robot, number):
    return robot._replace(pods6=f"fd00:{number}::/64", addresses=(robot.address, f"2001:db8::{number}"), dns="k8s4r.internal")


def test_where_robots_have_ipv6_for_their_pods_and_for_themselves_pods_reach_each_other_by_that_too():
    # The third has it for its pods alone.
    robots = (of_six(OWN, 1), of_six(TWO, 2), of_six(THREE, 3)._replace(addresses=()))
    ((routes,), (web,), links, warnings) = plan(job(WEB, API), robots=robots)
    assert routes["robots"] == {
        "r1": {"range": "10.1.0.0/20", "addresses": ["192.0.2.1"], "range6": "fd00:1::/64", "addresses6": ["2001:db8::1"]},
        "r2": {"range": "10.2.0.0/20", "addresses": ["192.0.2.2"], "range6": "fd00:2::/64", "addresses6": ["2001:db8::2"]},
        "r3": {"range": "10.3.0.0/20", "addresses": ["192.0.2.3"]},
    }
    second, third = (plan(job(WEB, API), robots=robots, robot=robot)[1][0] for robot in robots[1:])
    assert web["elsewhere"] == {"default/a/api": [second["address"], third["address"]]}
    assert web["elsewhere6"] == {"default/a/api": [second["address6"]]}
    assert web["dns"]["pods"]["default/a/api"] == {
        second["name"]: [second["address"], second["address6"]],
        third["name"]: [third["address"]],
    }
    assert second["dns"]["pods"]["default/a/web"] == {web["name"]: [web["address"], web["address6"]]}
    assert "elsewhere6" not in third
    assert third["dns"]["pods"]["default/a/web"] == {web["name"]: [web["address"]]}
    # A `reach` needs IPv4 alone.
    assert [name for name, _where in links] == ["r2 10.2.0.0/20 192.0.2.2", "r3 10.3.0.0/20 192.0.2.3"]
    assert warnings == ()


def test_robots_whose_pods_have_the_same_addresses_of_ipv6_reach_each_other_by_ipv4():
    robots = (of_six(OWN, 1), of_six(TWO, 2)._replace(pods6="fd00:1::/80"))
    ((routes,), (web,), _links, _warnings) = plan(job(WEB, {**API, "count": 1}), robots=robots)
    assert [sorted(each) for each in routes["robots"].values()] == [["addresses", "range"]] * 2
    assert ("elsewhere" in web, "elsewhere6" in web) == (True, False)


def test_an_address_that_another_robot_has_named_is_the_one_that_may_come():
    held = {group_id("default", "a", "api"): {"r0": int(ipaddress.ip_address("10.2.0.77"))}}
    _routes, (web,), _links, _warnings = plan(job(WEB, {**API, "count": 1}), robots=(OWN, TWO), others=held)
    assert web["elsewhere"] == {"default/a/api": ["10.2.0.77"]}


def test_a_robot_with_a_dns_server_has_names_for_pods_of_others_that_may_come_or_let_its_own_in():
    robots = tuple(robot._replace(dns="k8s4r.internal") for robot in (OWN, TWO, THREE))
    both = job(WEB, API, group("lamp", constraints=[{**HERE[0], "rTarget": "r3"}]))
    ((_routes,), (web,), _links, _warnings) = plan(both, robots=robots)
    apis = {robot.name: plan(both, robots=robots, robot=robot)[1][0] for robot in robots[1:]}
    assert web["dns"]["pods"] == {"default/a/api": {apis[name]["name"]: [apis[name]["address"]] for name in ("r2", "r3")}}
    # Nobody is in the reach of the other group: it may only call.
    others = {web["name"]: [web["address"]]}
    assert apis["r2"]["dns"]["pods"] == {
        "default/a/api": {apis["r3"]["name"]: [apis["r3"]["address"]]},
        "default/a/web": others,
    }
    without = plan(both, robots=(robots[0]._replace(dns=""), *robots[1:]))[1][0]
    assert "pods" not in without["dns"]
    # A robot without a route has names of its own pods only.
    shared = (*robots[:1], *(robot._replace(pods=TWO.pods) for robot in robots[1:]))
    assert "pods" not in plan(job(group("web", count=3)), robots=shared)[1][0]["dns"]


def test_pods_that_have_one_name_on_all_robots_are_named_together_and_one_of_the_robots_own_alone():
    robots = tuple(robot._replace(dns="k8s4r.internal") for robot in (OWN, TWO, THREE))
    spread = job(group("all", [{"group": "web", "job": "b"}], constraints=[{**HERE[0], "operand": "!="}]), type="system")
    caller = json.dumps({"name": "b", "taskGroups": [group("web", constraints=HERE)]})
    there = {robot.name: plan(spread, caller, robots=robots, robot=robot)[1][0] for robot in robots[1:]}
    (web,) = plan(caller, spread, robots=robots)[1]
    (name,) = {pod["name"] for pod in there.values()}
    assert web["dns"]["pods"] == {"default/a/all": {name: [there["r2"]["address"], there["r3"]["address"]]}}
    assert there["r2"]["dns"]["pods"] == {"default/b/web": {web["name"]: [web["address"]]}}


def test_robots_whose_pods_have_the_same_addresses_have_no_routes():
    """And nothing of this is in their plans."""
    other = THREE._replace(pods="10.2.8.0/24")
    assert plan(job(group("web", count=3)), robots=(TWO, other, OWN))[0] == []
    routes, (web,), links, _warnings = plan(job(group("web", count=4)), robots=(OWN, TWO, THREE, Robot("r4", "192.0.2.4")))
    assert [*routes[0]["robots"]] == ["r1", "r2", "r3", "r4"]
    routes, (web,), links, _warnings = plan(
        job(group("web", count=4)), robots=(OWN, TWO, THREE._replace(pods=TWO.pods), ROBOT._replace(name="r4"))
    )
    assert [*routes[0]["robots"]] == ["r1", "r4"]
    assert (len(web["elsewhere"]["default/a/web"]), links) == (1, [])
    routes, (web,), links, _warnings = plan(job(group("web", count=2)), robots=(ROBOT, Robot("r2", "192.0.2.2")))
    assert (routes, "elsewhere" in web, links) == ([], False, [])


@pytest.mark.parametrize(
    ("robots", "why"),
    [
        (
            (ROBOT, Robot("r2", "192.0.2.2")),
            "other robots have addresses of pods in the k8s4r_pod_cidr of r1, r2; give each robot a k8s4r_pod_cidr of its own, ",
        ),
        (
            (OWN, TWO._replace(pods="10.1.1.0/24"), THREE),
            "other robots have addresses of pods in the k8s4r_pod_cidr of r1, r2; give each robot a k8s4r_pod_cidr of its own, ",
        ),
        ((OWN, TWO._replace(address="r2")), "the inventory has no IPv4 address of r2; add it to k8s4r_address, "),
        ((OWN, TWO._replace(addresses=("fd00::2",))), "the inventory has no IPv4 address of r2; add it to k8s4r_address, "),
    ],
)
def test_where_no_route_can_be_a_pod_is_not_reached(robots, why):
    text = job(WEB, {**API, "count": len(robots) - 1})
    ran = ", ".join(robot.name for robot in robots[1:])
    expected = f": taskGroups[0].network.reach[0]: default/a/api runs on {ran} too, and {why}"
    either = "constrain both groups to the same robots, or call it through `upstreams`"
    assert refusal(text, robots=robots, robot=robots[0]).endswith(f"{expected}{either}")


def test_groups_that_are_on_the_same_robots_need_no_routes():
    both = job(group("web", [{"group": "api"}]), group("api"), type="system")
    _routes, _pods, links, _warnings = plan(both, robots=(ROBOT, Robot("r2", "192.0.2.2")))
    assert links == []
    _routes, (web,), links, _warnings = plan(both, robots=(OWN, TWO))
    assert (sorted(web["elsewhere"]), links) == (["default/a/api", "default/a/web"], [])


def test_of_a_job_that_is_neither_in_the_run_nor_on_a_robot_nobody_knows_where_its_pods_are():
    text = job(group("web", [{"job": "b", "group": "api"}]))
    _routes, _pods, _links, (warning,) = plan(text, robots=(OWN, TWO))
    assert str(warning).endswith(
        ": taskGroups[0].network.reach[0]: pods of default/b/api on other robots cannot get in: their job is not in this run, and no robot "
        "has reported any; deploy this job again once they run, or deploy both jobs together"
    )
    assert plan(text, robots=(ROBOT, Robot("r2", "192.0.2.2")))[3] == ()
