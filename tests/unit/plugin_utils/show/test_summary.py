# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run changes, in lines for a person."""

from __future__ import annotations

import pytest

from ansible_collections.k8s4r.robot.plugins.plugin_utils.run.moves import ASIDE, FAILED, OFF, moves
from ansible_collections.k8s4r.robot.plugins.plugin_utils.show import summary

RESTART = {"group": "default/shop/web", "unit": "r0 store", "does": "restart", "why": ["env SPEED"]}


def goes(name="default/shop/old", whole=True, units=("r0 store",), data=12_000_000, kept=0):
    return {"old-1": {"name": name, "whole": whole, "units": list(units), "data": data, "kept": kept}}


def lines(answers, placed=None, lost=(), aside=(), jobs=(), failed=(), absent=None):
    moving = {name: moves(name, answers, placed or {}, absent=absent or {}) for name in answers}
    return [summary.line(said) for said in summary.summary(answers, moving, list(lost), aside=list(aside), jobs=jobs, failed=failed)]


def test_robots_of_which_the_same_is_said_share_a_line():
    other = {**RESTART, "unit": "r1 store"}
    assert lines({"b": {"summary": [RESTART, other]}, "a": {"summary": [RESTART]}, "c": {"status": "unchanged"}}) == [
        "a, b: web r0 store: restart (env SPEED)",
        "b: web r1 store: restart (env SPEED)",
    ]


def test_many_robots_and_reasons_are_counted():
    answers = {f"r{number:02}": {"summary": [{**RESTART, "why": [f"env V{one}" for one in range(9)]}]} for number in range(20)}
    assert lines(answers) == [
        "r00, r01, r02, r03, r04, r05 and 14 more: web r0 store: restart (env V0, env V1, env V2, env V3, env V4, env V5 and 3 more)"
    ]


def test_a_group_is_called_by_what_tells_it_from_the_others():
    def called(*groups):
        return [text.split(": ")[1] for text in lines({"a": {"summary": [{**RESTART, "group": group, "unit": ""} for group in groups]}})]

    assert called("default/shop/web", "default/shop/db") == ["web", "db"]
    assert called("default/shop/web", "default/pay/web") == ["shop/web", "pay/web"]
    assert called("default/shop/web", "test/shop/web") == ["default/shop/web", "test/shop/web"]


def test_a_run_of_several_jobs_names_the_job_of_a_group_though_no_other_changes():
    answers = {"a": {"summary": [RESTART]}}
    assert lines(answers, jobs=["default/shop", "default/pay"]) == ["a: shop/web r0 store: restart (env SPEED)"]
    assert lines(answers, jobs=["default/shop"]) == ["a: web r0 store: restart (env SPEED)"]
    assert lines({"a": {"goes": goes(data=0)}}, jobs=["default/shop", "test/pay"]) == ["a: default/shop/old: goes"]


def test_what_goes_is_said_with_its_data():
    assert lines({"a": {"goes": goes()}}) == ["a: old: goes, with 11.4 MiB of data"]
    assert lines({"a": {"goes": goes(data=0)}}) == ["a: old: goes"]
    stays = "its 11.4 MiB of data stay until a run without keep_data=true"
    assert lines({"a": {"goes": goes(data=0, kept=12_000_000)}}) == [f"a: old: goes; {stays}"]
    assert lines({"a": {"goes": goes(data=0, kept=12_000_000)}}, {"default/shop/old": {"b": [0]}}) == [
        f"a: old: moves away from a to b; {stays}"
    ]
    # Of a group that was removed before, whose data was kept.
    assert lines({"a": {"goes": goes(units=[])}}) == ["a: old: 11.4 MiB of kept data is deleted"]
    assert lines({"a": {"goes": goes(whole=False, units=["r1 store", "r1 report"])}}) == [
        "a: old r1 store, r1 report: go, with 11.4 MiB of data",
    ]


def test_what_moves_away_is_said_with_the_robot_that_it_moves_to():
    moved = "a: old: moves away from a to b; its 11.4 MiB of data on a are deleted"
    assert lines({"a": {"goes": goes()}}, {"default/shop/old": {"b": [0]}}) == [moved]
    going = goes(whole=False, units=["r1 store", "r2 store"])
    assert lines({"a": {"goes": going}}, {"default/shop/old": {"a": [0], "b": [1]}}) == [
        "a: old r1: moves away from a to b; its 11.4 MiB of data on a are deleted",
        "a: old r2 store: goes",
    ]


