# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What moves from one robot to another, and when the one may give it up."""

from __future__ import annotations

import pytest

from ansible_collections.k8s4r.robot.plugins.plugin_utils.run.moves import ASIDE, FAILED, LOST, OFF, moves, waiting

WEB = "default/shop/web"
PLACED = {WEB: {"b": [0, 1], "c": [2]}}


def goes(*units, group=WEB):
    return {"id": {"name": group, "whole": True, "units": list(units), "data": 0}}


@pytest.mark.parametrize(
    ("answer", "to"),
    [
        (goes("r1 server", "r1 logger", "proxy", "init fetch"), {1: "b"}),
        (goes("r0 server", "r2 server"), {0: "b", 2: "c"}),
        (goes("r7 server"), None),
        (goes("r1 server", group="default/shop/old"), None),
        (goes("r1 server", "schedule"), {1: "b"}),
        (goes(), None),
        ({}, None),
    ],
    ids=["to one robot", "to two", "none runs it any more", "the group ends", "of a schedule", "kept data", "nothing goes"],
)
def test_what_moves_away(answer, to):
    assert moves("a", {"a": {"goes": answer}}, PLACED) == (
        {"id": {"group": WEB, "to": to, "after": {}, "callers": [], "absent": {}}} if to else {}
    )


def test_an_instance_that_every_robot_has_moves_nowhere():
    leaves = {"a": {"goes": goes("r0 server")}}
    for answers, placed in ((leaves, {"b": [0], "c": [0]}), ({**leaves, "b": {}}, {"b": [0]})):
        assert moves("a", answers, {WEB: placed}, everywhere=[WEB]) == {}
    # But where it is new, or may be, it takes over from the robot that it leaves.
    for answers in ({**leaves, "b": new(WEB)}, leaves):
        assert moves("a", answers, {WEB: {"b": [0]}}, everywhere=[WEB])["id"]["to"] == {0: "b"}


def test_what_a_robot_runs_itself_does_not_move_away_from_it():
    assert moves("b", {"b": {"goes": goes("r1 server")}}, PLACED) == {}


def new(group, unit=""):
    return {"summary": [{"group": group, "unit": unit, "does": "new", "why": []}]}


GATEWAY = {"a": {"goes": goes("proxy")}}


@pytest.mark.parametrize(
    ("others", "after"),
    [
        ({"b": new(WEB), "c": new(WEB)}, ["b", "c"]),
        ({"b": new(WEB), "c": {}}, ["b"]),
        ({"b": {}}, ["c"]),
        ({"b": new(WEB)}, ["b"]),
        ({"b": {}, "c": new("default/shop/other")}, []),
    ],
    ids=["new on both", "one had it before", "one is off", "one is off that may have had it before", "both had it before"],
)
def test_a_group_without_tasks_goes_when_those_have_it_on_which_it_is_new(others, after):
    """Its proxy is of no instance."""
    found = moves("a", {**GATEWAY, **others}, PLACED, absent={"c": OFF} if "c" not in others else {})
    absent = {"c": OFF} if "c" in after and "c" not in others else {}
    assert found == ({"id": {"group": WEB, "to": {}, "after": dict.fromkeys(after, WEB), "callers": [], "absent": absent}} if after else {})
    assert waiting(found, lambda _robot: "committed") == {}


def test_a_group_without_tasks_stays_where_those_that_are_to_have_it_are_off_or_fail():
    for answers, why in (
        ({"b": new(WEB)}, "the run failed on b, which is to take over; fix b and run again"),
        ({"b": {}}, "c, which is to take over, is off; run again when c is on"),
    ):
        found = moves("a", {**GATEWAY, **answers}, PLACED, absent={"c": OFF})
        assert waiting(found, lambda _robot: "") == {"id": f"{WEB} is kept here because {why}"}
    # Of a system job, another robot that is off has had it, as far as anybody knows.
    assert moves("a", {**GATEWAY, "b": {}}, {WEB: {"b": [0], "c": [0]}}, everywhere=[WEB]) == {}
    assert moves("a", GATEWAY, {WEB: {"c": [0]}}, everywhere=[WEB])["id"]["after"] == {"c": WEB}


OLD = goes("r0 server", group="default/shop/old")


