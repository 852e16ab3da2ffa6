# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the action collect names for the rest of the play is there."""

from __future__ import annotations

import pytest

from ansible_collections.k8s4r.robot.plugins.plugin_utils.actions.collect import TASKS
from ansible_collections.k8s4r.robot.plugins.plugin_utils.run import outcome

PREPARED = {"status": "staged", "steps": ["start x"], "missing": [], "entries_differ": False}


@pytest.mark.parametrize("answer", [PREPARED, {**PREPARED, "status": "stale"}, {**PREPARED, "status": "lacking", "missing": ["envoy"]}])
@pytest.mark.parametrize("check", [False, True])
@pytest.mark.parametrize("verify", [False, True])
def test_the_tasks_that_come_next_are_a_file(answer, check, verify):
    found = outcome.what_next({"a": answer}, (), check, verify, False)
    assert (TASKS / f"{found.file}.yml").is_file()


def test_callers_that_are_not_in_the_run_are_a_change_of_their_robot():
    answers = {"a": {**PREPARED, "status": outcome.TELLS}, "b": {"status": "unchanged"}}
    found = outcome.what_next(answers, (), False, False, False, following=True)
    assert (found.file, found.machines) == (outcome.SWITCH_WITH_FOLLOWERS, ["a"])


def test_lost_robots_are_named_with_those_that_should_have_been_told():
    robots = {"a": {"tells": ["default/front/web"]}, "b": {"tells": []}, "c": {}}
    assert outcome.untold(["a", "b", "c", "d"], robots) == [
        "a was not reached: default/front/web keeps the endpoints that it has; run again"
    ]
