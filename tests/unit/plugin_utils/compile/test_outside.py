# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Callers and services of jobs that are not in a run, as robots' ledgers have them."""

from __future__ import annotations

import hashlib
import pathlib

import pytest

from ansible_collections.k8s4r.robot.plugins.module_utils._engine.mesh import known
from ansible_collections.k8s4r.robot.plugins.plugin_utils.compile.mesh import outside
from ansible_collections.k8s4r.robot.plugins.plugin_utils.fleet.robots import Fleet, Robot
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.errors import JobErrors
from ansible_collections.k8s4r.robot.plugins.plugin_utils.run import anywhere

from .deployed import Deployed, read, renderer

FLEET = Fleet(tuple(Robot(f"r{number}", f"192.0.2.{number}", dns="k8s4r.internal") for number in (1, 2, 3)), trust_domain="fleet.example")
ALL = {robot.name for robot in FLEET.robots}
TASKS = "tasks: [{name: app, config: {execConfig: {command: app}}}]"
ON = "constraints: [{lTarget: '${node.unique.name}', operand: regexp, rTarget: '^(%s)$'}]"
FRONT = f"{{name: front, taskGroups: [{{name: web, {ON % 'r1'}, network: {{MODEupstreams: [UPSTREAM]}}, {TASKS}}}]}}"
UPSTREAM = "{name: api, localPort: 9000, service: shop/api/http}"
EDGE = (
    f"{{name: edge, taskGroups: [{{name: web, {ON % 'r1'}, network: {{ingress: {{port: 8080, tls: {{mode: none}}, routes: [ROUTE]}}}}}}]}}"
)
ROUTE = "{host: a.example.org, service: shop/api/http}"
ALLOWED = "{job: front, group: web}, {job: edge, group: web}"
FILE = "endpoints-upstream-"


def front(mode: str = "", upstream: str = UPSTREAM) -> str:
    return FRONT.replace("MODE", f"mode: {mode}, " if mode else "").replace("UPSTREAM", upstream)


def shop(robots: str = "r2", allowed: str = ALLOWED, more: str = "", name: str = "http", port: int = 7000) -> str:
    service = f"{{name: {name}, port: {port}, to: '127.0.0.1:80', protocol: http, allow: [{allowed}]{more}}}"
    return f"{{name: shop, type: system, taskGroups: [{{name: api, {ON % robots}, network: {{services: [{service}]}}}}]}}"


@pytest.fixture
def fleet(tmp_path):
    return Deployed(tmp_path, FLEET)


def files(opened, robot="r1"):
    """The files with endpoints and names, by path."""
    resources = [each for job in opened[robot]["plan"]["jobs"] for group in job["groups"] for each in group["resources"]]
    return {each["path"]: each["content"] for each in resources if each.get("follows")}


@pytest.mark.parametrize("caller", [front(), front("group"), EDGE.replace("ROUTE", ROUTE)])
def test_a_caller_that_comes_later_is_as_if_it_had_come_with_the_service(fleet, tmp_path, caller):
    together, _warnings = Deployed(tmp_path / "other", FLEET).deploy(shop("r2|r3"), caller)
    fleet.deploy(shop("r2|r3"))
    alone, _warnings = fleet.deploy(caller)
    (job,) = alone["r1"]["plan"]["jobs"]
    assert job in together["r1"]["plan"]["jobs"]
    assert all("192.0.2.2" in text and "192.0.2.3" in text for text in files(alone).values())


@pytest.mark.parametrize("caller", [front(), front("group"), EDGE.replace("ROUTE", ROUTE)])
def test_a_service_that_moves_is_told_to_callers_that_are_not_in_the_run(fleet, tmp_path, caller):
    fleet.deploy(shop("r2"), caller)
    moved, warnings = fleet.deploy(shop("r1|r3"))
    together, _warnings = Deployed(tmp_path / "other", FLEET).deploy(shop("r1|r3"), caller)
    assert warnings == []
    assert {name: [tell["path"] for tell in each["tells"]] for name, each in moved.items() if name != "r1"} == {"r2": [], "r3": []}
    wanted = {path: text for path, text in files(together).items() if "/shop-api" not in path}
    assert {tell["path"]: tell["content"] for tell in moved["r1"]["tells"]} == wanted
    assert any(FILE in path or "endpoints-ingress-" in path for path in wanted)


