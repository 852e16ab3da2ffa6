# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file of members while old and new ones are needed."""

from __future__ import annotations

import json

from ansible_collections.k8s4r.robot.plugins.module_utils._engine.resources import file


def members(*names):
    return json.dumps({"v": 1, "resources": [{"name": name} for name in names]}).encode()


def test_members_that_go_stay_beside_those_that_come():
    united = json.loads(file.union(members("a", "b"), members("b", "c"), "resources"))
    assert [member["name"] for member in united["resources"]] == ["b", "c", "a"]
    assert file.union(b"garbage", members("b"), "resources") == members("b")


def test_a_member_goes_when_who_referred_to_it_has_had_time_to_take_that_in(robot, tmp_path, monkeypatch):
    """Two files that change at once are taken in one after another: the second may still refer to what the first no longer has."""
    path, slept = tmp_path / "clusters.json", []
    monkeypatch.setattr(file, "_put", lambda _resource, content: path.write_bytes(content))
    monkeypatch.setattr(file.time, "sleep", slept.append)

    def fix(*names):
        resource = {"path": str(path), "union": "resources", "digest": robot.store.put(members(*names))}
        file.File().fix(resource, robot)
        return [member["name"] for member in json.loads(path.read_bytes())["resources"]], len(slept)

    assert fix("a") == (["a"], 0)
    assert fix("a", "b") == (["a", "b"], 0)
    assert fix("b") == (["b"], 1)


def test_what_refers_to_a_new_member_comes_when_that_has_had_time_to_be_taken_in(robot, tmp_path, monkeypatch):
    """A cluster that Envoy has only just read has no certificate yet, and a route that leads there would be answered with 503."""
    path, slept = tmp_path / "clusters.json", []
    monkeypatch.setattr(file, "_put", lambda _resource, content: path.write_bytes(content))
    monkeypatch.setattr(file.time, "sleep", lambda _seconds: slept.append(path.read_bytes()))

    def extend(*names):
        resource = {"path": str(path), "union": "resources", "digest": robot.store.put(members(*names))}
        file.File().extend(resource, robot)
        return [member["name"] for member in json.loads(path.read_bytes())["resources"]], len(slept)

    path.write_bytes(members("a"))
    assert extend("a") == (["a"], 0)
    assert extend("b") == (["b", "a"], 1)
    assert json.loads(slept[0]) == json.loads(path.read_bytes())
    assert extend("b") == (["b", "a"], 1)
