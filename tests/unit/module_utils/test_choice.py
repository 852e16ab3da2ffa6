# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which numbers a robot gives to ports that a plan leaves open."""

from __future__ import annotations

import contextlib
import os
import socket

import pytest

from ansible_collections.k8s4r.robot.plugins.module_utils._engine import plan
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.judge import choice
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.say.errors import Refusal
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.state import ledger

# Nothing on this machine listens on these, and no other process runs these tests with them.
FREE = plan.CHOSEN[0] + os.getpid() % 3000 * 4
LAST = FREE + 3
SOMETHING = [plan.directory("/etc/k8s4r/groups/x")]


@pytest.fixture(autouse=True)
def few(monkeypatch):
    monkeypatch.setattr(choice, "CHOSEN", (FREE, LAST))


def chosen(number, called="r0 http", **more):
    return plan.port("127.0.0.1", number, f"job.yml: {called}", called=called, chosen=True, **more)


def group(id, *ports, runs=True):
    return {"id": id, "name": id, "resources": SOMETHING if runs else [], "needs": [], "ports": list(ports), "secrets": None}


@pytest.fixture
def named(robot):
    """What the robot names for the groups of job j, where it has the groups of `before` by job."""

    def find(groups, before=None):
        for name, held in (before or {}).items():
            records = {one["id"]: {**one, "release": "r1", "committed": 1.0, "leftovers": [], "started": {}} for one in held}
            robot.ledger.save({"namespace": "n", "name": name, "robot": "", **ledger.whole("old"), "groups": records})
        jobs = [{"namespace": "n", "name": "j", "groups": groups}]
        return choice.others(robot, {"release": "r2", "who": "me", "keep_data": False, "jobs": jobs})

    return find


@contextlib.contextmanager
def stranger(number, kind=socket.SOCK_STREAM):
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1", number))
        if kind == socket.SOCK_STREAM:
            taken.listen()
        yield


def test_a_plan_that_can_be_has_no_answer(named):
    assert named([group("a", chosen(FREE)), group("b", plan.port("127.0.0.1", 80, "here"))]) == {}


def test_where_a_stranger_listens_the_next_is_named(named):
    with stranger(FREE):
        assert named([group("a", chosen(FREE), chosen(FREE + 2, "r1 http"))]) == {"a": {"r0 http": FREE + 1, "r1 http": FREE + 2}}
    assert named([group("a", chosen(FREE))]) == {}


def test_after_the_last_comes_the_first(named):
    with stranger(LAST):
        assert named([group("a", chosen(LAST))]) == {"a": {"r0 http": FREE}}


@pytest.mark.parametrize(("kind", "protocol"), [(socket.SOCK_STREAM, "udp"), (socket.SOCK_DGRAM, "tcp")])
def test_tcp_and_udp_are_apart(named, kind, protocol):
    with stranger(FREE, kind):
        assert named([group("a", chosen(FREE, protocol=protocol))]) == {}


def test_a_stranger_has_a_port_of_udp(named):
    with stranger(FREE, socket.SOCK_DGRAM):
        assert named([group("a", chosen(FREE, protocol="udp"))]) == {"a": {"r0 http": FREE + 1}}


def test_what_the_robot_has_stays_whatever_a_controller_thinks(named):
    before = {"j": [group("a", chosen(FREE + 1))]}
    assert named([group("a", chosen(FREE))], before) == {"a": {"r0 http": FREE + 1}}
    assert named([group("a", chosen(FREE + 1))], before) == {}


def test_what_the_robot_has_does_not_stay_where_it_cannot_be(named):
    before = {"j": [group("a", chosen(FREE))]}
    assert named([group("a", chosen(FREE + 2, never=[FREE, FREE + 3]))], before) == {}
    with stranger(FREE + 2):
        assert named([group("a", chosen(FREE + 2, never=[FREE, FREE + 3]))], before) == {"a": {"r0 http": FREE + 1}}


def test_it_gives_way_to_nothing_new_in_the_release(named):
    before = {"j": [group("b", chosen(FREE))]}
    assert named([group("a", chosen(FREE)), group("b", chosen(FREE + 1))], before) == {"a": {"r0 http": FREE + 1}, "b": {"r0 http": FREE}}


def test_it_is_left_to_a_stranger_who_has_it(named):
    with stranger(FREE + 1):
        assert named([group("a", chosen(FREE))], {"j": [group("a", chosen(FREE + 1))]}) == {}


def test_a_port_of_another_job_is_taken_and_one_of_a_group_that_goes_is_not(named):
    assert named([group("a", chosen(FREE))], {"k": [group("c", chosen(FREE, "r0 x"))]}) == {"a": {"r0 http": FREE + 1}}
    before = {"k": [], "j": [group("old", chosen(FREE, "r0 x"))]}
    assert named([group("old", runs=False), group("a", chosen(FREE))], before) == {}


def test_a_port_that_the_release_fixes_is_taken(named):
    fixed = plan.port("::", FREE, "here", called="r0 fixed")
    before = {"j": [group("a", chosen(FREE))]}
    assert named([group("a", chosen(FREE)), group("b", fixed)], before) == {"a": {"r0 http": FREE + 1}}


def test_none_is_left(named, monkeypatch):
    monkeypatch.setattr(choice, "CHOSEN", (FREE, FREE + 1))
    with stranger(FREE), pytest.raises(Refusal) as refused:
        named([group("a", chosen(FREE), chosen(FREE + 1, "r1 http"))])
    assert refused.value.errors == [f"job.yml: r1 http: no port from {FREE} to {FREE + 1} is free"]