def test_who_knows_already_is_told_nothing(fleet):
    fleet.deploy(shop("r2"), front())
    again, warnings = fleet.deploy(shop("r2"))
    assert warnings == []
    assert not any(each["tells"] for each in again.values())


def test_a_caller_in_the_run_is_told_by_its_own_plan(fleet):
    fleet.deploy(shop("r2"), front())
    both, _warnings = fleet.deploy(shop("r3"), front())
    assert not any(each["tells"] for each in both.values())


def test_whoever_is_not_reached_keeps_what_it_knows_and_is_named(fleet):
    fleet.deploy(shop("r2"), front())
    moved, (warning,) = fleet.deploy(shop("r3"), reached=("r2", "r3"))
    assert not any(each["tells"] for each in moved.values())
    assert (
        'default/front/web on r1 calls "default/shop/api/http", and keeps the endpoints that it has: this run does not reach it' in warning
    )


def test_what_a_robot_that_is_not_reached_serves_is_known(fleet):
    fleet.deploy(shop("r2|r3"))
    alone, _warnings = fleet.deploy(front(), reached=("r1",))
    assert all("192.0.2.2" in text and "192.0.2.3" in text for text in files(alone).values())


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        (shop(name="page"), 'which this run takes away; deploy the job "default/front" without'),
        (
            shop(allowed="{job: edge, group: web}"),
            "which does not let it in: it is not in its `allow`; add {namespace: default, job: front, group: web} to its `allow`",
        ),
        (
            shop().replace("protocol: http", "protocol: grpc"),
            'whose protocol becomes grpc; its upstream must have that, too, or tcp; deploy the job "default/front" with that',
        ),
        (shop(more=", address: 127.0.0.1"), "which listens at 127.0.0.1 of r2, which robot r1 does not reach; remove its `address`"),
    ],
)
def test_who_can_no_longer_call_is_named(fleet, changed, why):
    fleet.deploy(shop(), front())
    _plans, (warning,) = fleet.deploy(changed)
    assert f'shop.yml: default/front/web on r1 calls "default/shop/api/http", {why}' in warning


@pytest.mark.parametrize(
    ("protocol", "why", "again"),
    [
        ("grpc", 'whose protocol becomes grpc, and still speaks the former one; deploy the job "default/edge", too', 0),
        (
            "tcp",
            'which is a tcp service now, and no route may lead to one; deploy the job "default/edge" without that upstream or route',
            1,
        ),
    ],
)
def test_an_ingress_before_a_service_that_gets_another_protocol_is_named(fleet, protocol, why, again):
    fleet.deploy(shop(), EDGE.replace("ROUTE", ROUTE))
    _plans, (warning,) = fleet.deploy(shop().replace("protocol: http", f"protocol: {protocol}"))
    assert f'shop.yml: default/edge/web on r1 calls "default/shop/api/http", {why}' in warning
    assert len(fleet.deploy(shop().replace("protocol: http", f"protocol: {protocol}"))[1]) == again


def test_what_is_not_known_to_speak_anything_is_taken_to_speak_what_its_callers_do():
    upstream = UPSTREAM.replace("}", ", protocol: grpc}")
    jobs = read(front(upstream=upstream))
    (served,) = outside.as_if_there(jobs, FLEET)["r1"]["serves"]
    assert (served["name"], served["terms"]["protocol"]) == ("default/shop/api/http", "grpc")


def test_a_caller_that_carries_whatever_is_spoken_is_not_bothered(fleet):
    fleet.deploy(shop(), front(upstream=UPSTREAM.replace("}", ", protocol: http}")))
    assert fleet.deploy(shop().replace("protocol: http", "protocol: tcp"))[1] == []


