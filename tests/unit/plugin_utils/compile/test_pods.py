# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pods: which addresses they get, which ports of the robot they take, and what is not there yet."""

from __future__ import annotations

import ipaddress
import json

import pytest

from ansible_collections.k8s4r.robot.plugins.module_utils._engine.judge import choice
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.state import manifest
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.state.robot import Robot as Machine
from ansible_collections.k8s4r.robot.plugins.plugin_utils.compile.names import group_id, pod_name

from .one_robot import ROBOT, compiled, refusal

APP = {"name": "app", "config": {"execConfig": {"command": "app"}}}

SERVICE = {"name": "http", "port": 7000, "to": "127.0.0.1:8080", "protocol": "http", "allow": [{"group": "g"}]}


def job(name="a", count=1, group="g", **network):
    groups = [{"name": group, "count": count, "network": {"mode": "group", **network}, "tasks": [APP]}]
    return json.dumps({"name": name, "taskGroups": groups})


def pods(*jobs, **more):
    """{pod id: what is in its file}"""
    groups = [group for one in compiled(*jobs, **more).plan["jobs"] for group in one["groups"]]
    found = [each for group in groups for each in group["resources"] if each.get("path", "").startswith("/etc/k8s4r/pods/")]
    return {each["path"].rpartition("/")[2]: json.loads(each["content"]) for each in found}


def addresses(*jobs, **more):
    return {id: pod["address"] for id, pod in pods(*jobs, **more).items()}


def test_an_address_depends_on_what_it_is_for_and_on_nothing_else():
    alone = addresses(job(count=2))
    assert alone.items() < addresses(job("b"), job(count=2), job("c", count=3)).items()
    others = [addresses(job(group="h")), addresses(job(), robot=ROBOT._replace(name="r2")), addresses(job("b"))]
    found = [*alone.values(), *(address for other in others for address in other.values())]
    assert len(set(found)) == 5
    network = ipaddress.ip_network(ROBOT.pods)
    assert all(ipaddress.ip_address(address) in list(network.hosts())[1:] for address in found)


def test_the_robot_keeps_its_own_and_what_it_has_gives_way_to_nothing_new():
    (id,) = addresses(job())
    held = {group_id("default", "a", "g"): {"r0": int(ipaddress.ip_address("172.26.64.9"))}}
    assert addresses(job(), held=held) == {id: "172.26.64.9"}
    # It is in no network of this robot any more.
    robot = ROBOT._replace(pods="10.9.0.0/24")
    assert ipaddress.ip_address(addresses(job(), held=held, robot=robot)[id]) in ipaddress.ip_network("10.9.0.0/24")


def test_all_addresses_of_a_network_are_had_and_then_there_are_none():
    robot = ROBOT._replace(pods="10.9.0.0/29")
    assert sorted(addresses(job(count=5), robot=robot).values()) == [f"10.9.0.{number}" for number in range(2, 7)]
    assert refusal(job(count=6), robot=robot).endswith("taskGroups[0].network.mode: robot r1 has no address left in 10.9.0.0/29")


def test_ports_of_pods_are_their_own_and_those_of_the_robot_are_not():
    ports = [{"label": "x", "to": 8080}]
    plaintext = [{"name": "up", "localPort": 9000, "upstream": "192.0.2.9:1", "tls": False}]
    found = pods(job(count=2, ports=ports, upstreams=plaintext), job("b", ports=ports, upstreams=plaintext))
    assert [[port["to"] for port in pod["ports"]] for pod in found.values()] == [[8080]] * 3
    assert len({port["port"] for pod in found.values() for port in pod["ports"]}) == 3
    fixed = [{"label": "x", "static": 80, "to": 8080}]
    assert "robot r1 has 2 instances, and only one can have port 80" in refusal(job(count=2, ports=fixed))
    service = [{"name": "s", "port": 7000, "to": "127.0.0.1:8080"}]
    alone = "only one can have port 7000; lower count so that a robot has one instance"
    assert f"robot r1 has 2 instances, and {alone}" in refusal(job(count=2, services=service))
    assert "0.0.0.0:80 on robot r1 is taken by" in refusal(job(ports=fixed), job("b", ports=fixed))


def test_a_port_that_is_chosen_is_none_that_the_proxy_of_its_pod_has():
    ports = [{"label": "x"}]
    ((chosen,),) = [pod["ports"] for pod in pods(job(ports=ports)).values()]
    upstream = {"name": "up", "localPort": chosen["to"], "upstream": "192.0.2.9:1", "tls": False}
    ((other,),) = [pod["ports"] for pod in pods(job(ports=ports, upstreams=[upstream])).values()]
    assert (other["port"], other["to"]) == (chosen["port"] + 1, chosen["to"] + 1)


