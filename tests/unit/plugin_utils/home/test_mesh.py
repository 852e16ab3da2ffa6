# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What groups of robots serve and call, as it is remembered: nothing odd is, and anything odd in the file is as if nothing were there."""

from __future__ import annotations

import json
import typing as t

import pytest

from ansible_collections.k8s4r.robot.plugins.plugin_utils.home.capabilities import OddCapabilities
from ansible_collections.k8s4r.robot.plugins.plugin_utils.home.mesh import NOTHING, Mesh

TERMS: dict[str, t.Any] = {"address": "::", "protocol": "http", "pods": False, "allow": ["spiffe://fleet.example/a"]}
SERVED: dict[str, t.Any] = {"name": "default/shop/api/http", "port": 7000, "terms": TERMS}
CALLED: dict[str, t.Any] = {
    **dict.fromkeys(("namespace", "job", "id", "path", "sha256"), "x"),
    "group": "default/front/web",
    "follows": "default/shop/api/http",
    "pods": False,
}
OFFER: dict[str, t.Any] = {"name": "default/shop/api/http", "task": "app", "tags": ["v1 of it"]}
OFFERS: dict[str, t.Any] = {"instance": 0, "label": "http", "host": "192.0.2.7", "pods": False, "offers": [OFFER]}
OFFERED: dict[str, t.Any] = {**SERVED, "terms": OFFERS}
POD: dict[str, t.Any] = {
    "group": "default/shop/api",
    "name": "shop-api-0",
    "address": "10.2.0.7",
    "address6": "fd00::7",
    "reach": ["default/front/web"],
}
RECAP = "\n\nPLAY RECAP ***\nrobot2 : ok=9 changed=1 unreachable=0 failed=0"
SAID: dict[str, t.Any] = {"digest": "x", "serves": [SERVED, OFFERED], "calls": [CALLED], "pods": [POD]}


def test_what_a_robot_said_last_is_known(tmp_path):
    mesh = Mesh(tmp_path)
    assert mesh.read("robot1") is NOTHING
    # One that serves and calls nothing has told all the same.
    mesh.learn("robot1", dict(NOTHING))
    assert mesh.read("robot1") == NOTHING
    assert mesh.read("robot1") is not NOTHING
    mesh.learn("robot1", SAID)
    assert mesh.read("robot1") == SAID
    mesh.learn("robot1", NOTHING)
    assert mesh.read("robot1") == NOTHING


@pytest.mark.parametrize(
    "odd",
    [
        *(None, [], {}, {**SAID, "digest": 1}, {**SAID, "serves": [1]}, {**SAID, "calls": [{}]}),
        *({**SAID, "serves": [{**SERVED, **more}]} for more in ({"name": "api"}, {"port": 0}, {"port": True}, {"terms": {}})),
        *(
            {**SAID, "serves": [{**SERVED, "terms": {**TERMS, **more}}]}
            for more in ({"protocol": "sctp"}, {"allow": ["a\nb"]}, {"pods": 1}, {"address": "6.6.6.6\nrobot1: all is well"})
        ),
        *(
            {**SAID, "serves": [{**SERVED, "terms": {**OFFERS, **more}}]}
            for more in ({"host": "a\nLD_PRELOAD=/tmp/a"}, {"host": 1}, {"label": "$(id)"})
        ),
        *(
            {**SAID, "serves": [{**SERVED, "terms": {**OFFERS, "offers": [{**OFFER, **more}]}}]}
            for more in (
                {"name": "default/a\nb/api/http"},
                {"task": "a\nb"},
                {"tags": ["a\nLD_PRELOAD=/tmp/a"]},
                {"tags": [1]},
                {"tags": "v1"},
            )
        ),
        *(
            {**SAID, "pods": [{**POD, **more}]}
            for more in (
                *({"group": "shop"}, {"group": "a/b\nc/d"}, {"name": "a\nb"}, {"name": 1}),
                *({"address": "10.2.0"}, {"address": ""}, {"address6": "10.2.0.7"}, {"address6": "fd00::7%a\nb"}, {"address": None}),
                *({"reach": "default/front/web"}, {"reach": ["web"]}, {"reach": [1]}),
            )
        ),
        *({**SAID, "calls": [{**CALLED, **more}]} for more in ({"follows": "api"}, {"group": "web"}, {"path": None}, {"pods": "no"})),
        *(
            {**SAID, "calls": [{**CALLED, **more}]}
            for more in (
                *({"group": f"default/front/web{RECAP}"}, {"follows": f"default/shop/api/http{RECAP}"}),
                *({"follows": "default/shop/api/http default/shop/api/grpc"}, {"namespace": f"a{RECAP}"}, {"job": f"a{RECAP}"}),
                *({"id": f"a{RECAP}"}, {"id": ""}),
            )
        ),
    ],
)
def test_what_no_robot_says_is_not_remembered(tmp_path, odd):
    mesh = Mesh(tmp_path)
    mesh.learn("robot1", SAID)
    with pytest.raises(OddCapabilities, match="in a form that this version does not understand"):
        mesh.learn("robot1", odd)
    assert mesh.read("robot1") == SAID
    (tmp_path / "mesh" / "robot1.json").write_text(json.dumps(odd))
    assert mesh.read("robot1") == NOTHING


@pytest.mark.parametrize("text", ["", "{", "[" * 200000, "[1]"])
def test_a_robot_whose_word_is_lost_is_not_taken_for_one_that_serves_nothing(tmp_path, text):
    mesh = Mesh(tmp_path)
    assert mesh.read("robot1") is NOTHING
    mesh.learn("robot1", SAID)
    mesh.learn("robot1", NOTHING)
    assert (mesh.read("robot1"), mesh.read("robot1") is NOTHING) == (NOTHING, False)
    (tmp_path / "mesh" / "robot1.json").write_text(text)
    assert mesh.read("robot1") is NOTHING
