# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a caller finds a service of ours, and which services it may not have."""

from __future__ import annotations

import json

import pytest

from ansible_collections.k8s4r.robot.plugins.plugin_utils.fleet.robots import ASSUMED_CAPABILITIES, Robot
from tests.unit.plugin_utils.compile.one_robot import TASKS, compiled, refusal

HERE = Robot("r1", "192.0.2.1")
THERE = Robot("r2", "192.0.2.2", addresses=("198.51.100.2", "2001:db8::2"))
OLD = Robot("r3", "192.0.2.3", capabilities={**ASSUMED_CAPABILITIES, "ipv6": "no"}, addresses=("192.0.2.3", "2001:db8::3"))
NAMED = Robot("r4", "r4.example.org")

ON = "constraints: [{lTarget: '${node.unique.name}', rTarget: %s}]"
CALLER = f"{{name: front, taskGroups: [{{name: web, {ON % 'r1'}, network: {{upstreams: [%s]}}, {TASKS}}}]}}"
SERVER = "{name: shop, type: system, taskGroups: [{name: api, network: {services: [{name: http, port: 7000, to: '127.0.0.1:80', %s}]}}]}"
ALLOW = "allow: [{job: front, group: web}]"
UPSTREAM = "{name: api, localPort: 9000, service: %s}"


def caller(service: str = "shop/api/http") -> str:
    return CALLER % (UPSTREAM % service)


def endpoints(*robots: Robot, more: str = "", calls: str = "host", serves: str = "host") -> list[list[str]]:
    """The addresses of each endpoint that the caller on the first robot has, by the modes of both."""
    asks = caller().replace("network: {", f"network: {{mode: {calls}, ")
    server = (SERVER % (ALLOW + more)).replace("network: {", f"network: {{mode: {serves}, ")
    plan = compiled(asks, server, robot=HERE, robots=robots).plan
    files = [each for job in plan["jobs"] for group in job["groups"] for each in group["resources"] if each["kind"] == "file"]
    (found,) = [file for file in files if "/endpoints-" in file["path"]]
    (resource,) = json.loads(found["content"])["resources"]
    assert resource["cluster_name"] == "default/shop/api/http"
    return [
        [address["socket_address"]["address"] for address in _addresses(each["endpoint"])]
        for each in resource["endpoints"][0]["lb_endpoints"]
    ]


def _addresses(endpoint):
    return [endpoint["address"], *(each["address"] for each in endpoint.get("additional_addresses", ()))]


def test_its_own_robot_is_reached_without_a_network_and_others_at_all_their_addresses():
    assert endpoints(HERE, THERE, OLD) == [["127.0.0.1"], ["198.51.100.2", "2001:db8::2"], ["192.0.2.3"]]


def test_the_robot_is_another_place_to_its_pods_and_pods_have_ipv4_alone():
    assert endpoints(HERE, THERE, calls="group") == [["172.26.64.1"], ["198.51.100.2"]]
    assert endpoints(HERE, THERE, calls="group", serves="group") == [["172.26.64.1"], ["198.51.100.2"]]
    assert endpoints(HERE, THERE, serves="group") == [["127.0.0.1"], ["198.51.100.2"]]


def test_a_pod_does_not_reach_what_is_at_its_robots_loopback():
    job = caller().replace("network: {", "network: {mode: group, ")
    found = refusal(job, SERVER % (ALLOW + ", address: 127.0.0.1"), robot=HERE)
    assert "listens at 127.0.0.1 of r1, which robot r1 does not reach" not in found
    assert "listens at 127.0.0.1 of r1, which pods of robot r1 do not reach; remove its `address`" in found


def test_a_service_at_ipv4_addresses_alone_is_not_looked_for_at_others():
    assert endpoints(HERE, THERE, more=", address: 0.0.0.0") == [["127.0.0.1"], ["198.51.100.2"]]


def test_a_service_at_one_address_is_there():
    assert endpoints(HERE, THERE, more=", address: 203.0.113.9") == [["203.0.113.9"]]


def test_a_service_at_loopback_is_on_the_callers_own_robot_alone():
    assert endpoints(HERE, THERE, more=", address: 127.0.0.1") == [["127.0.0.1"]]


@pytest.mark.parametrize(
    ("service", "way_out"),
    [
        ("shop/api/htpp", "that job has default/shop/api/http"),
        ("shopp/api/http", "did you mean default/shop/api/http?"),
        ("ops/lamp/g/http", 'deploy the job "ops/lamp" first, or both together: -e job=<this file>,<that file>'),
        ("mesh/pods/http", 'deploy the job "default/mesh" first, or both together: -e job=<this file>,<that file>'),
    ],
)
def test_a_service_that_nobody_has(service, way_out):
    name = service if service.startswith("ops/") else f"default/{service}"
    found = refusal(caller(service), SERVER % ALLOW, robot=HERE)
    assert (
        f'taskGroups[0].network.upstreams[0].service: neither a job of this run nor a robot has the inbound service "{name}"; {way_out}'
        in found
    )


def test_a_service_that_a_job_of_the_run_does_not_have():
    server = "{name: shop, taskGroups: [{name: api, tasks: [{name: a, config: {execConfig: {command: a}}}]}]}"
    found = refusal(caller("shop/api/http"), server, robot=HERE)
    assert (
        'taskGroups[0].network.upstreams[0].service: the job "default/shop", which is in this run, has no inbound service; give its group '
        "one, network: {services: [{name: http, ...}]}; the services of a task are others"
    ) in found


