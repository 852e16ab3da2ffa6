# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where an ingress leads, what it may not lead to, and its certificate."""

from __future__ import annotations

import dataclasses
import json

import pytest

from ansible_collections.k8s4r.robot.plugins.plugin_utils.compile.mesh.peers import known_services
from ansible_collections.k8s4r.robot.plugins.plugin_utils.compile.robot import compile_robot
from ansible_collections.k8s4r.robot.plugins.plugin_utils.fleet.placement import place
from ansible_collections.k8s4r.robot.plugins.plugin_utils.fleet.robots import Fleet, Robot
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.declare.keys import Secret
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.model.ingress import Pair
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.read import reader
from tests.unit.plugin_utils.compile.one_robot import ROBOT, TASKS, compiled, refusal

SERVER = "{name: shop, taskGroups: [{name: api, network: {services: [{name: http, port: 7000, to: '127.0.0.1:7001', %s}]}}]}"
ALLOW = "protocol: http, allow: [{job: edge, group: edge}]"
EDGE = "{name: edge, type: system, taskGroups: [{name: edge, network: {ingress: {port: %s, routes: [%s]}}}]}"
ROUTE = "{host: shop.example, service: shop/api/http}"


def edge(*routes: str, port: str = "8443") -> str:
    return EDGE % (port, ", ".join(routes or (ROUTE,)))


def files(plan) -> dict[str, dict]:
    """The files of the ingress's proxy, by name."""
    found = [each for job in plan["jobs"] for group in job["groups"] for each in group["resources"] if each["kind"] == "file"]
    inside = [each for each in found if "/edge-edge-" in each["path"] and "/proxy/" in each["path"]]
    return {each["path"].rpartition("/")[2]: each for each in inside}


def routes(*written: str) -> dict[str, list[str]]:
    """The paths of each host, in the order in which Envoy tries them."""
    plan = compiled(SERVER % ALLOW, edge(*written)).plan
    (table,) = json.loads(files(plan)["routes.json"]["content"])["resources"]
    return {
        host: [each["match"].get("path_separated_prefix") or each["match"]["prefix"] for each in found["routes"] if "route" in each]
        for found in table["virtual_hosts"]
        for host in found["domains"]
    }


def test_a_request_to_two_hosts_at_once_is_refused_before_any_route():
    plan = compiled(SERVER % ALLOW, edge("{host: shop.example, service: shop/api/http}", "{service: shop/api/http}")).plan
    (table,) = json.loads(files(plan)["routes.json"]["content"])["resources"]
    first = {found["name"]: found["routes"][0] for found in table["virtual_hosts"]}
    assert first["*"]["match"]["headers"] == [{"name": ":authority", "string_match": {"contains": ","}}]
    assert first["*"]["direct_response"] == {"status": 400}
    # What has a comma is no such host.
    assert "route" in first["shop.example"]


def test_the_longest_path_is_tried_first_and_hosts_are_lower_case():
    to = "service: shop/api/http}"
    found = routes(
        f"{{{to}", *(f"{{host: {host}, {to}" for host in ("Shop.Example, path: /a", "shop.example, path: /a/b/", "shop.example"))
    )
    assert found == {"*": ["/"], "shop.example": ["/a/b", "/a", "/"]}


def test_a_service_has_one_cluster_however_many_routes_lead_to_it():
    made = files(compiled(SERVER % ALLOW, edge(ROUTE, "{service: default/shop/api/http}")).plan)
    (cluster,) = json.loads(made["clusters.json"]["content"])["resources"]
    (endpoints,) = [name for name in made if name.startswith("endpoints-")]
    assert cluster["eds_cluster_config"]["eds_config"]["path_config_source"]["path"].endswith(f"/{endpoints}")
    peer = cluster["transport_socket"]["typed_config"]["common_tls_context"]["combined_validation_context"]["default_validation_context"]
    assert peer["match_typed_subject_alt_names"][0]["matcher"] == {"exact": "spiffe://fleet.example/ns/default/job/shop/group/api"}


