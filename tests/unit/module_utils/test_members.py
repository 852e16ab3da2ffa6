# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file of members while old and new ones are needed."""

from __future__ import annotations

import json

from ansible_collections.k8s4r.robot.plugins.module_utils._engine.resources import file


def test_members_that_go_stay_beside_those_that_come():
    def members(*names):
        return json.dumps({"v": 1, "resources": [{"name": name} for name in names]}).encode()

    united = json.loads(file.union(members("a", "b"), members("b", "c"), "resources"))
    assert [member["name"] for member in united["resources"]] == ["b", "c", "a"]
    assert file.union(b"garbage", members("b"), "resources") == members("b")
