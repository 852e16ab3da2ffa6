# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a job file asks of the controller ends."""

from __future__ import annotations

import pytest

from ansible_collections.k8s4r.robot.plugins.plugin_utils.fleet.robots import Fleet, Robot
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.model.group import TaskGroup
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.model.job import Job
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.model.policies import Constraint
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.model.vocabulary import Operand
from ansible_collections.k8s4r.robot.plugins.plugin_utils.run import placing
from ansible_collections.k8s4r.robot.plugins.plugin_utils.run.action import ActionProblem

FLEET = Fleet((Robot("arm1", "arm1", labels={"name": "a" * 64}),))


def job(pattern):
    constraint = Constraint(l_target="${meta.name}", operand=Operand.REGEXP, r_target=pattern)
    return Job(name="web", task_groups=(TaskGroup(name="g", constraints=(constraint,)),), path="web.yml")


def test_a_regular_expression_that_never_ends_is_named(monkeypatch):
    monkeypatch.setattr(placing, "PLACING_SECONDS", 0.2)
    with pytest.raises(ActionProblem) as raised:
        placing.placed([job("^(a+)+$b")], FLEET)
    assert 'web.yml: taskGroups[0].constraints[0].rTarget: "^(a+)+$b"' in str(raised.value)


def test_another_one_is_compared():
    assert placing.placed([job("^a+$")], FLEET).instances == {("default", "web", "g"): {"arm1": [0]}}