def _removed(name: str) -> bool:
    """Whether a header of a request from outside is removed."""
    (listener,) = json.loads(files(compiled(SERVER % ALLOW, edge()).plan)["listeners.json"]["content"])["resources"]
    (manager,) = [
        each["typed_config"]
        for each in listener["filter_chains"][0]["filters"]
        if "early_header_mutation_extensions" in each["typed_config"]
    ]
    (early,) = manager["early_header_mutation_extensions"]
    mutations = early["typed_config"]["mutations"]
    prefixes = [each["remove_on_match"]["key_matcher"]["prefix"] for each in mutations if "remove_on_match" in each]
    return {"remove": name} in mutations or name.startswith(tuple(prefixes))


@pytest.mark.parametrize(
    "name",
    [
        *("proxy", "x-original-host", "x-host", "x-scheme", "cf-connecting-ip", "true-client-ip", "x-real-ip"),
        *("x-ssl-client-cert", "x-ssl-client-dn", "x-ssl-client-verify", "x-ssl-client-s-dn", "x-ssl-client-cn"),
        *("ssl-client-cert", "ssl-client-verify", "ssl-client-dn", "ssl-client-subject-dn"),
        *("remote-user", "remote-groups", "x-remote-user", "x-webauth-user", "x-webauth-email", "x-forwarded-user", "x-forwarded"),
        *("client-cert", "client-cert-chain", "x-ssl-cert", "x-arr-clientcert", "x-auth-request-email", "x-authenticated-user"),
        *("x-http-method-override", "x-originating-ip", "x-remote-addr", "x-forward-for"),
    ],
)
def test_what_programs_believe_of_a_client_is_no_word_of_the_client(name):
    assert _removed(name)


@pytest.mark.parametrize("name", ["host", "user-agent", "authorization", "cookie", "proxy-authorization", "x-request-id", "x-csrf-token"])
def test_what_a_client_may_say_goes_through(name):
    assert not _removed(name)


def test_a_group_that_is_only_an_ingress_has_a_port_and_an_identity():
    found = compiled(SERVER % ALLOW, edge(port="80"))
    (group,) = found.plan["jobs"][1]["groups"]
    assert [(port["address"], port["port"], port["where"]) for port in group["ports"]] == [
        ("::", 80, "job1.yml: taskGroups[0].network.ingress.port")
    ]
    assert "spiffe://fleet.example/ns/default/job/edge/group/edge" in [entry["spiffe_id"] for entry in found.entries]
    (unit,) = [each["content"] for each in group["resources"] if each.get("name", "").startswith("k8s4r-proxy-edge-")]
    assert "AmbientCapabilities=CAP_NET_BIND_SERVICE\n" in unit
    (above,) = [
        each["content"]
        for each in compiled(SERVER % ALLOW, edge()).plan["jobs"][1]["groups"][0]["resources"]
        if each.get("name", "").startswith("k8s4r-proxy-edge-")
    ]
    assert "AmbientCapabilities=\n" in above


@pytest.mark.parametrize(
    ("server", "route", "why"),
    [
        (
            ALLOW.replace("http", "tcp"),
            ROUTE,
            '"default/shop/api/http" is a tcp service, which knows neither host names nor paths; if it speaks HTTP, write protocol: http',
        ),
        (ALLOW, "{service: shop/apy/http}", 'neither a job of this run nor a robot has the inbound service "default/shop/apy/http"; '),
        (ALLOW, "{service: nobody/at/all}", 'deploy the job "default/nobody" first, or both together'),
        ("protocol: http, allow: [{group: api}]", ROUTE, "add {namespace: default, job: edge, group: edge} to the `allow` of that service"),
    ],
)
def test_a_service_that_it_cannot_lead_to(server, route, why):
    found = refusal(SERVER % server, edge(route))
    assert "job1.yml:1:" in found
    assert "taskGroups[0].network.ingress.routes[0].service: " in found
    assert why in found


