# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ports that robots have named: anything odd in the file is as if nothing were there."""

from __future__ import annotations

import pytest

from ansible_collections.k8s4r.robot.plugins.plugin_utils.home.ports import Ports

NAMED = {"g": {"r0 http": 20001}}


def test_what_is_learnt_of_a_group_takes_the_place_of_what_was_known_of_it(tmp_path):
    ports = Ports(tmp_path)
    assert ports.read("robot1") == {}
    ports.learn("robot1", {"g": {"r0 http": 20000, "r1 http": 20002}, "h": {"r0 x": 20003}})
    ports.learn("robot1", NAMED)
    assert ports.read("robot1") == {**NAMED, "h": {"r0 x": 20003}}
    assert ports.read("robot2") == {}


@pytest.mark.parametrize("content", ["", "{", "[]", '{"g": {"r0 http": "20001"}}', '{"g": {"r0 http": true}}', '{"g": 1}'])
def test_a_damaged_file_is_as_none(tmp_path, content):
    ports = Ports(tmp_path)
    ports.learn("robot1", NAMED)
    (tmp_path / "ports" / "robot1.json").write_text(content)
    assert ports.read("robot1") == {}
    ports.learn("robot1", NAMED)
    assert ports.read("robot1") == NAMED