@pytest.mark.parametrize(
    ("own", "its", "passes"), [("http", "grpc", False), ("grpc", "http", False), ("tcp", "grpc", True), ("grpc", "tcp", True)]
)
def test_an_upstream_of_http_does_not_lead_to_a_service_of_grpc_in_silence(fleet, own, its, passes):
    upstream = UPSTREAM.replace("}", f", protocol: {own}}}")
    _plans, warnings = fleet.deploy(shop().replace("protocol: http", f"protocol: {its}"), front(upstream=upstream))
    said = f'found {own}, and "default/shop/api/http" is a service of {its}: calls of gRPC do not pass; write protocol: {its}, or change'
    assert [said in warning for warning in warnings] == [True] * (not passes)


def test_pods_with_addresses_of_a_former_range_are_not_told_of_their_robot_in_the_new_one(fleet):
    fleet.deploy(shop("r1|r2"), front("group"))
    robots = tuple(robot._replace(pods="10.213.64.0/20") if robot.name == "r1" else robot for robot in FLEET.robots)
    fleet.fleet = FLEET._replace(robots=robots)
    told, warnings = fleet.deploy(shop("r1|r2|r3"))
    assert told["r1"]["tells"] == []
    (warning,) = warnings
    assert warning == (
        'shop.yml: default/front/web on r1 calls "default/shop/api/http", and keeps the endpoints that it has: its pods have addresses of '
        'the former k8s4r_pod_cidr; deploy the job "default/front", too'
    )
    assert fleet.deploy(front("group"))[1] == []
    told, warnings = fleet.deploy(shop("r1|r2"))
    assert (warnings, ["10.213.64.1" in each["content"] for each in told["r1"]["tells"]]) == ([], [True, True])


def test_who_calls_a_job_that_is_removed_is_named(fleet):
    fleet.deploy(shop(), front())
    assert outside.deployed(fleet.said()) == {("default", "shop"), ("default", "front")}
    (warning,) = map(str, outside.orphans(["default/shop"], FLEET, fleet.said(), ALL))
    assert 'default/shop: default/front/web on r1 calls "default/shop/api/http", which this run takes away' in warning
    assert outside.orphans(["default/shop", "default/front"], FLEET, fleet.said(), ALL) == []
    # Where the run reaches not all robots, the job may stay on one that calls, or on one that serves.
    (warning,) = map(str, outside.orphans(["default/shop", "default/front"], FLEET, fleet.said(), {"r2", "r3"}))
    assert warning.endswith('default/front/web on r1 calls "default/shop/api/http", which this run takes away; remove the job there, too')
    assert outside.orphans(["default/shop"], FLEET, fleet.said(), {"r1"}) == []
    without = {robot: {**known, "serves": []} for robot, known in fleet.said().items()}
    assert outside.orphans(["default/shop"], FLEET, without, ALL) == []


TEMPLATE = '{destPath: local/a, provider: PROVIDER, embeddedTmpl: "A={{ range service `http` }}{{ .Address }}{{ end }}"KEYS}'
READER = (
    f"{{name: front, type: system, taskGroups: [{{name: web, {ON % 'r1'}, {TASKS.replace('app,', 'app, templates: [TEMPLATE],', 1)}}}]}}"
)


def reader_of(keys: str = "") -> str:
    return READER.replace("TEMPLATE", TEMPLATE.replace("KEYS", keys).replace("PROVIDER", "nomad"))


def offers(robots: str, name: str = "http", count: int = 1) -> str:
    service = f"services: [{{name: {name}, portLabel: http}}]"
    network = "network: {ports: [{label: http}]}"
    return (
        f"{{name: shop, taskGroups: [{{name: api, count: {count}, {ON % robots}, {network}, "
        f"{TASKS.replace('app,', f'app, {service},', 1)}}}]}}"
    )


