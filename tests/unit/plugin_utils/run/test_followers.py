# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose endpoints change after the services have switched, and which robots they wait for."""

from __future__ import annotations

import json

import pytest

from ansible_collections.k8s4r.robot.plugins.plugin_utils.run.followers import callers, followers, unready

API, HTTP = "default/shop/api", "default/shop/api/http"
PLACED = {API: {"b": [0], "c": [1]}}
ADDRESSES = {"b": ("192.0.2.2", "2001:db8::2"), "c": ("192.0.2.3",)}
PATH = "/etc/k8s4r/groups/front/proxy/endpoints-upstream-api.json"
OWN = "/etc/k8s4r/groups/api/proxy/endpoints-service-http.json"


def follows(*hosts, group="default/shop/front", path=PATH, **more):
    before = {"resources": [{"endpoints": [{"address": {"socket_address": {"address": host, "port_value": 1}}} for host in hosts]}]}
    return {"follows": {path: {"group": group, "follows": HTTP, "before": json.dumps(before)}}, **more}


def own(**more):
    return follows("127.0.0.1", group=API, path=OWN, **more)


def after(answers, path=PATH):
    return {robot: files[path]["after"] for robot, files in followers(answers, PLACED, ADDRESSES).items()}


def test_a_caller_waits_for_all_robots_of_the_run_that_serve():
    assert after({"a": follows("192.0.2.2"), "b": {}, "c": {}}) == {"a": ["b", "c"]}


@pytest.mark.parametrize(("known", "waits"), [(("192.0.2.2",), ["c"]), (("2001:db8::2",), ["c"]), (("192.0.2.3",), ["b", "c"])])
def test_a_robot_that_is_not_reached_is_waited_for_only_if_the_caller_does_not_know_it_yet(known, waits):
    assert after({"a": follows(*known), "c": {}}) == {"a": waits}


@pytest.mark.parametrize(
    ("outdated", "reached", "off", "waits"),
    [
        ("bcd", "", "", "bcd"),
        ("bcd", "b", "", "bcd"),
        ("bcd", "bc", "", "bc"),
        # Robots that are off have it at neither port. The others are lost at one, or at the other.
        ("bcd", "b", "d", "b"),
        ("bcd", "b", "cd", "b"),
        ("bcd", "", "bcd", "bcd"),
        # The others have switched in an earlier run.
        ("bd", "", "", "bd"),
        ("b", "", "", ""),
    ],
)
def test_a_caller_keeps_the_port_that_most_robots_have_after_the_run(outdated, reached, off, waits):
    addresses = {name: (f"192.0.2.{number}",) for number, name in enumerate("bcd")}
    answers = {"a": follows(*(at for (at,) in addresses.values())), **{name: {} for name in reached}}
    at_old_port = {name: [HTTP] for name in outdated}
    found = followers(answers, {API: {name: [0] for name in "bcd"}}, addresses, {}, at_old_port, off)
    assert found["a"][PATH]["after"] == list(waits)


def test_a_robot_that_has_another_service_elsewhere_is_not_waited_for():
    found = followers({"a": follows("192.0.2.2")}, PLACED, {**ADDRESSES, "c": ADDRESSES["b"]}, {}, {"b": ["default/shop/api/other"]})
    assert found["a"][PATH]["after"] == []


def test_a_file_with_several_services_waits_for_the_robots_of_all():
    answer = follows("192.0.2.2")
    answer["follows"][PATH]["follows"] = f"{HTTP} default/lamp/light/on"
    placed = {**PLACED, "default/lamp/light": {"d": [0]}}
    found = followers({"a": answer, "b": {}, "c": {}, "d": {}}, placed, ADDRESSES)
    assert found["a"][PATH] == {"group": "default/shop/front", "services": [HTTP, "default/lamp/light/on"], "after": ["b", "c", "d"]}
    assert callers("d", {"name": "default/lamp/light", "whole": True}, found) == ["a"]


@pytest.mark.parametrize(
    ("answers", "waits"),
    [({}, ["d"]), ({"d": {}}, []), ({"a": follows("192.0.2.9")}, [])],
    ids=["it is off", "it has answered", "the file does not have it"],
)
def test_of_a_job_that_is_not_in_the_run_a_robot_that_was_never_heard_keeps_its_endpoints(answers, waits):
    found = followers({"a": follows("192.0.2.4", "192.0.2.3"), **answers}, {}, {}, {"d": ("192.0.2.4",), "e": ("192.0.2.5",)})
    assert found["a"][PATH]["after"] == waits


def test_what_serves_in_the_run_is_known():
    found = followers({"a": follows("192.0.2.4")}, {API: {"a": [0]}}, {}, {"d": ("192.0.2.4",)})
    assert found["a"][PATH]["after"] == ["a"]


def test_a_file_that_somebody_has_written_into_names_nobody():
    for text in ("{", "[" * 200000):
        damaged = {"follows": {PATH: {"group": "default/shop/front", "follows": HTTP, "before": text}}}
        assert after({"a": damaged}) == {"a": ["b", "c"]}


NEW = {"summary": [{"group": API, "unit": "r2 app", "does": "new", "why": []}]}
LESS = {"goes": {"id": {"name": API, "whole": False, "units": ["r2 app"], "data": 0}}}
MOVES = {"goes": {"id": {"name": API, "whole": False, "units": ["r1 app"], "data": 0}}}
RESTART = {"summary": [{"group": API, "unit": "r0 app", "does": "restart", "why": []}]}


@pytest.mark.parametrize("c", [{"c": {}}, {}], ids=["others answer", "others are off"])
@pytest.mark.parametrize(
    ("change", "waits"),
    [(NEW, {"b": ["b"]}), (LESS, {"b": ["b"]}), (MOVES, {"b": ["b", "c"]}), (RESTART, {})],
    ids=["one more", "one less", "one moves", "the same"],
)
def test_the_proxy_of_a_service_waits_for_the_instances_on_its_own_robot_and_for_where_they_move(change, waits, c):
    assert after({"b": own(**change), **c}, OWN) == waits


@pytest.mark.parametrize(
    ("whole", "its", "whose"),
    [(True, {}, ["a"]), (False, {}, []), (False, own(**NEW), ["a", "b"])],
    ids=["all of the group", "with a port to hand over", "with a port of its own"],
)
def test_who_hears_of_other_endpoints_before_something_goes(whole, its, whose):
    following = followers({"a": follows("192.0.2.2"), "b": its}, PLACED, ADDRESSES)
    assert callers("b", {"name": API, "whole": whole}, following) == whose
    assert callers("b", {"name": "default/shop/front", "whole": True}, following) == []


def test_why_a_caller_keeps_what_it_has():
    files = followers({"a": follows(), "b": {}, "c": {}}, PLACED, ADDRESSES)["a"]
    assert unready(files, lambda _robot: "committed") == {}
    assert unready(files, {"b": "unchanged", "c": "rolled-back"}.__getitem__) == {
        PATH: "default/shop/front keeps its endpoints of default/shop/api/http, because this run did not succeed on c; "
        "run again when c is ready"
    }
    why = unready(files, lambda _robot: "")[PATH]
    assert why.endswith("did not succeed on b, c; run again when b, c are ready")
