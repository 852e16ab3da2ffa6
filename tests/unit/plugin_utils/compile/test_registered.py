# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Services in Consul: what its agent is told of each instance, and what it cannot do."""

from __future__ import annotations

import json

import pytest

from .one_robot import compiled, refusal

WEB = {"name": "web", "portLabel": "http", "provider": "consul", "tags": ["blue"]}


def job(service, count=1, mode="host", **port):
    task = {"name": "app", "config": {"execConfig": {"command": "app"}}, "services": [{**WEB, **service}]}
    network = {"mode": mode, "ports": [{"label": "http", **port}]}
    return json.dumps({"name": "shop", "taskGroups": [{"name": "api", "count": count, "network": network, "tasks": [task]}]})


def definitions(*arguments, **more):
    (group,) = compiled(job(*arguments, **more)).plan["jobs"][0]["groups"]
    files = [each for each in group["resources"] if each.get("path", "").startswith("/etc/k8s4r/consul/")]
    return [json.loads(each["content"])["service"] for each in files]


def test_each_instance_has_a_definition_with_its_port_at_the_agents_address():
    first, second = definitions({}, count=2)
    assert first["id"] != second["id"]
    assert first["port"] != second["port"]
    assert (first["name"], first["tags"], first["meta"]["group"], "address" in first) == ("web", ["blue"], "api", False)


@pytest.mark.parametrize(
    ("host", "address", "checked"),
    [(None, None, "127.0.0.1"), ("192.0.2.7", "192.0.2.7", "192.0.2.7"), ("127.0.0.1", "127.0.0.1", "127.0.0.1"), ("::", None, "[::1]")],
)
def test_it_is_found_and_checked_where_it_listens(host, address, checked):
    checks = [{"name": "up", "type": "tcp", "interval": "5s"}]
    (found,) = definitions({"checks": checks}, static=8080, **({"hostIP": host} if host else {}))
    assert found.get("address") == address
    (check,) = found["checks"]
    assert (check["tcp"], check["interval"], check["status"]) == (f"{checked}:8080", "5s", "critical")


def test_a_service_is_the_same_one_when_another_goes():
    def ids(*services):
        task = {"name": "app", "config": {"execConfig": {"command": "app"}}, "services": [{**WEB, "name": name} for name in services]}
        network = {"ports": [{"label": "http"}]}
        text = json.dumps({"name": "shop", "taskGroups": [{"name": "api", "network": network, "tasks": [task]}]})
        (group,) = compiled(text).plan["jobs"][0]["groups"]
        files = [each for each in group["resources"] if each.get("path", "").startswith("/etc/k8s4r/consul/")]
        return {json.loads(each["content"])["service"]["id"]: each["path"] for each in files}

    both = ids("a", "b")
    (other,) = ids("b").items()
    assert other in both.items()
    assert len(both) == len(ids("a", "a")) == len({*both.values()}) == 2


INBOUND = {"name": "rpc", "port": 7000, "to": "http", "protocol": "http", "allow": [{"group": "api"}]}


def proxied(check, mode="host"):
    service = {**WEB, "portLabel": "rpc", "checks": [{"name": "up", **check}]}
    task = {"name": "app", "config": {"execConfig": {"command": "app"}}, "services": [service]}
    network = {"mode": mode, "ports": [{"label": "http"}], "services": [INBOUND]}
    return json.dumps({"name": "shop", "taskGroups": [{"name": "api", "network": network, "tasks": [task]}]})


@pytest.mark.parametrize("mode", ["host", "group"])
def test_a_port_of_the_proxy_is_checked_by_a_connection_alone(mode):
    (group,) = compiled(proxied({"type": "tcp"}, mode)).plan["jobs"][0]["groups"]
    (file,) = [each for each in group["resources"] if each.get("path", "").startswith("/etc/k8s4r/consul/")]
    (check,) = json.loads(file["content"])["service"]["checks"]
    assert check["tcp"] in {"host": ("[::1]:7000", "127.0.0.1:7000"), "group": ("127.0.0.1:7000",)}[mode]
    found = refusal(proxied({"type": "http"}, mode))
    assert "checks[0].type: Consul checks the port of the proxy, which answers only other proxies; write tcp, or give the service" in found


def test_an_address_that_only_the_robot_itself_reaches_is_warned_of():
    warned = [str(each) for each in compiled(job({}, hostIP="127.0.0.1")).warnings]
    assert any(
        "services[0].portLabel: is registered at 127.0.0.1, where only programs on its own robot reach it" in each for each in warned
    )
    assert not [each for each in compiled(job({})).warnings if "is registered" in str(each)]


def test_in_a_pod_it_is_found_at_the_robot_and_checked_at_the_pod():
    checks = [{"name": "up", "type": "http", "path": "/health", "protocol": "https", "tlsSkipVerify": True}]
    (found,) = definitions({"checks": checks}, mode="group", static=20100, to=80)
    assert found["port"] == 20100
    assert found["checks"][0]["http"].startswith("https://172.26.")
    assert found["checks"][0]["http"].endswith(":80/health")
    assert found["checks"][0]["tls_skip_verify"] is True


def test_the_agent_is_expected_once_and_only_where_it_is_needed():
    (group,) = compiled(job({}, count=2)).plan["jobs"][0]["groups"]
    assert [each["name"] for each in group["expects"] if each["what"] == "consul"] == ["services"]
    (group,) = compiled(job({"provider": "native"})).plan["jobs"][0]["groups"]
    assert [each for each in group["expects"] if each["what"] == "consul"] == []


@pytest.mark.parametrize(
    ("check", "said"),
    [
        ({"type": "script", "command": "/bin/true"}, "type: Consul does not run scripts as the task"),
        ({"type": "http", "expect": "ok"}, "expect: not every version of Consul can do that"),
        ({"type": "http", "headers": {"X-A": "b"}}, "headers: not every version of Consul can do that"),
    ],
)
def test_what_consul_does_not_do_is_refused(check, said):
    assert f"services[0].checks[0].{said}" in refusal(job({"checks": [{"name": "up", **check}]}))


def test_a_port_that_is_none_is_refused():
    assert 'services[0].portLabel: "other" is no port of the group' in refusal(job({"portLabel": "other"}))
