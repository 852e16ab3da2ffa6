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
        ("v1.3", "version", "> 1.2", True),
        ("", "version", "< 12", False),
        ("none", "version", "< 20", False),
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


def faults(l_target: str, operand: Operand, r_target: str) -> list[tuple[str, str, str]]:
    return [tuple(fault) for fault in check(Constraint(l_target, operand, r_target))]


@pytest.mark.parametrize(
    ("operand", "r_target", "found"),
    [
        (Operand.REGEXP, "(", "not a regular expression"),
        (Operand.REGEXP, "a{99999999999999999999}", "not a regular expression"),
        (Operand.VERSION, "newest", "not a version condition"),
        (Operand.VERSION, "> ٣", "not a version condition"),
    ],
)
def test_a_broken_condition_is_wrong_on_any_robot(operand, r_target, found):
    ((key, message, _remedy),) = faults("${meta.x}", operand, r_target)
    assert key == "rTarget"
    assert found in message


@pytest.mark.parametrize(("operand", "r_target"), [(Operand.REGEXP, "(${meta.pat}"), (Operand.VERSION, ">= ${meta.min}")])
def test_a_condition_with_a_name_in_it_is_judged_on_each_robot(operand, r_target):
    assert faults("${attr.kernel.version}", operand, r_target) == []


NO_VALUE = "found %s: no side of the condition has a value of the robot"


@pytest.mark.parametrize(
    ("l_target", "r_target", "fault"),
    [
        ("meta.arm", "left", ("lTarget", NO_VALUE % '"meta.arm"', "write ${meta.arm}")),
        ("$meta.arm", "left", ("lTarget", NO_VALUE % '"$meta.arm"', "write ${meta.arm}")),
        ("${meta.arm", "left", ("lTarget", NO_VALUE % '"${meta.arm"', "write ${meta.arm}")),
        ("left", "node.class", ("lTarget", NO_VALUE % '"left"', "write ${node.class}")),
        ("${NOMAD_DC}", "dc1", ("lTarget", NO_VALUE % '"${NOMAD_DC}"', "write ${attr.<name>}, ${meta.<label>} or ${node.<name>}")),
        ("${node.clas}", "left", ("lTarget", "there is no ${node.clas}", "did you mean node.class?")),
        (
            "left",
            "${node.xyz}",
            ("rTarget", "there is no ${node.xyz}", "there are node.unique.name, node.datacenter and node.class"),
        ),
    ],
)
@pytest.mark.parametrize("operand", [Operand.EQUAL, Operand.NOT_EQUAL])
def test_a_condition_that_asks_nothing_of_the_robot_is_wrong(l_target, operand, r_target, fault):
    assert faults(l_target, operand, r_target) == [fault]


@pytest.mark.parametrize(
    ("l_target", "r_target"),
    [("${attr.kernel.name}", "linux"), ("left", "${meta.arm}"), ("${node.unique.name}", ""), ("x-${node.datacenter}", "x-dc1")],
)
def test_a_condition_on_one_value_of_the_robot_is_right(l_target, r_target):
    assert faults(l_target, Operand.NOT_EQUAL, r_target) == []
