# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files of callers stay as they are in each turn of a switch."""

from __future__ import annotations

import types

import pytest

from ansible_collections.k8s4r.robot.plugins.plugin_utils.actions import switch

LATE, READY = "/proxy/endpoints-late.json", "/proxy/endpoints-ready.json"
FOLLOWERS = {
    LATE: {"group": "default/shop/front", "services": ["default/shop/late/http"], "after": ["b"]},
    READY: {"group": "default/shop/front", "services": ["default/shop/ready/http"], "after": ["c"]},
}
MOVE = {"group": "default/shop/old", "to": {0: "c"}, "after": {}, "callers": []}


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

    def call(self, request, *_others, **_more):
        """The switch ends at once."""
        self.asked.append(request)
        return {"status": "committed", "changes": [], "units": {}, "rest": f"{request['release']}-rest" if request.get("hold") else ""}


@pytest.mark.parametrize(("late", "held"), [("rolled-back", [LATE]), ("committed", [])])
def test_what_callers_were_not_told_in_their_turn_they_are_not_told_when_something_else_goes(late, held):
    """On the same robot, a group is given up that has moved well."""
    action = Switch()
    of_a = {
        "inventory_hostname": "a",
        "ansible_play_hosts": ["a", "b", "c"],
        "k8s4r_prepared": {"status": "staged", "release": "one", "endpoints": [], "steps": [], "diff": []},
        "k8s4r_collected": {"moves": {"a": {"old": MOVE}}, "followers": {"a": FOLLOWERS}},
    }
    others = {"b": {"k8s4r_switched": {"status": late}}, "c": {"k8s4r_switched": {"status": "committed"}}}
    variables = {**of_a, "hostvars": Vars(a=of_a, **others)}
    options = {name: option["default"] for name, option in action.ARGUMENTS.items()}

    def turn(name, **more):
        variables[name] = of_a[name] = action.act({**options, **more}, variables)
        return variables[name]

    turn("k8s4r_switched")
    assert action.asked.pop()["hold"] == [LATE, READY]
    assert turn("k8s4r_followed", follow=True)["status"] == ("stays" if held else "committed")
    action.asked.clear()
    turn("k8s4r_switched", moved=True)
    (last,) = action.asked
    assert (last["hold"], last["spare"]) == (held, [])
