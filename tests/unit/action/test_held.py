# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a robot is asked before its identities are deleted; one that gives no answer fails no run."""

from __future__ import annotations

import types

import pytest
from ansible.errors import AnsibleConnectionFailure

from ansible_collections.k8s4r.robot.plugins.plugin_utils.actions import held

RUN = {"robots": {"a": {"jobs": [{"namespace": "n", "name": "j", "digest": "d", "empty": False}]}}}
LOST = AnsibleConnectionFailure("no route to host")


class Held(held.ActionModule):
    """The action on a robot that answers so; it keeps what it was asked."""

    def __init__(self, answer, check: bool = False) -> None:
        self._task = types.SimpleNamespace(check_mode=check)
        self._answer = answer
        self.asked = []

    def ask_again(self, request, *_others, **_more):
        self.asked.append(request)
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


def act(action):
    return action.act({"compiled": "k8s4r_compiled"}, {"inventory_hostname": "a", "k8s4r_compiled": RUN})


def test_a_robot_names_the_units_of_the_jobs_of_the_run():
    action = Held({"status": "ok", "units": ["k8s4r-proxy-g.service"]})
    assert act(action) == {"changed": False, "units": ["k8s4r-proxy-g.service"]}
    assert action.asked == [{"op": "held", "jobs": [{"namespace": "n", "name": "j"}]}]


@pytest.mark.parametrize(
    ("answer", "why"), [(LOST, "no route to host"), ({"status": "refused", "errors": ["x is damaged"]}, "x is damaged")]
)
def test_of_a_robot_that_does_not_answer_nothing_is_known_and_that_is_said(answer, why):
    result = act(Held(answer))
    assert "units" not in result
    (warning,) = result["warnings"]
    assert warning.startswith(f"a: cannot say what it has now ({why}); its identities that are no longer needed stay registered")


def test_a_check_asks_nothing():
    action = Held(LOST, check=True)
    assert (act(action), action.asked) == ({"changed": False}, [])