def test_a_group_without_tasks_moves_and_stays_as_a_whole():
    """Its proxy is of no instance."""
    gateway = {"goes": goes(units=["proxy"])}
    new = {"summary": [{"group": "default/shop/old", "unit": "", "does": "new", "why": ["proxy"]}]}
    placed = {"default/shop/old": {"b": [0], "c": [1]}}
    moves_away = "a: old: moves away from a to {}; its 11.4 MiB of data on a are deleted"
    assert lines({"a": gateway, "b": new}, {"default/shop/old": {"b": [0]}})[0] == moves_away.format("b")
    assert lines({"a": gateway, "b": new, "c": new}, placed)[0] == moves_away.format("b, c")
    assert lines({"a": gateway, "b": {}}, placed, absent={"c": OFF})[0] == "a: old: stays on a, because c is off"
    assert lines({"a": gateway, "b": {}, "c": {}}, placed) == ["a: old: goes, with 11.4 MiB of data"]


@pytest.mark.parametrize("why", [ASIDE, OFF, FAILED])
def test_what_cannot_move_now_is_said_to_stay(why):
    absent = {"b": why}
    placed = {"default/shop/old": {"b": [0, 1]}}
    assert lines({"a": {"goes": goes()}}, placed, absent=absent) == [f"a: old: stays on a, because b {why}"]
    several = goes(units=["r0 store", "r1 store"])
    assert lines({"a": {"goes": several}}, placed, absent=absent) == [f"a: old: stays on a, because b {why}"]
    part = goes(whole=False, units=["r1 store"])
    assert lines({"a": {"goes": part}}, placed, absent=absent) == [f"a: old r1: stays on a, because b {why}"]
    # Nothing of the group goes before all of it may.
    part = goes(whole=False, units=["r1 store", "r2 store"])
    assert lines({"a": {"goes": part}}, placed, absent=absent) == [f"a: old r1, r2 store: stay on a, because b {why}"]


def test_robots_that_are_off_and_what_is_installed_have_their_lines():
    assert lines({"a": {"missing": ["envoy"]}}, lost=["b", "c"]) == ["a: envoy is installed or started first", "b, c: off, run again"]
    assert lines({}, lost=["b", "c"], failed=["c"]) == ["b: off, run again", "c: failed, as said above; run again"]


def test_robots_outside_of_the_run_are_named_where_something_changes():
    answers = {"a": {"summary": [RESTART]}}
    restart = "a: web r0 store: restart (env SPEED)"
    assert lines(answers, aside=["b"]) == [restart, "b: not in this run (--limit), left as it is"]
    assert lines(answers, aside=["b", "c"]) == [restart, "b, c: not in this run (--limit), left as they are"]
    assert lines({"a": {"status": "unchanged"}}, aside=["b"]) == []


def test_the_machine_of_the_spire_server_has_the_last_line_if_agents_are_installed():
    answers = {"a": {"missing": ["spire_agent"]}}
    assert [summary.line(said) for said in summary.summary(answers, {}, ["b"], ["hub"])] == [
        "a: spire_agent is installed or started first",
        "b: off, run again",
        "hub: the SPIRE server is installed or started first if it does not run",
    ]


def test_an_interrupted_switch_is_rolled_back_first():
    assert lines({"a": {"summary": [{"group": "", "unit": "", "does": "rolls back release 1", "why": []}, RESTART]}}) == [
        "a: rolls back release 1",
        "a: web r0 store: restart (env SPEED)",
    ]


@pytest.mark.parametrize(
    ("number", "text"), [(4096, "4.0 KiB"), (999_000, "975.6 KiB"), (12_582_912, "12.0 MiB"), (2.5e9, "2.3 GiB"), (3e15, "2728.5 TiB")]
)
def test_an_amount_of_data(number, text):
    assert summary.size(number) == text


@pytest.mark.parametrize(
    ("jobs", "there", "said"),
    [
        (["default/wbe"], ["default/db", "default/web"], "default/wbe; did you mean default/web?"),
        (["default/web"], ["fleet/web", "test/web", "default/wep"], "default/web; did you mean fleet/web or test/web?"),
        (["default/x", "default/wbe"], ["default/web"], "default/x, default/wbe; did you mean default/web?"),
        (["default/x"], ["default/db", "default/web"], "default/x; there are: default/db, default/web"),
        (["default/x"], [], "default/x; they have no job at all"),
    ],
)
def test_a_removal_that_finds_nothing_names_what_is_there(jobs, there, said):
    assert summary.nothing_to_remove("of this run", jobs, there) == f"No robot of this run has any of these jobs: {said}"
