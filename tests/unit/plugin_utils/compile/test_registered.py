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
        ({"type": "http", "expect": "ok"}, "expect: not every Consul can do that"),
        ({"type": "http", "headers": {"X-A": "b"}}, "headers: not every Consul can do that"),
    ],
)
def test_what_consul_does_not_do_is_refused(check, said):
    assert f"services[0].checks[0].{said}" in refusal(job({"checks": [{"name": "up", **check}]}))


def test_a_port_that_is_none_is_refused():
    assert 'services[0].portLabel: "other" is no port of the group' in refusal(job({"portLabel": "other"}))
