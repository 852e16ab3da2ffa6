# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Constraints: Nomad's operands on labels, node names and attributes."""

from __future__ import annotations

import pytest

from ansible_collections.k8s4r.robot.plugins.plugin_utils.fleet.constraints import UnknownAttribute, check, resolve, satisfied
from ansible_collections.k8s4r.robot.plugins.plugin_utils.fleet.robots import Robot
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.model.policies import Constraint
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.model.vocabulary import Operand

ROBOT = Robot("r1", "192.0.2.1", {"arm": "left"}, "dc1", "mobile", {"kernel.version": "6.1.0-13-amd64"})


@pytest.mark.parametrize(
    ("left", "operand", "right", "expected"),
    [
        ("a", "=", "a", True),
        ("a", "!=", "a", False),
        (None, "!=", "a", True),
        (None, "=", "a", False),
        ("10", ">", "9", True),
        ("10", ">", "9a", False),
        ("9", "<=", "9.0", True),
        ("camera,lidar", "set_contains", "lidar, camera", True),
        ("camera", "set_contains", "lidar", False),
        ("ur10e", "regexp", "^ur[0-9]+", True),
        ("6.1.0-13-amd64", "version", ">= 5.10, < 7", True),
        ("1.2", "version", "1.2.0", True),
        ("1.10", "version", "< 1.9", False),
        ("1.010", "version", "1.10", True),
        ("1." + "9" * 5000, "version", "> 1." + "8" * 5000, True),
        ("1.2", "version", "< " + "1" * 5000 + ".0", True),
        ("1.3", "version", "> 1." + "0" * 5000 + "2", True),
    ],
)
def test_operands(left, operand, right, expected):
    assert satisfied(left, Operand(operand), right) is expected


def test_targets():
    assert resolve("${meta.arm}-${node.class}", ROBOT) == "left-mobile"
    assert resolve("${node.unique.name}", ROBOT) == "r1"
    assert resolve("${meta.leg}", ROBOT) is None
    with pytest.raises(UnknownAttribute):
        resolve("${attr.gpu}", ROBOT)


def test_a_broken_condition_is_wrong_on_any_robot():
    assert "not a regular expression" in check(Constraint("${meta.x}", Operand.REGEXP, "("))
    assert "not a version condition" in check(Constraint("${meta.x}", Operand.VERSION, "newest"))
    assert "not a regular expression" in check(Constraint("${meta.x}", Operand.REGEXP, "a{99999999999999999999}"))
    assert "not a version condition" in check(Constraint("${meta.x}", Operand.VERSION, "> ٣"))
