# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where services are and who calls them, as a person reads it and as data."""

from __future__ import annotations

import pytest

from ansible_collections.k8s4r.robot.plugins.plugin_utils.show import services

HTTP, API = "default/shop/api/http", "default/shop/api/api"
INBOUND = {"address": "::", "port": 7000, "serves": [HTTP]}
ADDRESSES = {"work1": "10.0.0.11", "work2": "2001:db8::2"}


def port(instance: int, number: int, **more):
    return {"address": "0.0.0.0", "port": number, "called": f"r{instance} http", "serves": [API], **more}


def group(name="default/shop/api", ports=(), calls=(), silent=(), down=(), units=(), unidentified=()):
    states = {f"{called}.service": {"called": called, "well": called not in down} for called in ("", "proxy", *units)}
    wrong = {"silent": list(silent), "unidentified": list(unidentified)}
    return {"name": name, "ports": list(ports), "calls": list(calls), "units": states, **wrong}


def robot(*groups):
    return {"status": "ok", "jobs": [{"name": "shop", "groups": {each["name"]: each for each in groups}}]}


OFF = {"status": "off", "msg": "connection\nrefused"}
ONE = robot(group(ports=[INBOUND, port(0, 24117), port(1, 24118)], units=["r0 app", "r1 app"]))
OTHER = robot(
    group(ports=[INBOUND, port(2, 28034)], silent=[INBOUND], down=["r2 app"], units=["r2 app"]),
    group("default/front/web", calls=[HTTP]),
    group("night/edge/lb", calls=[API, "night/gone/g/s"], ports=[{"address": "127.0.0.1", "port": 9000}]),
)


def shown(answers, job=""):
    return services.overview(answers, services.services(answers, ADDRESSES, job), job)


def test_each_service_at_each_robot_with_its_callers():
    assert shown({"work2": OTHER, "work1": ONE}) == [
        "service         robot  instances  address              callers",
        "shop/api/api    work1  r0         10.0.0.11:24117      night/edge/lb",
        "                work1  r1         10.0.0.11:24118      night/edge/lb",
        "                work2  r2         [2001:db8::2]:28034  night/edge/lb  r2 app IS NOT WELL",
        "shop/api/http   work1  r0 r1      10.0.0.11:7000       front/web",
        "                work2  r2         [2001:db8::2]:7000   front/web      r2 app IS NOT WELL; NOT LISTENING",
        "night/gone/g/s                                         night/edge/lb  NO ROBOT HAS IT",
        "2 robots, 3 services",
    ]


def test_the_same_as_data():
    (first, _second) = services.services({"work1": ONE, "work2": robot()}, ADDRESSES, "shop")[:2]
    assert first == {
        "service": API, "robot": "work1", "address": "10.0.0.11", "port": 24117, "protocol": "tcp", "instances": [0], "callers": [],
        "wrong": [],
    }  # fmt: skip


def test_a_port_at_one_address_and_one_of_udp():
    answers = {"work1": robot(group(ports=[port(0, 5000, address="127.0.0.1", protocol="udp")], units=["r0 app"]))}
    assert shown(answers)[1] == "shop/api/api  work1  r0         127.0.0.1:5000/udp"


def wrong(group):
    return {(each["service"], *each["instances"]): each["wrong"] for each in services.services({"work1": robot(group)}, ADDRESSES)}


def test_behind_a_proxy_that_lets_nobody_through_no_service_is_well():
    beside = group(ports=[INBOUND, port(0, 24117), port(1, 24118)], units=["r0 app", "r1 app"], unidentified=["proxy"])
    assert wrong(beside) == {(HTTP, 0, 1): ["NO IDENTITY"], (API, 0): [], (API, 1): []}


def test_of_pods_only_the_one_whose_proxy_lets_nobody_through_is_not_well():
    inbound = [{**INBOUND, "port": 7000 + number, "called": f"r{number} http", "terms": {"protocol": "http"}} for number in (0, 1)]
    offered = port(0, 24117, terms={"offers": []})
    pods = group(ports=[*inbound, offered], units=["r0 app", "r1 app", "proxy r0", "proxy r1"], unidentified=["proxy r0"])
    assert wrong(pods) == {(HTTP, 0): ["NO IDENTITY"], (HTTP, 1): [], (API, 0): []}


@pytest.mark.parametrize(
    ("answers", "job", "last"),
    [
        ({"work1": ONE, "work2": OTHER}, "front", "2 robots, 0 services"),
        ({"work1": ONE}, "shopp", "no robot that answered has a job named shopp; did you mean shop?"),
        ({"work1": robot()}, "", "1 robot, 0 services"),
        ({"work1": OFF}, "shop", "no robot has answered, so it is not known whether any has a job named shop"),
    ],
)
def test_of_one_job_and_of_none(answers, job, last):
    assert shown(answers, job)[-1] == last


def test_a_robot_that_is_off_is_named_and_may_have_what_is_called():
    lines = shown({"work1": OFF, "work2": OTHER})
    assert "work1: OFF, its services are not known: connection refused" in lines
    assert any(line.endswith("no robot that answered has it") for line in lines)
    assert lines[-1] == "1 robot, 3 services"
