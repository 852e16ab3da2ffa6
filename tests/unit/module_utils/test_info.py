# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The statistics call well what `status` does: both are made of the same answer."""

from __future__ import annotations

import pytest

from ansible_collections.k8s4r.robot.plugins.module_utils._engine.requests import info
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.usage import textfile

PORT = {"address": "::", "port": 7000, "where": "shop.yml: taskGroups[0].network.services[0].port", "serves": ["default/shop/api/http"]}
USAGE = {"cpu": {}, "memory": {}, "io": {"reads": None}}


def group(**more):
    units = {f"k8s4r-{called}.service": {"called": called, "well": True, "usage": USAGE} for called in ("proxy", "r0 app")}
    nothing = {key: [] for key in ("silent", "lacks", "gone", "unidentified", "pods")}
    return {"name": "default/shop/api", "release": "1", "committed": "", "ports": [PORT], "usage": USAGE, "units": units, **nothing, **more}


@pytest.mark.parametrize(
    ("wrong", "well", "proxy"),
    [
        ({}, True, True),
        ({"silent": [PORT]}, False, True),
        ({"lacks": [{"path": "/run/agent.sock", "what": "spire_agent"}]}, False, True),
        ({"gone": ["/etc/k8s4r/groups/x/env/a.env"]}, False, True),
        ({"unidentified": ["proxy"]}, False, False),
    ],
)
def test_a_group_is_well_where_status_finds_nothing_wrong(monkeypatch, wrong, well, proxy):
    job = {"namespace": "default", "name": "shop", "groups": {"x": group(**wrong)}}
    monkeypatch.setattr(info.status, "answer", lambda _robot, _sample: {"jobs": [job], "unread": []})
    (found,) = info.answer(None)["taskgroups"]
    assert (found["well"], found["proxy"]["well"], found["tasks"][0]["well"]) == (well, proxy, True)
    assert f'k8s4r_group_well{{namespace="default",job="shop",group="api"}} {int(well)}' in textfile.text([found])
    assert f'k8s4r_proxy_well{{namespace="default",job="shop",group="api"}} {int(proxy)}' in textfile.text([found])


def test_of_pods_each_proxy_is_well_for_itself(monkeypatch):
    units = {f"{called}.service": {"called": called, "well": True, "usage": USAGE} for called in ("proxy r0", "proxy r1", "r0 app")}
    pods = [{"instance": number, "address": f"10.0.0.{number}"} for number in (0, 1)]
    job = {"namespace": "default", "name": "shop", "groups": {"x": group(units=units, pods=pods, unidentified=["proxy r1"])}}
    monkeypatch.setattr(info.status, "answer", lambda _robot, _sample: {"jobs": [job], "unread": []})
    (found,) = info.answer(None)["taskgroups"]
    assert [pod["proxy"]["well"] for pod in found["pods"]] == [True, False]
