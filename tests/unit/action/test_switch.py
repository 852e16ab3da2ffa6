# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files of callers stay as they are in each turn of a switch."""

from __future__ import annotations

import types

import pytest

from ansible_collections.k8s4r.robot.plugins.plugin_utils.actions import switch
from ansible_collections.k8s4r.robot.plugins.plugin_utils.run import moves

LATE, READY = "/proxy/endpoints-late.json", "/proxy/endpoints-ready.json"
# Of a group of this run, beside those of others.
OWN = "/proxy/endpoints-own.json"
FOLLOWERS = {
    LATE: {"group": "default/shop/front", "services": ["default/shop/late/http"], "after": ["b"]},
    READY: {"group": "default/shop/front", "services": ["default/shop/ready/http"], "after": ["c"]},
}
TELL = {"op": "tell", "files": [{"path": path, "content": "new"} for path in (LATE, READY)], "who": "tester"}
MOVE = {"group": "default/shop/old", "to": {0: "c"}, "after": {}, "callers": [], "absent": {}}


class Vars(dict):
    """The variables of all robots."""

    def raw_get(self, robot):
        return self[robot]


class Switch(switch.ActionModule):
    """The action on a robot that accepts each switch; it keeps what it was asked."""

    def __init__(self) -> None:
        self._task = types.SimpleNamespace(check_mode=False)
        self._display = types.SimpleNamespace(v=lambda _text: None, display=lambda _text: None)
        self.asked = []
        self.tells = "ok"

    def ask_again(self, request, variables):
        """Nothing is lost."""
        return self.call(request, variables)

    def call(self, request, *_others, **_more):
        """The switch ends at once."""
        self.asked.append(request)
        if request["op"] == "tell":
            said = {"digest": "", "serves": [], "calls": [], "pods": []}
            return {"status": self.tells, "changes": [file["path"] for file in request["files"]], "mesh": said, "errors": ["it is full"]}
        return {"status": "committed", "changes": [], "units": {}, "rest": f"{request['release']}-rest" if request.get("hold") else ""}


def of_robot_a(**more):
    """The variables of a robot that has prepared a release."""
    return {
        "inventory_hostname": "a",
        "ansible_play_hosts": ["a", "b", "c"],
        "k8s4r_prepared": {"status": "staged", "release": "one", "endpoints": [], "steps": [], "diff": []},
        **more,
    }


@pytest.mark.parametrize(("late", "held"), [("rolled-back", [LATE]), ("committed", [])])
def test_what_callers_were_not_told_in_their_turn_they_are_not_told_when_something_else_goes(late, held):
    """On the same robot, a group is given up that has moved well."""
    action = Switch()
    of_a = of_robot_a(k8s4r_collected={"moves": {"a": {"old": MOVE}}, "followers": {"a": FOLLOWERS}})
    asked_again = {"k8s4r_prepared": {"status": "unchanged"}}
    others = {"b": {"k8s4r_switched": {"status": late}, **asked_again}, "c": {"k8s4r_switched": {"status": "committed"}, **asked_again}}
    variables = {**of_a, "hostvars": Vars(a=of_a, **others)}
    options = {name: option["default"] for name, option in action.ARGUMENTS.items()}

    def turn(name, **more):
        variables[name] = of_a[name] = action.act({**options, **more}, variables)
        return variables[name]

    turn("k8s4r_switched")
    assert action.asked.pop()["hold"] == [LATE, READY]
    followed = turn("k8s4r_followed", turn="follow")
    assert (followed["status"], followed.get("untold", [])) == ("stays" if held else "committed", held)
    assert action.asked == [{"op": "switch", "release": "one-rest", "spare": ["old"], "hold": held}]
    action.asked.clear()
    turn("k8s4r_switched", turn="give_up")
    (last,) = action.asked
    assert (last["hold"], last["spare"]) == (held, [])


@pytest.mark.parametrize(("late", "asked"), [(READY, 1), (LATE, 0)])
def test_callers_are_told_unless_all_that_they_have_waits_for_others(late, asked):
    """Nothing moves away from their robot, so there is no later turn in which they would be."""
    action = Switch()
    files = {path: FOLLOWERS[path] for path in (LATE, late)}
    of_a = of_robot_a(k8s4r_collected={"followers": {"a": files}}, k8s4r_switched={"status": "committed", "rest": "one-rest"})
    others = {"b": {"k8s4r_switched": {"status": ""}}, "c": {"k8s4r_switched": {"status": "committed"}}}
    options = {name: option["default"] for name, option in action.ARGUMENTS.items()}
    told = action.act({**options, "turn": "follow"}, {**of_a, "hostvars": Vars(a=of_a, **others)})
    assert [request["hold"] for request in action.asked] == [[LATE]] * asked
    assert (told["status"], told["untold"], len(told["warnings"])) == ("stays", [LATE], 1)


