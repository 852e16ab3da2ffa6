# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which groups of a release go forward or back together."""

from __future__ import annotations

import pytest

from ansible_collections.k8s4r.robot.plugins.module_utils._engine import plan
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.judge import handover
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.state import ledger
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.state.ledger import Ledger

SOMETHING = [plan.directory("/etc/k8s4r/groups/x")]


def ports(*numbers, address="127.0.0.1"):
    return [plan.port(address, number, "here") for number in numbers]


def group(id, *numbers, runs=True, address="127.0.0.1"):
    held = ports(*numbers, address=address)
    return {"id": id, "name": id, "resources": SOMETHING if runs else [], "needs": [], "ports": held, "secrets": None}


@pytest.fixture
def bundles(tmp_path):
    """The ids of the groups of each bundle, where the robot has the groups of `before` and is to have those of `jobs`."""
    book = Ledger(str(tmp_path))

    def find(jobs, before=(), spare=()):
        for name, held in dict(before).items():
            records = {one["id"]: {**one, "release": "r1", "committed": 1.0, "leftovers": [], "started": {}} for one in held}
            book.save({"namespace": "n", "name": name, **ledger.whole("old"), "groups": records})
        wanted = [{"namespace": "n", "name": name, "groups": groups} for name, groups in jobs.items()]
        manifest = {"release": "r2", "who": "me", "keep_data": False, "jobs": wanted}
        found = handover.bundles(manifest, book, spare, handover.staying(manifest, book, spare))
        return [[one["id"] for _job, one in members] for members in found]

    return find


def test_each_group_by_itself_where_nothing_is_handed_over(bundles):
    assert bundles({"j": [group("a", 1), group("b", 2)]}, {"j": [group("a", 1), group("b", 3)]}) == [["a"], ["b"]]


def test_a_job_of_which_a_group_goes_is_one(bundles):
    before = {"j": [group("old"), group("a")], "k": [group("c")]}
    assert bundles({"j": [group("old", runs=False), group("a"), group("b")], "k": [group("c")]}, before) == [["old", "a", "b"], ["c"]]


def test_a_group_of_which_only_data_was_kept_ties_nothing(bundles):
    before = {"j": [group("old", runs=False), group("a")]}
    assert bundles({"j": [group("old", runs=False), group("a"), group("b")]}, before) == [["old"], ["a"], ["b"]]


def test_a_group_that_stays_until_another_robot_has_it_is_left_out(bundles):
    before = {"j": [group("old"), group("a")]}
    assert bundles({"j": [group("old", runs=False), group("a"), group("b")]}, before, ["old"]) == [["a"], ["b"]]


def test_a_group_that_stays_and_whose_port_another_one_takes_goes_with_that_one(bundles):
    """It cannot run on here: if the other one does not come up, it is started again."""
    before = {"j": [group("old", 1), group("a")]}
    assert bundles({"j": [group("old", runs=False), group("a"), group("b", 1)]}, before, ["old"]) == [["old", "b"], ["a"]]


def test_a_group_that_has_been_given_up_in_the_ledger_is_not_forgotten_by_the_rest_of_its_switch(tmp_path):
    """Whether it stays was decided before: what is left to do of it is done."""
    book = Ledger(str(tmp_path))
    ended = {**group("old", runs=False), "release": "r2", "committed": 1.0, "leftovers": SOMETHING, "started": {}}
    book.save({"namespace": "n", "name": "j", **ledger.whole("new"), "groups": {"old": ended}})
    jobs = [{"namespace": "n", "name": "j", "groups": [group("old", runs=False), group("b", 1)]}]
    manifest = {"release": "r2", "who": "me", "keep_data": False, "jobs": jobs}
    found = [[one["id"] for _job, one in members] for members in handover.bundles(manifest, book, ["old"], set())]
    assert found == [["old"], ["b"]]


def test_a_group_that_changes_and_loses_an_instance_is_not_left_out(bundles):
    assert bundles({"j": [group("a")]}, {"j": [group("a")]}, ["a"]) == [["a"]]


def test_groups_that_swap_ports(bundles):
    before = {"j": [group("a", 1), group("b", 2), group("c", 3)]}
    assert bundles({"j": [group("a", 2), group("b", 1), group("c", 3)]}, before) == [["a", "b"], ["c"]]


def test_a_port_that_another_job_gives_up(bundles):
    before = {"j": [group("a", 1)], "k": [group("b", 2), group("c")]}
    assert bundles({"j": [group("a", 9)], "k": [group("b", 2, 1), group("c")]}, before) == [["a", "b"], ["c"]]


@pytest.mark.parametrize(("address", "tied"), [("0.0.0.0", True), ("::", True), ("127.0.0.1", True), ("127.0.0.2", False)])
def test_a_port_at_another_address(bundles, address, tied):
    found = bundles({"j": [group("a"), group("b", 1, address=address)]}, {"j": [group("a", 1)]})
    assert found == ([["a", "b"]] if tied else [["a"], ["b"]])