@pytest.mark.parametrize("keys", ["", ", env: true"])
def test_a_template_with_a_service_as_it_no_longer_is_is_named(fleet, keys):
    """Until its own job runs together with the service's."""
    reads = reader_of(keys)
    assert fleet.deploy(offers("r2"), reads)[1] == []
    assert fleet.deploy(offers("r2"))[1] == []
    for _again in range(2):
        moved, (warning,) = fleet.deploy(offers("r3"))
        assert not any(each["tells"] for each in moved.values())
        assert warning == (
            'shop.yml: default/front/web on r1 has a template with "default/shop/api/http" as it was: only a run of its own job renders it '
            'again; deploy the job "default/front" together with this one'
        )
    assert fleet.deploy(offers("r3"), reads)[1] == []
    assert fleet.deploy(offers("r3"))[1] == []
    away = (
        'default/front/web on r1 has "default/shop/api/http" in a template, which this run takes away; '
        'deploy the job "default/front" without it'
    )
    assert fleet.deploy(offers("r3", name="other"))[1] == [f"shop.yml: {away}"]
    assert list(map(str, outside.orphans(["default/shop"], FLEET, fleet.said(), ALL))) == [f"default/shop: {away}"]


def texts(opened, robot="r1"):
    """The templates, by path, with what went into them."""
    resources = [each for job in opened[robot]["plan"]["jobs"] for group in job["groups"] for each in group["resources"]]
    return {each["path"]: (each["content"], each["saw"]) for each in resources if each.get("saw")}


def test_a_template_that_comes_later_is_as_if_it_had_come_with_the_service(fleet, tmp_path):
    together, _warnings = Deployed(tmp_path / "other", FLEET).deploy(offers("r2|r3", count=4), reader_of())
    fleet.deploy(offers("r2|r3", count=4))
    alone, _warnings = fleet.deploy(reader_of())
    assert texts(alone) == texts(together)
    assert [text for text, _saw in texts(alone).values()] == ["A=192.0.2.2192.0.2.2192.0.2.3192.0.2.3"]
    # And when it has moved, until its own job runs once more.
    assert "has a template with" in str(fleet.deploy(offers("r3"))[1])
    moved, warnings = fleet.deploy(reader_of())
    assert (warnings, [text for text, _saw in texts(moved).values()]) == ([], ["A=192.0.2.3"])
    assert fleet.deploy(offers("r3"))[1] == []


def test_what_robots_no_longer_have_is_not_found(fleet):
    fleet.deploy(offers("r2"))
    fleet.deploy(offers("r2", name="other"))
    refused = refusal(fleet, reader_of())
    assert 'no task of this run has the service "http", nor has one that robots run (for r1); there are: other' in refused


def test_without_an_inventory_any_service_of_a_template_may_be_somewhere():
    render = renderer()
    assert anywhere.check(read(reader_of()), render) == []
    assert outside.asks(read(reader_of()))
    assert outside.concerns(read(reader_of()), {})


def refusal(fleet, *texts):
    with pytest.raises(JobErrors) as raised:
        fleet.deploy(*texts)
    return str(raised.value)


def test_a_caller_alone_is_refused_what_it_may_not_have(fleet):
    fleet.deploy(shop(allowed="{job: edge, group: web}"))
    assert "is not among them; add {namespace: default, job: front, group: web} to the `allow` of that service" in refusal(fleet, front())
    found = refusal(fleet, front(upstream=UPSTREAM.replace("/http", "/htpp")))
    assert (
        'neither a job of this run nor a robot has the inbound service "default/shop/api/htpp"; that job has default/shop/api/http' in found
    )


def test_robots_that_have_a_service_at_several_ports_are_named(fleet):
    fleet.deploy(shop("r2"))
    fleet.deploy(shop("r3", port=7001), reached=("r3",))
    found = refusal(fleet, front())
    assert '"default/shop/api/http" is at :: port 7000 on r2 and :: port 7001 on r3; deploy its job to all of them first, or ' in found
    fleet.deploy(shop("r3").replace("protocol: http", "protocol: grpc"), reached=("r3",))
    assert "is at :: port 7000 (http) on r2 and :: port 7000 (grpc) on r3; deploy its job to all" in refusal(fleet, front())