def test_robot_and_compiler_agree_on_a_port_whose_number_something_else_in_the_pod_has_now(tmp_path):
    machine = Machine(str(tmp_path / "state"), str(tmp_path / "run"))
    machine.make()

    def built(held, *upstreams):
        plan = compiled(job(ports=[{"label": "x"}], upstreams=upstreams), held=held).plan
        request = {"jobs": [{"namespace": "default", "name": "a", "digest": ""}], "plan": plan, "who": ""}
        return manifest.build(request, "r", machine.ledger, machine.store.put)

    ((group,),) = [each["groups"] for each in built({})["jobs"]]
    (port,) = group["ports"]
    record = {**group, "release": "one", "committed": 0, "leftovers": [], "started": {}}
    machine.ledger.save({"namespace": "default", "name": "a", "state": "whole", "plan": "", "groups": {group["id"]: record}, "robot": ""})
    upstream = {"name": "up", "localPort": port["port"], "upstream": "192.0.2.9:1", "tls": False}
    held = {group["id"]: {port["called"]: port["port"]}}
    assert choice.others(machine, built(held, upstream)) == {}


SIX = ROBOT._replace(pods6="fd4b:9a12:7c30::/64")


def test_an_address_of_ipv6_has_that_of_ipv4_in_it_and_is_there_only_where_the_robot_has_such_a_network():
    (former,) = pods(job()).values()
    (pod,) = pods(job(), robot=SIX).values()
    assert pod["range6"] == "fd4b:9a12:7c30::/64"
    assert pod["address6"] == str(ipaddress.ip_address("fd4b:9a12:7c30::") + int(ipaddress.ip_address(pod["address"])))
    assert {key: value for key, value in pod.items() if not key.endswith("6")} == former
    units, expected = [], []
    for robot in (ROBOT, SIX):
        (group,) = compiled(job(), robot=robot).plan["jobs"][0]["groups"]
        units.append(next(each["content"] for each in group["resources"] if each.get("name", "").startswith("k8s4r-pod-")))
        expected.append([each["name"] for each in group["expects"] if each["what"] == "pods"])
    # Who has another address now starts anew.
    assert f"Environment=POD_IP6={pod['address6']}" in units[1]
    assert "IP6" not in units[0]
    assert expected == [[""], ["ipv6"]]


def test_ports_are_published_at_addresses_of_both_families_unless_the_job_says_one():
    ports = [{"label": "x", "static": 80}, {"label": "y", "static": 81, "hostIP": "0.0.0.0"}, {"label": "z", "static": 82, "hostIP": "::"}]
    services = [{**SERVICE, "allow": [{"group": "g"}]}, {"name": "b", "port": 7001, "to": "127.0.0.1:8081", "address": "0.0.0.0"}]
    more = {"ports": ports, "services": services}
    for robot, at in ((ROBOT, "0.0.0.0"), (SIX, "::")):
        (pod,) = pods(job(**more), robot=robot).values()
        assert {port["port"]: port["address"] for port in pod["ports"]} == {80: at, 81: "0.0.0.0", 82: at, 7000: at, 7001: "0.0.0.0"}
    taken = json.dumps(
        {"name": "b", "taskGroups": [{"name": "g", "network": {"ports": [{"label": "x", "static": 80, "hostIP": "::1"}]}, "tasks": [APP]}]}
    )
    assert "[::1]:80 on robot r1 is taken by" in refusal(job(ports=ports), taken, robot=SIX)
    compiled(job(ports=ports), taken)


def test_a_pods_name_is_one_that_dns_takes():
    name = pod_name("default", "a-very-long-name-of-a-job-that-goes-on-and-on-and-on-and-on", "and-a-group", 1234)
    assert len(name) == 63
    assert name.endswith("-r1234")
    assert pod_name("default", "a", "b-c", 0) != pod_name("default", "a-b", "c", 0)