def test_a_caller_that_is_pointed_at_another_service_has_another_file():
    """So its clusters never refer to a file that is still about the old one: that would be left as it is until all have switched."""
    server = SERVER % f"{ALLOW}}}, {{name: more, port: 7001, to: '127.0.0.1:81', {ALLOW}"

    def read(*services: str) -> dict[str, list[str]]:
        """By the path of a file with endpoints, the clusters that refer to it."""
        upstreams = ", ".join(f"{{name: u{n}, localPort: {9000 + n}, service: {service}}}" for n, service in enumerate(services))
        plan = compiled(CALLER % upstreams, server, robot=HERE).plan
        files = {file["path"]: file for job in plan["jobs"] for group in job["groups"] for file in group["resources"] if "path" in file}
        found = {path: [] for path in files if "/endpoints-" in path}
        (clusters,) = [path for path in files if path.endswith("/proxy/clusters.json") and "/front-" in path]
        for cluster in json.loads(files[clusters]["content"])["resources"]:
            eds = cluster["eds_cluster_config"]
            path = eds["eds_config"]["path_config_source"]["path"]
            assert json.loads(files[path]["content"])["resources"][0]["cluster_name"] == eds["service_name"]
            found[path].append(cluster["name"])
        return found

    (before,), (after,) = read("shop/api/http"), read("shop/api/more")
    assert before != after
    assert read("shop/api/http", "shop/api/more") == {before: ["upstream-u0"], after: ["upstream-u1"]}
    assert read("shop/api/http", "shop/api/http") == {before: ["upstream-u0", "upstream-u1"]}


def test_a_service_that_does_not_let_the_caller_in():
    found = refusal(caller(), SERVER % "allow: [{group: api}]", robot=HERE)
    own = "spiffe://fleet.example/ns/default/job/front/group/web"
    assert f'"default/shop/api/http" lets in only the groups in its `allow`, and {own} is not among them' in found
    assert "add {namespace: default, job: front, group: web} to the `allow` of that service" in found


def test_a_robot_whose_address_is_a_name_is_not_found_by_envoy():
    found = refusal(caller(), SERVER % ALLOW, robot=HERE, robots=(HERE, NAMED))
    assert "runs on r4, for which the inventory has no IP address that other robots reach; set k8s4r_address of r4 to its IP" in found


TUNNELS = (Robot("r1", "127.0.0.1"), Robot("r2", "127.0.0.1"))


@pytest.mark.parametrize("address", ["127.0.0.1", "127.1.2.3", "::1", "0.0.0.0", "::", "::ffff:127.0.0.1", "localhost"])
def test_a_robot_at_the_end_of_a_tunnel_is_not_sought_at_the_callers_own_loopback(address):
    robots = (TUNNELS[0], TUNNELS[1]._replace(address=address))
    found = refusal(caller(), SERVER % ALLOW, robot=robots[0], robots=robots)
    assert "runs on r2, for which the inventory has no IP address that other robots reach; set k8s4r_address of r2 to its IP" in found
    assert "IPv6" not in found


def test_a_robot_at_the_end_of_a_tunnel_has_what_nobody_calls_from_elsewhere():
    both = SERVER.replace("name: api,", f"name: api, {ON % 'r1'},", 1) % ALLOW
    assert compiled(caller(), both, robot=TUNNELS[0], robots=TUNNELS).plan["jobs"]
    assert compiled(SERVER % ALLOW, robot=TUNNELS[1], robots=TUNNELS).plan["jobs"]


NEW = Robot("r5", "192.0.2.5", addresses=("2001:db8::5",))


@pytest.mark.parametrize(("calls", "serves"), [("group", "host"), ("host", "group")], ids=["pods call", "pods serve"])
def test_a_robot_that_has_ipv6_alone_is_not_left_out_where_pods_have_ipv4_alone(calls, serves):
    job, server = caller().replace("network: {", f"network: {{mode: {calls}, "), SERVER % ALLOW
    server = server.replace("network: {", f"network: {{mode: {serves}, ")
    found = refusal(job, server, robot=HERE, robots=(HERE, THERE, NEW))
    why = "can only be reached over IPv4, and the inventory has only IPv6 addresses for r5; add an IPv4 address to k8s4r_address of r5"
    assert f'"default/shop/api/http" {why}' in found
    alone = refusal(job, server.replace("network:", f"{ON % 'r5'}, network:"), robot=HERE, robots=(HERE, NEW))
    assert why in alone
    assert "listens at" not in alone


def test_a_robot_that_has_ipv6_alone_is_reached_over_it():
    assert endpoints(HERE, NEW) == [["127.0.0.1"], ["2001:db8::5"]]


def test_a_service_at_the_loopback_of_other_robots():
    server = (SERVER % f"address: 127.0.0.1, {ALLOW}").replace("network:", f"{ON % 'r2'}, network:")
    found = refusal(caller(), server, robot=HERE, robots=(HERE, THERE))
    assert "listens at 127.0.0.1 of r2, which robot r1 does not reach; remove its `address`" in found


def test_each_service_has_rules_of_its_own_whatever_another_one_is_called():
    services = ", ".join(
        f"{{name: {name}, port: {port}, to: '127.0.0.1:80', protocol: http, allow: [{{job: front, group: {name}}}]}}"
        for name, port in (("grpc", 7000), ("grpc-requests", 7001), ("requests-grpc", 7002))
    )
    job = f"{{name: shop, taskGroups: [{{name: api, network: {{services: [{services}]}}}}]}}"
    (group,) = compiled(job).plan["jobs"][0]["groups"]
    files = [json.loads(each["content"]) for each in group["resources"] if "/allow-" in each.get("path", "")]
    found = [resource for file in files for resource in file["resources"]]
    assert len({resource["name"] for resource in found}) == len(found) == 6
    assert sorted(json.dumps(resource["typed_config"]["rules"]).count("group/grpc-requests") for resource in found) == [0, 0, 0, 0, 1, 1]
