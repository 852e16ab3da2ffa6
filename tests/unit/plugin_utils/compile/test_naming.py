# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The names that a robot's own DNS server knows."""

from __future__ import annotations

import json
import typing as t

from ansible_collections.k8s4r.robot.plugins.plugin_utils.fleet.robots import Robot
from tests.unit.plugin_utils.compile.one_robot import TASKS, compiled, refusal

DOMAIN = "robots.example"
HERE = Robot("r1", "192.0.2.1", dns=DOMAIN)
THERE = Robot("r2", "192.0.2.2", addresses=("198.51.100.2", "2001:db8::2"), dns=DOMAIN)
ON = "constraints: [{lTarget: '${node.unique.name}', rTarget: %s}]"
SERVICES = "services: [{name: http, port: 7000, to: '127.0.0.1:80', allow: [{job: front, group: web}]%s}]"
SHOP = "{name: shop, type: system, taskGroups: [{name: api, network: {%s}}, {name: probe, network: {mode: %s}, " + TASKS + "}]}"
FRONT = (
    f"{{name: front, taskGroups: [{{name: web, {ON % 'r1'}, network: "
    f"{{mode: group, upstreams: [{{name: api, localPort: 9000, service: shop/api/http}}]}}, {TASKS}}}]}}"
)


def shop(more: str = "", mode: str = "host", serves: str = "") -> str:
    return SHOP % (serves + SERVICES % more, mode)


def groups(*jobs: str, robots: tuple[Robot, ...] = (HERE, THERE)) -> dict[str, t.Any]:
    return {group["name"]: group for job in compiled(*jobs, robot=robots[0], robots=robots).plan["jobs"] for group in job["groups"]}


def files(group: t.Any) -> dict[str, t.Any]:
    """What a group brings, by names; and what each follows."""
    found = [each for each in group["resources"] if each.get("path", "").startswith("/etc/k8s4r/names/")]
    contents = [(json.loads(each["content"]), each.get("follows")) for each in found]
    assert len({each["path"] for each in found}) == len(found)
    return {content["name"]: ([each["address"] for each in content["endpoints"]], follows) for content, follows in contents}


def test_a_group_brings_the_services_of_its_job_and_those_that_it_calls():
    found = groups(shop(), FRONT)
    name, service = "http.api.shop.svc", "default/shop/api/http"
    both = ["192.0.2.1", "198.51.100.2", "2001:db8::2"]
    # The group that serves it changes in one turn with its instances.
    assert files(found["default/shop/api"]) == {name: (both, None)}
    assert files(found["default/shop/probe"]) == {name: (both, service)}
    # A pod reaches its robot whatever the robot's network does.
    assert files(found["default/front/web"]) == {name: (["172.26.64.1", "198.51.100.2"], service)}
    content = next(each["content"] for each in found["default/front/web"]["resources"] if "/names/" in each.get("path", ""))
    assert (json.loads(content)["domain"], json.loads(content)["port"]) == (DOMAIN, 7000)
    assert [need["what"] for need in found["default/front/web"]["needs"]].count("dnsmasq") == 1
    assert "dnsmasq" not in [need["what"] for need in found["default/shop/api"]["needs"]]


def test_a_robot_without_a_server_has_none_of_it():
    robots = (HERE._replace(dns=""), THERE)
    for group in groups(shop(mode="group"), FRONT, robots=robots).values():
        assert files(group) == {}
        assert "dnsmasq" not in json.dumps(group)
        assert DOMAIN not in json.dumps(group)


def test_the_loopback_is_asked_for_and_may_be_taken():
    robots = (HERE._replace(dns_loopback=True), THERE)
    found = groups(shop(), FRONT, robots=robots)
    expected = {name: [each["name"] for each in group["expects"] if each["what"] == "names"] for name, group in found.items()}
    assert expected["default/shop/probe"] == ["127.0.0.153"]
    assert expected["default/front/web"] == ["127.0.0.153", "172.26.64.1"]


def test_a_service_at_a_single_address_is_at_that_one():
    assert files(groups(shop(", address: 198.51.100.9"))["default/shop/api"]) == {"http.api.shop.svc": (["198.51.100.9"], None)}
    assert files(groups(shop(", address: 127.0.0.1"))["default/shop/api"]) == {"http.api.shop.svc": ([], None)}


def test_a_job_of_another_namespace_says_so_in_the_name():
    other = f"{{apiVersion: robot.k8s4r.io/v1alpha1, kind: Job, metadata: {{name: shop, namespace: lab}}, spec: {shop()}}}"
    assert list(files(groups(other)["lab/shop/api"])) == ["http.api.shop.lab.svc"]


def test_what_cannot_have_a_name_is_said():
    odd = shop().replace("name: http", "name: ht.tp")
    result = compiled(odd, robot=HERE, robots=(HERE, THERE))
    (warning,) = result.warnings
    assert warning.path == "taskGroups[0].network.services[0]"
    assert (warning.message, warning.robots) == ("it gets no name in DNS", ("r1",))
    assert refusal(shop(), robot=HERE, robots=(HERE, Robot("r2", "r2.example.org"))).endswith(
        "taskGroups[0].network.services[0]: runs on r2, for which the inventory has no IP address that robot r1 can reach, so it cannot be "
        "in DNS; set k8s4r_address of r2 to its IP address, or remove k8s4r_dns"
    )