def test_a_port_that_another_group_has_is_refused():
    other = f"{{name: other, taskGroups: [{{name: g, network: {{ports: [{{label: http, static: 8443}}]}}, {TASKS}}}]}}"
    assert "8443 on robot r1 is taken by job1.yml: taskGroups[0].network.ingress.port; choose another port" in refusal(
        SERVER % ALLOW, edge(), other
    )
    second = edge().replace("name: edge, ", "name: e2, ", 1)
    assert "is taken by job1.yml: taskGroups[0].network.ingress.port" in refusal(SERVER % ALLOW, edge(), second)


def in_pod(more: str = "", **ingress: object) -> str:
    """The same ingress in a pod, with more of its network."""
    written = _written(port=8443, **ingress)
    return edge().replace("network: {ingress: {port: 8443, ", f"network: {{mode: group, {more}ingress: {{{written}, ")


def _written(**keys: object) -> str:
    return ", ".join(f"{name}: '{value}'" if isinstance(value, str) else f"{name}: {value}" for name, value in keys.items())


def at(*jobs: str, robot: Robot = ROBOT) -> tuple[list[object], object, list[str]]:
    """Where a pod's ingress is published; where its proxy listens, by what the engine looks for, and by what Envoy is told."""
    (group,) = compiled(SERVER % ALLOW, *jobs, robot=robot).plan["jobs"][1]["groups"]
    (pod,) = [json.loads(each["content"]) for each in group["resources"] if each.get("path", "").startswith("/etc/k8s4r/pods/")]
    (unit,) = [each for each in group["resources"] if each.get("name", "").startswith("k8s4r-proxy-")]
    (listeners,) = [each["content"] for each in group["resources"] if each.get("path", "").endswith("/proxy-r0/listeners.json")]
    assert [(port["address"], port["port"], port["unit"]) for port in group["ports"]] == [
        (each["address"], each["port"], "") for each in pod["ports"]
    ]
    assert "AmbientCapabilities=\n" in unit["content"]
    told = json.loads(listeners)["resources"][0]["address"]["socket_address"]
    return pod["ports"], (told["address"], told["port_value"]), [f"{each['address']} {each['port']}" for each in unit["listens"]]


SIX = ROBOT._replace(pods6="fd4b:9a12:7c30::/64")


@pytest.mark.parametrize(
    ("ingress", "robot", "published", "inside"),
    [
        ({}, ROBOT, "0.0.0.0", "0.0.0.0"),
        ({}, SIX, "::", "::"),
        ({"address": "0.0.0.0"}, SIX, "0.0.0.0", "::"),
        # An address of the robot is none of the pod.
        ({"address": "192.0.2.1"}, ROBOT, "192.0.2.1", "0.0.0.0"),
        ({"address": "127.0.0.1"}, ROBOT, "127.0.0.1", "0.0.0.0"),
    ],
)
def test_in_a_pod_it_listens_there_and_is_published(ingress, robot, published, inside):
    found, told, listens = at(in_pod(**ingress), robot=robot)
    assert found == [{"address": published, "port": 8443, "to": 8443, "protocol": "tcp"}]
    assert (told, listens) == ((inside, 8443), [f"{inside} 8443"])


def test_in_a_pod_a_port_below_1024_needs_no_privilege():
    found, told, _listens = at(in_pod().replace("8443", "80"))
    assert (found[0]["port"], told) == (80, ("0.0.0.0", 80))