@pytest.mark.parametrize(("group", "status"), [("default/shop/ready", "committed"), ("default/shop/late", "stays")])
def test_what_is_called_goes_although_callers_of_something_else_keep_what_they_have(group, status):
    action = Switch()
    move = {"group": group, "to": {}, "after": {}, "callers": ["c"], "absent": {}}
    of_a = of_robot_a(k8s4r_collected={"moves": {"a": {"old": move}}, "followers": {"c": FOLLOWERS}})
    others = Vars(a=of_a, b={}, c={"k8s4r_followed": {"status": "stays", "untold": [LATE]}})
    options = {name: option["default"] for name, option in action.ARGUMENTS.items()}
    assert action.act({**options, "turn": "give_up"}, {**of_a, "hostvars": others})["status"] == status


@pytest.mark.parametrize(
    ("again", "why"),
    [
        ({"status": "unchanged"}, ""),
        # It gives something up itself.
        ({"status": "staged", "summary": [{"group": "default/shop/late", "unit": "r0 app", "does": "goes", "why": []}]}, ""),
        ({"status": "staged", "summary": [{"group": MOVE["group"], "unit": "", "does": "new", "why": []}]}, moves.LOST),
        # Another run is at work there.
        ({"status": "refused", "errors": ["somebody is changing this robot"]}, moves.SILENT),
        ({"status": "stale"}, moves.SILENT),
        ({}, moves.SILENT),
    ],
)
def test_nothing_goes_before_the_robot_that_took_it_over_has_said_that_it_still_has_it(again, why):
    action = Switch()
    of_a = of_robot_a(k8s4r_collected={"moves": {"a": {"old": MOVE}}})
    other = {"k8s4r_switched": {"status": "unchanged"}, "k8s4r_prepared": again}
    options = {name: option["default"] for name, option in action.ARGUMENTS.items()}
    result = action.act({**options, "turn": "give_up"}, {**of_a, "hostvars": Vars(a=of_a, c=other)})
    assert (result["status"], len(action.asked)) == (("stays", 0) if why else ("committed", 1))
    assert [why in text for text in result["warnings"]] == [True] * bool(why)


@pytest.fixture
def away(monkeypatch, tmp_path):
    monkeypatch.setenv("K8S4R_HOME", str(tmp_path))


def followed(status, late, tells="ok", own=False):
    """What the turn of those that follow comes to on a robot with groups of other jobs, and what it was asked."""
    action = Switch()
    action.tells = tells
    rest = {"k8s4r_switched": {"status": "committed", "rest": "one-rest"}} if own else {}
    prepared = {"status": status, "release": "one", "endpoints": [], "steps": ["x"], "diff": [], "tell": TELL}
    files = {**FOLLOWERS, **({OWN: {**FOLLOWERS[READY], "after": ["c"]}} if own else {})}
    of_a = of_robot_a(k8s4r_prepared=prepared, k8s4r_collected={"followers": {"a": files}}, **rest)
    others = {"b": {"k8s4r_switched": {"status": late}}, "c": {"k8s4r_switched": {"status": "committed"}}}
    options = {name: option["default"] for name, option in action.ARGUMENTS.items()}
    variables = {**of_a, "hostvars": Vars(a=of_a, **others)}
    first = action.act(options, variables)
    before = [request for request in action.asked if request["op"] == "switch"]
    action.asked.clear()
    return first, before, action.act({**options, "turn": "follow"}, variables), action.asked


@pytest.mark.usefixtures("away")
@pytest.mark.parametrize(("status", "begins"), [("tells", "unchanged"), ("recorded", "committed")])
def test_groups_of_other_jobs_are_told_in_the_turn_of_those_that_follow(status, begins):
    first, before, told, asked = followed(status, "committed")
    assert (first["status"], first["changed"], before) == (begins, False, [])
    assert (told["status"], told["changed"], told["changes"]) == ("committed", True, [LATE, READY])
    assert asked == [TELL]


@pytest.mark.usefixtures("away")
def test_groups_of_other_jobs_are_not_told_of_what_is_not_ready():
    _first, _before, told, asked = followed("tells", "rolled-back")
    assert [file["path"] for file in asked[0]["files"]] == [READY]
    assert (told["status"], told["changed"], told["untold"]) == ("stays", True, [LATE])
    assert "a: default/shop/front keeps its endpoints of default/shop/late/http" in told["warnings"][0]


@pytest.mark.usefixtures("away")
def test_what_the_robot_holds_back_of_this_run_goes_on_beside_them():
    _first, (switch,), told, asked = followed("staged", "rolled-back", own=True)
    assert switch["hold"] == [OWN]
    assert [request["op"] for request in asked] == ["tell", "switch"]
    assert (asked[1]["hold"], told["status"], told["untold"]) == ([], "stays", [LATE])


@pytest.mark.usefixtures("away")
def test_a_robot_on_which_nobody_can_be_told_has_failed():
    _first, _before, told, _asked = followed("tells", "committed", tells="failed")
    assert told["failed"]
    assert "it is full" in told["msg"]
