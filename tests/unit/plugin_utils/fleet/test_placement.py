# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Placement: even, deterministic, stable, and every refusal with its reason."""

from __future__ import annotations

import hashlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.k8s4r.robot.plugins.plugin_utils.fleet.catalogue import fleet_from_inventory
from ansible_collections.k8s4r.robot.plugins.plugin_utils.fleet.constraints import Refusal
from ansible_collections.k8s4r.robot.plugins.plugin_utils.fleet.placement import place
from ansible_collections.k8s4r.robot.plugins.plugin_utils.fleet.robots import Fleet, Robot
from ansible_collections.k8s4r.robot.plugins.plugin_utils.fleet.spread import spread
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.errors import JobErrors
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.model.brings.drivers import ExecConfig, TaskConfig
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.model.group import TaskGroup
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.model.job import Job
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.model.policies import Constraint
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.model.task import Task
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.model.vocabulary import JobType, Operand

TASK = Task(name="app", config=TaskConfig(exec_config=ExecConfig("true")))


def fleet(*robots: Robot) -> Fleet:
    return Fleet(robots=tuple(sorted(robots)))


def job(group: TaskGroup, **fields) -> Job:
    return Job(name="web", task_groups=(group,), path="web.yml", **fields)


KEY = ("default", "web", "g")


@given(count=st.integers(0, 60), names=st.sets(st.text("abc123", min_size=1, max_size=4), min_size=1, max_size=12))
def test_spread_is_even_to_within_one_and_whole(count, names):
    placed = spread("k", count, sorted(names))
    loads = [len(placed.get(name, ())) for name in names]
    assert sorted(index for held in placed.values() for index in held) == list(range(count))
    assert max(loads) - min(loads) <= 1


@given(count=st.integers(1, 40), names=st.sets(st.text("abcdefgh", min_size=1, max_size=4), min_size=2, max_size=12))
def test_spread_does_not_depend_on_the_order_of_the_inventory(count, names):
    assert spread("k", count, sorted(names)) == spread("k", count, sorted(names, reverse=True))


# What the collection's first version did: instances that run must not move because the controller was upgraded.
PLACED = [
    ("k", 5, 3, {"r0": [0, 2], "r1": [4], "r2": [1, 3]}),
    ("k", 3, 6, {"r0": [2], "r2": [1], "r3": [0]}),
    ("default\0web\0g", 12, 4, {"r0": [4, 8, 10], "r1": [0, 5, 11], "r2": [1, 3, 7], "r3": [2, 6, 9]}),
]
# Of large fleets, the digest of the placement: many bands of scores, more robots than instances and the reverse.
DIGESTS = [
    (1000, 1000, "57d26cddcf599fd2"),
    (300, 1000, "65be965b4175393c"),
    (1000, 300, "70c55e67a420dfe8"),
    (20, 5000, "dc25f46328737c98"),
    (5000, 20, "b70412538e537073"),
]


def robots_of(number: int) -> list[str]:
    return [f"r{index}" for index in range(number)]


@pytest.mark.parametrize(("key", "count", "robots", "placed"), PLACED)
def test_an_upgrade_moves_no_instance(key, count, robots, placed):
    assert spread(key, count, robots_of(robots)) == placed


@pytest.mark.parametrize(("count", "robots", "digest"), DIGESTS)
def test_an_upgrade_moves_no_instance_of_a_large_fleet(count, robots, digest):
    placed = spread("default\0web\0g", count, robots_of(robots))
    assert hashlib.sha256(json.dumps(placed, sort_keys=True).encode()).hexdigest()[:16] == digest


def moves(count: int, before: list[str], after: list[str], seed: str) -> int:
    old, new = ({index: robot for robot, held in spread(seed, count, names).items() for index in held} for names in (before, after))
    return sum(old[index] != new[index] for index in range(count))