def test_a_port_of_a_pods_ingress_is_nobodys_else_on_the_robot_nor_in_the_pod():
    other = f"{{name: other, taskGroups: [{{name: g, network: {{ports: [{{label: http, static: 8443}}]}}, {TASKS}}}]}}"
    assert "8443 on robot r1 is taken by job1.yml: taskGroups[0].network.ingress.port; choose another port" in refusal(
        SERVER % ALLOW, in_pod(), other
    )
    assert "network.ports[0].to: found 8443: taskGroups[0].network.ingress.port already uses this port in the pod" in refusal(
        SERVER % ALLOW, in_pod("ports: [{label: x, to: 8443}], ")
    )
    # At two addresses of the robot, and at one port of the pod.
    service = "services: [{name: s, port: 8443, to: '127.0.0.1:1', address: 192.0.2.2}], "
    assert "network.ingress.port: found 8443: taskGroups[0].network.services[0].port already uses this port" in refusal(
        SERVER % ALLOW, in_pod(service, address="192.0.2.1")
    )
    two = in_pod().replace("type: system, ", "").replace("{name: edge, network", "{name: edge, count: 2, network")
    alone = "only one can have port 8443; lower count so that a robot has one instance"
    assert f"network.ingress.port: robot r1 has 2 instances, and {alone}" in refusal(SERVER % ALLOW, two)


def test_a_port_that_is_chosen_is_not_that_of_its_pods_ingress():
    def chosen(number: int) -> int:
        text = in_pod("ports: [{label: x, hostIP: 192.0.2.2}], ", address="192.0.2.1").replace("8443", str(number))
        found, _told, _listens = at(text.replace("edge, network", f"edge, {TASKS}, network"))
        (port,) = [each for each in found if each["address"] == "192.0.2.2"]
        assert port["port"] == port["to"]
        return port["port"]

    assert chosen(chosen(8443)) == chosen(8443) + 1


TLS = EDGE.replace("port: %s", "port: 443, tls: {certFile: a.crt, keyFile: a.key}") % ROUTE


def test_a_certificate_that_was_not_read_is_never_plaintext():
    assert "taskGroups[0].network.ingress.tls: its files have not been read" in refusal(SERVER % ALLOW, TLS)


def test_the_key_is_in_one_secret_file_of_the_proxys_user():
    jobs, _warnings = reader.load([reader.Source("a.yml", SERVER % ALLOW), reader.Source("b.yml", TLS)])
    group = jobs[1].task_groups[0]
    tls = dataclasses.replace(group.network.ingress.tls, pair=Pair("the chain\n", Secret("the key\n")))
    network = dataclasses.replace(group.network, ingress=dataclasses.replace(group.network.ingress, tls=tls))
    jobs = [jobs[0], dataclasses.replace(jobs[1], task_groups=(dataclasses.replace(group, network=network),))]
    fleet = Fleet((Robot("r1", "192.0.2.1"),), "fleet.example")
    placement = place(jobs, fleet)
    found = compile_robot(jobs, fleet, placement, "r1", known_services(jobs, fleet, placement)).plan
    (edge_group,) = found["jobs"][1]["groups"]
    made = files(found)
    (secret,) = [name for name, file in made.items() if "the key" in file["content"]]
    assert secret == "certificate.json"
    assert (made[secret]["secret"], made[secret]["mode"], made[secret]["owner"]) == (True, "0640", "root")
    assert made[secret]["group"].startswith("k8s4r-p-edge-edge-")
    assert edge_group["secrets"] == ["the key\n"]
    assert "the key" not in json.dumps(edge_group["checks"])
    listener = json.loads(made["listeners.json"]["content"])["resources"][0]["filter_chains"][0]
    shown = listener["transport_socket"]["typed_config"]["common_tls_context"]["tls_certificate_sds_secret_configs"]
    assert shown[0]["sds_config"]["path_config_source"]["path"].endswith("/proxy/certificate.json")
    order = [each["path"].rpartition("/")[2] for each in edge_group["resources"] if "/proxy/" in each.get("path", "")]
    assert order.index("clusters.json") < order.index("routes.json") < order.index("listeners.json")
    assert order.index("certificate.json") < order.index("listeners.json")