@pytest.mark.parametrize("driver", ["docker", "podman"])
def test_a_container_has_of_its_pod_what_others_have_and_no_init_task_does(driver):
    image = {"driver": driver, "config": {"dockerConfig": {"image": "look:1"}}}
    document = json.loads(job(hostname="cell"))
    document["taskGroups"][0] |= {"tasks": [{"name": "box", **image}], "initTasks": [{"name": "first", **image}]}
    (group,) = compiled(json.dumps(document)).plan["jobs"][0]["groups"]
    by_path = {each["path"]: each for each in group["resources"] if each["kind"] == "file"}
    described = [json.loads(each["content"]) for path, each in by_path.items() if path.endswith(".json")]
    box, first = sorted(described, key=lambda each: "-r0-" not in each["name"])
    (pod,) = (path.rpartition("/")[2] for path in by_path if path.startswith("/etc/k8s4r/pods/"))
    assert box["pod"] == {"network": f"/run/netns/k8s4r-{pod}", "ipc": f"/run/k8s4r/namespaces/{pod}/ipc", "host": "cell"}
    shared = {each["Target"]: (each["Source"], each["ReadOnly"]) for each in box["body"]["HostConfig"]["Mounts"]}
    assert (
        shared.items()
        >= {
            "/etc/hosts": (f"/run/k8s4r/pods/{pod}/hosts", True),
            "/etc/resolv.conf": (f"/run/k8s4r/pods/{pod}/resolv.conf", True),
            "/dev/shm": (f"/run/k8s4r/memory/{pod}", False),
        }.items()
    )
    assert "pod" not in first
    assert "/etc/hosts" not in {each["Target"] for each in first["body"]["HostConfig"]["Mounts"]}
    units = {each["name"]: each["content"] for each in group["resources"] if each["kind"] == "unit"}
    (unit,) = (content for name, content in units.items() if name.startswith("k8s4r-task-"))
    for each in (f"k8s4r-pod-{pod}.service", f"k8s4r-memory-{pod}.service"):
        assert each in units
        assert any(line.startswith("After=") and each in line for line in unit.splitlines())
    # What starts the container is on the robot.
    assert "NetworkNamespacePath" not in unit


def test_a_pod_knows_by_name_what_it_calls():
    def hosts(*upstreams, **network):
        front = json.loads(job(upstreams=upstreams, **network))
        front["taskGroups"].append({"name": "api", "network": {"services": [SERVICE]}, "tasks": [APP]})
        return next(iter(pods(json.dumps(front)).values()))["hosts"]

    plaintext = {"tls": False, "upstream": "db.dc.example:5432"}
    found = hosts(
        {"name": "orders", "localPort": 9000, "service": "a/api/http", "protocol": "http"},
        {"name": "database", "localPort": 5432, **plaintext},
        {"name": "odd_name", "localPort": 5433, **plaintext},
    )
    assert [name for name, address in found.items() if address == "127.0.0.1"] == ["database", "http.api.a.svc", "orders"]
    # The proxy would find itself where it looks for these.
    assert "127.0.0.1" not in hosts({"name": "db", "localPort": 5432, "tls": False, "upstream": "DB.:5432"}).values()
    assert "127.0.0.1" not in hosts({"name": "db", "localPort": 5432, "tls": False, "upstream": "${attr.kernel.name}:5432"}).values()
    # What the job says, wins.
    assert hosts({"name": "db", "localPort": 5432, **plaintext}, extraHosts={"db": "192.0.2.7"})["db"] == "192.0.2.7"


def test_a_pod_may_send_what_its_tasks_have_together_or_what_its_group_has():
    def limited(*tasks, group=None, mode="group"):
        found = [{**APP, "name": f"t{number}", "resources": {"networks": [{"mbits": each}]}} for number, each in enumerate(tasks)]
        more = {"resources": {"networks": [{"mbits": group}]}} if group else {}
        return json.dumps({"name": "a", "taskGroups": [{"name": "g", "network": {"mode": mode}, "tasks": found, **more}]})

    def mbits(job):
        return [pod.get("mbits") for pod in pods(job).values()]

    assert [mbits(limited(20, 5)), mbits(limited(20, 5, group=3)), mbits(limited(0)), mbits(job())] == [[25], [3], [None], [None]]
    # More than the kernel can count is no limit for anything that a robot has.
    assert mbits(limited(*[100000] * 40)) == [3000000]
    assert compiled(limited(20)).warnings == ()
    (warning,) = compiled(limited(20, mode="host")).warnings
    assert "write `network: {mode: group}`" in str(warning)
    (group,) = compiled(limited(0, 20)).plan["jobs"][0]["groups"]
    (asked,) = [each for each in group["expects"] if each["what"] == "pods" and each["name"]]
    assert asked["where"].endswith("taskGroups[0].tasks[1].resources.networks[0].mbits")
