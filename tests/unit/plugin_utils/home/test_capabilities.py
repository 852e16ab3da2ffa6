# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cache of what robots said of themselves: anything odd in it is as if nothing were there."""

from __future__ import annotations

import pytest

from ansible_collections.k8s4r.robot.plugins.plugin_utils.home.capabilities import Capabilities


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