@pytest.mark.parametrize(
    ("a", "b", "after"),
    [
        ({}, new("default/shop/new"), {"b": "default/shop/new"}),
        ({}, new(WEB, "r1 server"), {"b": WEB}),
        ({}, new("default/other/new"), {}),
        ({}, {"summary": [{"group": WEB, "unit": "r0 server", "does": "restart", "why": []}]}, {}),
        (new("default/shop/new"), new("default/shop/new"), {}),
    ],
    ids=["a new group", "a new instance", "another job", "nothing new", "new on this robot, too"],
)
def test_a_group_that_ends_waits_for_what_its_job_has_new_elsewhere(a, b, after):
    found = moves("a", {"a": {"goes": OLD, **a}, "b": b}, PLACED)
    assert found == ({"id": {"group": "default/shop/old", "to": {}, "after": after, "callers": [], "absent": {}}} if after else {})
    assert list(waiting(found, lambda _robot: "rolled-back").values()) == [
        f"default/shop/old is kept here because the run failed on b, which is to take over with {after['b']}; fix b and run again"
        for _once in after
    ]


@pytest.mark.parametrize(
    ("statuses", "late"),
    [
        ({"b": "committed", "c": "unchanged"}, []),
        ({"b": "committed", "c": "rolled-back"}, ["the run failed on c, which is to take over r2; fix c and run again"]),
        ({"b": "", "c": "committed"}, ["the run failed on b, which is to take over r0; fix b and run again"]),
    ],
)
def test_it_goes_when_all_that_it_moves_to_have_it(statuses, late):
    found = waiting(moves("a", {"a": {"goes": goes("r0 server", "r2 server")}}, PLACED), statuses.__getitem__)
    assert list(found) == (["id"] if late else [])
    for text in late:
        assert text in found["id"]


def test_it_stays_where_another_run_has_taken_it_away_again_from_the_robot_that_had_it():
    found = moves("a", {"a": {"goes": goes("r0 server", "r2 server")}}, PLACED)
    said = waiting(found, lambda _robot: "unchanged", lost=lambda robot, group: LOST if (robot, group) == ("c", WEB) else "")
    assert said == {
        "id": f"{WEB} is kept here because c, which is to take over r2, no longer has it, because another run took it away; run again"
    }


@pytest.mark.parametrize(("told", "stays"), [("committed", False), ("unchanged", False), ("stays", True), ("rolled-back", True)])
def test_what_is_called_goes_when_its_callers_have_other_endpoints(told, stays):
    """Also where it moves to no other robot: there may be one instance less."""
    following = {"c": {"/path": {"group": "default/shop/front", "services": [f"{WEB}/http"], "after": []}}}
    found = moves("a", {"a": {"goes": goes("r7 server")}}, PLACED, following)
    assert found == {"id": {"group": WEB, "to": {}, "after": {}, "callers": ["c"], "absent": {}}}
    reasons = waiting(found, lambda _robot: "committed", lambda _robot, _group: told)
    why = f"{WEB} is kept here because c, which calls it, does not have its new endpoints yet; run again"
    assert list(reasons.values()) == [why] * stays


@pytest.mark.parametrize(
    ("absent", "why"),
    [
        ({"b": ASIDE}, "b, which is to take over r0, is not in this run; run again with b"),
        ({"b": OFF}, "b, which is to take over r0, is off; run again when b is on"),
        ({"b": FAILED}, "the run failed on b, which is to take over r0; fix b and run again"),
        (
            {"b": OFF, "c": ASIDE},
            "b, which is to take over r0, is off, and c, which is to take over r2, is not in this run; run again with c when b is on",
        ),
        (
            {"c": ASIDE},
            (
                "the run failed on b, which is to take over r0, and c, which is to take over r2, is not in this run;"
                " fix b and run again with c"
            ),
        ),
    ],
)
def test_a_robot_that_the_run_does_not_reach_has_not_failed(absent, why):
    units = ["r0 server", "r2 server"][: 2 if "c" in absent else 1]
    found = moves("a", {"a": {"goes": goes(*units)}}, PLACED, absent={**absent, "z": OFF})
    assert found["id"]["absent"] == absent
    assert waiting(found, lambda _robot: "") == {"id": f"{WEB} is kept here because {why}"}
