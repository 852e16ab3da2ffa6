# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cache of what robots said of themselves: anything odd in it is as if nothing were there."""

from __future__ import annotations

import json
import os

import pytest

from ansible_collections.k8s4r.robot.plugins.plugin_utils.home.capabilities import Capabilities, OddCapabilities
from ansible_collections.k8s4r.robot.plugins.plugin_utils.home.key import KeyProblem


def test_what_is_written_is_read(tmp_path):
    cache = Capabilities(tmp_path)
    cache.write("../robot 1", {"systemd": "252"})
    assert cache.read("../robot 1") == {"systemd": "252"}
    assert [path.parent.name for path in tmp_path.rglob("*.json")] == ["capabilities"]


def test_a_robot_never_asked_is_unknown(tmp_path):
    assert Capabilities(tmp_path).read("robot1") is None


@pytest.mark.parametrize("content", ["", "{", "[]", '{"systemd": 252}', "\xff"])
def test_a_damaged_file_is_as_none(tmp_path, content):
    cache = Capabilities(tmp_path)
    cache.write("robot1", {"systemd": "252"})
    (tmp_path / "capabilities" / "robot1.json").write_text(content, encoding="latin-1")
    assert cache.read("robot1") is None


ODD = [
    {},
    {"cgroup": "2"},
    {"systemd": "two"},
    {"systemd": "252", "cgroup": "3"},
    {"systemd": "252\x1b[2J"},
    {"systemd": ""},
    {"systemd": "99999"},
    {"systemd": "252", "arch": "x" * 501},
    {"systemd": "252", "os.name": "\x07"},
    {"systemd": "252", **{str(number): "" for number in range(200)}},
]


@pytest.mark.parametrize("odd", ODD, ids=range(len(ODD)))
def test_what_no_robot_can_be_is_neither_remembered_nor_believed(tmp_path, odd):
    cache = Capabilities(tmp_path)
    with pytest.raises(OddCapabilities, match=r"the robot .*; this is not remembered") as told:
        cache.write("robot1", odd)
    assert str(told.value).isprintable()
    (tmp_path / "capabilities").mkdir()
    (tmp_path / "capabilities" / "robot1.json").write_text(json.dumps(odd))
    assert cache.read("robot1") is None


def test_a_pipe_is_no_memory(tmp_path):
    (tmp_path / "capabilities").mkdir()
    os.mkfifo(tmp_path / "capabilities" / "robot1.json")
    assert Capabilities(tmp_path).read("robot1") is None


def test_a_place_that_cannot_hold_them_is_named_with_the_way_out(tmp_path):
    (tmp_path / "capabilities").write_text("a file")
    with pytest.raises(KeyProblem, match=r"what robot1 can do cannot be kept in .*capabilities: .*; set K8S4R_HOME"):
        Capabilities(tmp_path).write("robot1", {"systemd": "252"})
