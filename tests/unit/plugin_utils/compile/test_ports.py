# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ports of the robot: which numbers they get, who is in their way, and what tasks find."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.k8s4r.robot.plugins.module_utils._engine import plan
from ansible_collections.k8s4r.robot.plugins.plugin_utils.compile.names import group_id
from ansible_collections.k8s4r.robot.plugins.plugin_utils.compile.network import choice

from .one_robot import ROBOT, compiled, refusal

APP = {"name": "app", "config": {"execConfig": {"command": "app"}}}


def job(name, *ports, count=1, services=(), group="g", task=None):
    network = {"ports": ports, "services": services}
    return json.dumps({"name": name, "taskGroups": [{"name": group, "count": count, "network": network, "tasks": [task or APP]}]})


def label(name, **keys):
    return {"label": name, **keys}


def numbers(*jobs, **more):
    """{job: {what a port is called: its number}}"""
    found = compiled(*jobs, **more).plan["jobs"]
    return {one["name"]: {port["called"]: port["port"] for port in one["groups"][0]["ports"] if "called" in port} for one in found}


def environment(*jobs, **more):
    """The variables of the only environment file."""
    (group,) = compiled(*jobs, **more).plan["jobs"][0]["groups"]
    (text,) = [each["content"] for each in group["resources"] if each.get("path", "").endswith(".env")]
    return dict(line.replace('"', "").split("=", 1) for line in text.splitlines())


def test_a_number_depends_on_what_it_is_for_and_on_nothing_else():
    alone = numbers(job("a", label("x"), label("y"), count=2))["a"]
    assert alone == numbers(job("b", label("z")), job("a", label("y"), label("x"), count=2))["a"]
    others = [
        numbers(job("b", label("x"))),
        numbers(job("a", label("x"), group="h")),
        numbers(job("a", label("x")), robot=ROBOT._replace(name="r2")),
    ]
    found = [*alone.values(), *(next(iter(other.values()))["r0 x"] for other in others)]
    assert len(set(found)) == 7
    lowest, highest = plan.CHOSEN
    assert all(lowest <= number <= highest for number in found)


def test_the_next_is_taken_where_the_jobs_of_the_run_have_it():
    own = numbers(job("a", label("x")))["a"]["r0 x"]
    assert numbers(job("a", label("x"), label("y", static=own)))["a"]["r0 x"] == own + 1
    assert numbers(job("a", label("x")), job("b", label("y", static=own)))["a"]["r0 x"] == own + 1
    served = [{"name": "s", "port": 80, "to": f"127.0.0.1:{own}"}]
    assert numbers(job("a", label("x")), job("b", label("y"), services=served))["a"]["r0 x"] == own + 1
    assert numbers(job("a", label("x", protocol="udp")), job("b", label("y", static=own)))["a"]["r0 x"] == own
    assert numbers(job("a", label("x", hostIP="127.0.0.1")), job("b", label("y", static=own, hostIP="127.0.0.2")))["a"]["r0 x"] == own


def test_what_the_robot_has_named_is_taken_before_anything_new():
    own = numbers(job("b", label("x")))["b"]["r0 x"]
    held = {group_id("default", "a", "g"): {"r0 x": own}}
    assert numbers(job("b", label("x")), job("a", label("x")), held=held) == {"b": {"r0 x": own + 1}, "a": {"r0 x": own}}
    assert numbers(job("a", label("x"), label("y", static=own)), held=held)["a"]["r0 x"] == own + 1


def test_the_plan_is_the_same_whoever_chose_a_number():
    """Otherwise a controller that knows and one that does not would each find a change."""
    ports = (label("b"), label("a"), label("c", static=80))
    own = numbers(job("a", *ports))["a"]
    for named in ("r0 a", "r0 b"):
        held = {group_id("default", "a", "g"): {named: own[named]}}
        assert compiled(job("a", *ports), held=held).plan == compiled(job("a", *ports)).plan


LABELS = st.lists(st.from_regex("[a-z][a-z0-9]{0,7}", fullmatch=True), min_size=1, max_size=20, unique_by=str.upper)


@given(LABELS, st.integers(1, 3))
def test_no_two_ports_have_one_number(labels, count):
    found = numbers(job("a", *map(label, labels), count=count))["a"]
    assert len(set(found.values())) == len(found) == len(labels) * count