@pytest.mark.parametrize(("count", "robots"), [(4, 2), (10, 10), (30, 10), (100, 100)])
def test_a_new_robot_moves_few_instances(count, robots):
    """Twice the new robot's own share and two more, on average over many groups; a naive modulo moves nearly all."""
    names = [f"robot{number}" for number in range(robots + 1)]
    seeds = [f"group{number}" for number in range(20)]
    average = sum(moves(count, names[:-1], names, seed) for seed in seeds) / len(seeds)
    assert average <= 2 * (count / (robots + 1)) + 2


def test_a_system_job_is_on_every_matching_robot_once():
    zones = {"a": "x", "b": "y", "c": "x"}
    robots = fleet(*(Robot(name, name, labels={"zone": zone}) for name, zone in zones.items()), Robot("d", "d"))
    placed = place([job(TaskGroup(name="g", tasks=(TASK,)), type=JobType.SYSTEM, robot_selector={"zone": "x"})], robots)
    assert placed.instances[KEY] == {"a": [0], "c": [0]}
    rule = "robotSelector.zone requires 'x'"
    assert placed.refused[KEY] == {"b": [Refusal(rule, "has 'y'")], "d": [Refusal(rule, "has no such label")]}
    assert placed.reason(KEY, "a") == "runs r0; 2 robots run this group"
    assert placed.reason(KEY, "b") == "robotSelector.zone requires 'x', but the robot has 'y'"


@pytest.mark.parametrize("kind", JobType)
def test_a_group_with_count_0_runs_nowhere(kind):
    placed = place([job(TaskGroup(name="g", count=0, tasks=(TASK,)), type=kind)], fleet(Robot("a", "a"), Robot("b", "b")))
    assert placed.instances == {KEY: {}}
    assert placed.reason(KEY, "a") == "could run this group, but its count is 0"


@pytest.mark.parametrize("kind", JobType)
def test_an_impossible_placement_names_what_removed_which_robots(kind):
    constraint = Constraint("${meta.arm}", Operand.EQUAL, "left")
    robots = fleet(Robot("a", "a", labels={"arm": "right"}), Robot("b", "b", datacenter="attic"))
    with pytest.raises(JobErrors) as raised:
        place([job(TaskGroup(name="g", tasks=(TASK,), constraints=(constraint,)), type=kind, datacenters=("dc1",))], robots)
    text = str(raised.value)
    assert "taskGroups[0].constraints[0] requires ${meta.arm} = left (rules out a: it has 'right')" in text
    assert "datacenters allows dc1 (rules out b: it is in 'attic')" in text


def test_what_robots_have_in_its_place_is_said_where_that_is_little():
    def text(values):
        robots = fleet(*(Robot(f"r{number}", f"r{number}", labels={"role": value}) for number, value in enumerate(values)))
        with pytest.raises(JobErrors) as raised:
            place([job(TaskGroup(name="g", tasks=(TASK,)), robot_selector={"role": "robto"})], robots)
        return str(raised.value)

    assert "robotSelector.role requires 'robto' (rules out r0, r1: each has 'robot'; r2: it has 'arm')" in text(["robot", "robot", "arm"])
    assert "robotSelector.role requires 'robto' (rules out r0, r1, r2, r3);" in text("abcd")


def test_an_unknown_attribute_is_an_error_that_names_the_robots():
    constraint = Constraint("${attr.gpu}", Operand.EQUAL, "yes")
    robots = fleet(Robot("a", "a", capabilities={"gpu": "yes"}), Robot("b", "b"))
    with pytest.raises(JobErrors, match=r"\$\{attr\.gpu\} is unknown for b; run the playbook k8s4r\.robot\.capabilities, or set"):
        place([job(TaskGroup(name="g", tasks=(TASK,), constraints=(constraint,)))], robots)
    meant = Constraint("${attr.gpuu}", Operand.EQUAL, "yes")
    with pytest.raises(JobErrors, match=r"\$\{attr\.gpuu\} is unknown for a, b; did you mean gpu\?"):
        place([job(TaskGroup(name="g", tasks=(TASK,), constraints=(meant,)))], robots)


