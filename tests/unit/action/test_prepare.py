# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of a robot for groups of jobs that are not in the run."""

from __future__ import annotations

import types

from ansible_collections.k8s4r.robot.plugins.plugin_utils.actions import prepare

PATH = "/proxy/endpoints-upstream-api.json"


class Prepare(prepare.ActionModule):
    """The action on a robot with a file that would change."""

    def __init__(self) -> None:
        self._task = types.SimpleNamespace(check_mode=False, diff=False)
        self.asked = []

    def call(self, request, *_others, **_more):
        self.asked.append(request)
        return {"status": "ok", "changes": ["x"], "diff": [], "follows": {PATH: {"group": "g", "follows": "s", "before": "old"}}}


def test_whoever_is_told_later_is_told_only_if_nobody_else_has_told_him_meanwhile():
    action = Prepare()
    request = {"op": "tell", "files": [{"path": PATH, "content": "new"}], "who": "tester"}
    found = action._told(request, {})
    assert action.asked == [{**request, "check": True, "diff": False}]
    assert found["tell"] == {**request, "files": [{"path": PATH, "content": "new", "was": "old"}]}


def test_a_robot_that_does_not_say_what_it_has_is_told_nothing():
    files = [{"path": path, "content": "new"} for path in (PATH, "/proxy/other.json")]
    found = Prepare()._told({"op": "tell", "files": files, "who": "tester"}, {})
    assert found == {"status": "refused", "errors": ["the robot does not say what it has at /proxy/other.json; run again"]}