@pytest.mark.parametrize(
    ("changed", "elsewhere"),
    [
        (("port: 7000", "port: 7001"), True),
        (("port: 7000", "port: 7000, address: 0.0.0.0"), True),
        (("network: {", "network: {mode: group, "), True),
        (("127.0.0.1:80", "127.0.0.1:81"), False),
        (("allow: [", "allow: [{job: more, group: web}, "), False),
    ],
    ids=["another port", "another address", "in pods", "another program", "more callers"],
)
def test_robots_that_have_a_service_where_it_will_not_be_any_more_are_known(fleet, changed, elsewhere):
    fleet.deploy(shop("r2|r3"), front())
    found = ["default/shop/api/http"]
    jobs = read(shop("r2|r3").replace(*changed), front())
    assert outside.outdated(jobs, fleet.said()) == ({"r2": found, "r3": found} if elsewhere else {})
    fleet.deploy(shop("r2|r3").replace(*changed), reached=("r2",))
    assert outside.outdated(jobs, fleet.said()) == ({"r3": found} if elsewhere else {})


def test_what_a_task_offers_is_no_such_service(fleet):
    """Even if it has the same name."""
    network = "network: {ports: [{label: http}], services: [{name: http, port: 7000, to: http, protocol: http}]"
    text = offers("r2").replace("network: {ports: [{label: http}]", network)
    fleet.deploy(text)
    assert len(fleet.said()["r2"]["serves"]) == 2
    assert outside.outdated(read(text), fleet.said()) == {}


def test_whom_one_robot_does_not_let_in_yet_is_not_let_in(fleet):
    fleet.deploy(shop("r2", allowed="{job: edge, group: web}"))
    fleet.deploy(shop("r3"), reached=("r3",))
    # It may have been off when the other one got this `allow`: who reads this has written it already.
    found = refusal(fleet, front())
    assert (
        '"default/shop/api/http" does not let in spiffe://fleet.example/ns/default/job/front/group/web on r2, where its job was deployed '
        "with another `allow` than elsewhere; deploy its job to r2 first, or deploy both together: the run needs the file of the job "
        '"default/shop", too' in found
    )
    assert "add {" not in found
    assert "on r2, where" in refusal(fleet, EDGE.replace("ROUTE", ROUTE).replace("edge", "front"))
    # With the service's job in the run, what such a robot has of it does not matter.
    assert fleet.deploy(shop("r2|r3"), front(), reached=("r1", "r3"))[1] == []


def test_without_an_inventory_it_is_not_known_who_serves():
    assert anywhere.check(read(front())) == []
    assert outside.wanted(read(front())) == {"default/shop/api/http"} == outside.wanted(read(EDGE.replace("ROUTE", ROUTE)))
    assert outside.wanted(read(front(), shop())) == set()


def test_robots_are_asked_only_where_it_matters(fleet):
    lonely = f"{{name: lonely, taskGroups: [{{name: web, {TASKS}}}]}}"
    assert not outside.concerns(read(lonely), {})
    assert all(outside.concerns(read(text), {}) for text in (front(), shop(), EDGE.replace("ROUTE", ROUTE)))
    fleet.deploy(shop(), front())
    # It served somebody once.
    assert outside.concerns(read(lonely.replace("lonely", "shop")), fleet.said())
    assert not outside.concerns(read(lonely), fleet.said())


def test_what_is_known_has_a_digest_that_follows_the_ledger(fleet):
    machine = fleet.machines["r1"]
    assert known.digest(machine) == known.of(machine)["digest"] == ""
    fleet.deploy(shop("r2"), front())
    first = known.digest(machine)
    assert first
    assert first == known.of(machine)["digest"] == known.digest(machine)
    fleet.deploy(shop("r3"), front())
    assert known.digest(machine) == known.of(machine)["digest"] != first
    (call,) = [each for each in known.of(machine)["calls"] if FILE in each["path"]]
    resource = next(
        each for group in machine.ledger.read()[0][0]["groups"].values() for each in group["resources"] if each.get("path") == call["path"]
    )
    assert call["sha256"] == hashlib.sha256(machine.store.read(resource["digest"])).hexdigest()


def test_another_engine_reads_the_ledger_itself(fleet, monkeypatch):
    machine = fleet.machines["r2"]
    fleet.deploy(shop("r2"))
    true = known.digest(machine)
    kept = pathlib.Path(machine.runtime, "mesh.json")
    kept.write_text(kept.read_text().replace(true, "other"))
    assert known.digest(machine) == "other"
    monkeypatch.setattr(known.own, "engine_home", lambda: "/var/lib/k8s4r/engine/newer")
    assert known.digest(machine) == true