def test_none_is_left(monkeypatch):
    monkeypatch.setattr(choice, "_SPAN", 2)
    statics = [label(f"s{number}", static=number) for number in (plan.CHOSEN[0], plan.CHOSEN[0] + 1)]
    assert "taskGroups[0].network.ports[2]: no port from 20000 to 32000 is left on robot r1" in refusal(job("a", *statics, label("x")))


def test_two_jobs_with_one_static_port():
    text = refusal(job("a", label("x", static=8080)), job("b", label("y", static=8080, hostIP="127.0.0.1")))
    assert "job1.yml:1:" in text
    assert text.endswith(
        "taskGroups[0].network.ports[0].static: 127.0.0.1:8080 on robot r1 is taken by job0.yml: taskGroups[0].network.ports[0].static; "
        "choose another port"
    )
    assert numbers(job("a", label("x", static=8080)), job("b", label("y", static=8080, protocol="udp")))


@pytest.mark.parametrize("service", [{"port": 8080, "to": "127.0.0.1:1"}, {"port": 1, "to": "127.0.0.1:8080"}], ids=["port", "to"])
def test_a_static_port_that_another_groups_proxy_or_program_has(service):
    mine, other = job("a", label("x", static=8080)), job("b", services=[{"name": "s", **service}])
    assert "taken by job1.yml: taskGroups[0].network.services[0]" in refusal(other, mine).replace("job0", "job1")


def test_two_instances_on_a_robot_cannot_share_a_static_port():
    text = refusal(job("a", label("x", static=8080), count=2))
    assert "taskGroups[0].network.ports[0].static: robot r1 has 2 instances, and only one can have port 8080; leave the port" in text


@pytest.mark.parametrize(
    ("robot", "host_ip", "ip", "address"),
    [
        ("192.0.2.1", {}, "192.0.2.1", "192.0.2.1:80"),
        ("fd12:3456:0::10", {}, "fd12:3456::10", "[fd12:3456::10]:80"),
        ("robot1.local", {}, "127.0.0.1", "127.0.0.1:80"),
        ("192.0.2.1", {"hostIP": "127.0.0.1"}, "127.0.0.1", "127.0.0.1:80"),
        ("192.0.2.1", {"hostIP": "0.0.0.0"}, "192.0.2.1", "192.0.2.1:80"),
        ("192.0.2.1", {"hostIP": "::1"}, "::1", "[::1]:80"),
    ],
)
def test_the_address_that_tasks_find(robot, host_ip, ip, address):
    found = environment(job("a", label("web-ui", static=80, **host_ip)), robot=ROBOT._replace(address=robot))
    for host in ("", "HOST_"):
        assert [found[f"NOMAD_{host}{what}_web_ui"] for what in ("IP", "PORT", "ADDR")] == [ip, "80", address]
        assert [found[f"NOMAD_{host}{what}_WEB_UI"] for what in ("IP", "PORT", "ADDR")] == [ip, "80", address]
    assert found["NOMAD_ALLOC_PORT_web_ui"] == "80"


def test_to_is_what_tasks_find_as_the_inner_port():
    found = environment(job("a", label("x", static=80, to=8080)))
    assert (found["NOMAD_PORT_x"], found["NOMAD_ALLOC_PORT_x"]) == ("80", "8080")


def test_a_label_that_nobody_declares():
    task = {**APP, "env": {"CACHE": "${NOMAD_ADDR_redis}"}}
    assert "env.CACHE: ${NOMAD_ADDR_redis} has no value (for r1)" in refusal(job("a", label("rediss"), task=task))
    own = environment(job("a", label("redis", static=6379), task=task))
    assert own["CACHE"] == "192.0.2.1:6379"


def test_a_robot_without_ipv6_has_ports_on_ipv4():
    robot = ROBOT._replace(capabilities={**ROBOT.capabilities, "ipv6": "no"})
    (port,) = compiled(job("a", label("x")), robot=robot).plan["jobs"][0]["groups"][0]["ports"]
    assert port["address"] == "0.0.0.0"


def test_a_network_that_is_not_enabled_has_no_ports():
    document = json.loads(job("a", label("x")))
    document["taskGroups"][0]["network"]["enabled"] = False
    assert compiled(json.dumps(document)).plan["jobs"][0]["groups"][0]["ports"] == []
    document["taskGroups"][0]["network"] = {"type": "none", "ports": [label("x")]}
    assert len(compiled(json.dumps(document)).plan["jobs"][0]["groups"][0]["ports"]) == 1