def test_of_a_robot_that_is_ruled_out_by_its_label_nothing_need_be_known():
    constraint = Constraint("${attr.gpu}", Operand.EQUAL, "yes")
    robots = fleet(Robot("a", "a", labels={"role": "work"}, capabilities={"gpu": "yes"}), Robot("b", "b", labels={"role": "dc"}))
    group = TaskGroup(name="g", tasks=(TASK,), constraints=(constraint,))
    assert set(place([job(group, robot_selector={"role": "work"})], robots).instances[KEY]) == {"a"}


def test_a_label_that_breaks_a_condition_is_an_error_that_names_the_robot():
    constraints = (
        Constraint("${node.class}", Operand.REGEXP, "${meta.pat}"),
        Constraint("1.2", Operand.VERSION, "1-${meta.pat}"),
        Constraint("${meta.pat}", Operand.REGEXP, "."),
    )
    robots = fleet(Robot("a", "a", labels={"pat": "x"}), Robot("b", "b", labels={"pat": "(, newest"}))
    with pytest.raises(JobErrors) as raised:
        place([job(TaskGroup(name="g", tasks=(TASK,), constraints=constraints))], robots)
    pattern, version = map(str, raised.value.errors)
    assert pattern == (
        "web.yml: taskGroups[0].constraints[0].rTarget: robot b: '(, newest' is not a regular expression: "
        "missing ), unterminated subpattern at position 0; correct the robot's value of ${meta.pat}"
    )
    assert version == (
        "web.yml: taskGroups[0].constraints[1].rTarget: robot b: 'newest' is not a version condition such as '>= 1.2'; "
        "correct the robot's value of 1-${meta.pat}"
    )


def test_a_condition_may_take_its_version_from_a_label():
    constraint = Constraint("${attr.kernel.version}", Operand.VERSION, ">= ${meta.min}")
    robots = fleet(*(Robot(name, name, labels={"min": least}, capabilities={"kernel.version": "6.1"}) for name, least in ("a5", "b7")))
    placed = place([job(TaskGroup(name="g", tasks=(TASK,), constraints=(constraint,)))], robots)
    assert placed.instances[KEY] == {"a": [0]}


def test_of_two_sides_the_one_without_a_value_is_named():
    constraint = Constraint("${node.class}", Operand.EQUAL, "${meta.class}")
    robots = fleet(Robot("a", "a", labels={"class": "arm"}, node_class="arm"), Robot("b", "b", node_class="arm"))
    placed = place([job(TaskGroup(name="g", tasks=(TASK,), constraints=(constraint,)))], robots)
    assert placed.reason(KEY, "b").endswith("requires ${node.class} = ${meta.class}, but the robot has no value for ${meta.class}")


def test_a_condition_that_asks_nothing_of_the_robot_is_an_error():
    constraints = (Constraint("meta.arm", Operand.NOT_EQUAL, "left"), Constraint("${node.clas}", Operand.REGEXP, "("))
    with pytest.raises(JobErrors) as raised:
        place([job(TaskGroup(name="g", tasks=(TASK,), constraints=constraints))], fleet(Robot("a", "a")))
    no_value, no_name, no_pattern = map(str, raised.value.errors)
    found = 'found "meta.arm": no side of the condition has a value of the robot; write ${meta.arm}'
    assert no_value == f"web.yml: taskGroups[0].constraints[0].lTarget: {found}"
    assert no_name == "web.yml: taskGroups[0].constraints[1].lTarget: there is no ${node.clas}; did you mean node.class?"
    assert "taskGroups[0].constraints[1].rTarget: '(' is not a regular expression: missing )" in no_pattern


@settings(max_examples=30)
@given(st.permutations(["a", "b", "c", "d"]))
def test_the_order_of_the_inventory_does_not_matter(order):
    group = TaskGroup(name="g", count=3, tasks=(TASK,))
    placed = [place([job(group)], fleet_from_inventory({"robots": list(names)}, lambda _name: {}, {})) for names in ("abcd", order)]
    assert placed[0].instances == placed[1].instances
