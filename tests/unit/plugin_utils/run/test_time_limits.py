# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a robot may take to answer."""

from __future__ import annotations

import time

import pytest
from ansible.errors import AnsibleConnectionFailure

from ansible_collections.k8s4r.robot.plugins.plugin_utils.run import action
from ansible_collections.k8s4r.robot.plugins.plugin_utils.transport.exec import Outcome

ANSWER_AFTER = 0.3


class Connection:
    """A connection plugin with these options."""

    def __init__(self, **options: int | None) -> None:
        self.options = options

    def has_option(self, name: str) -> bool:
        return name in self.options

    def get_option(self, name: str) -> int | None:
        return self.options[name]


class Slow(action.RobotAction):
    """An action whose robot takes its time."""

    def __init__(self) -> None:
        """Without a task: none of it is needed for a command."""
        self._connection = Connection()

    def shell(self, command: str, content: bytes | None = None) -> Outcome:
        """Answers after a while."""
        del content
        time.sleep(ANSWER_AFTER)
        return Outcome(0, command, "")


def test_a_call_may_take_longer_when_it_carries_more(monkeypatch):
    monkeypatch.setattr(action, "FIRST_CALL", ANSWER_AFTER / 3)
    monkeypatch.setattr(action, "NEXT_CALL", ANSWER_AFTER / 3)
    with pytest.raises(AnsibleConnectionFailure, match="no answer within"):
        Slow()._execute("true", b"")
    assert Slow()._execute("true", b"x" * int(action.SLOWEST * ANSWER_AFTER * 30)).status == 0


@pytest.mark.parametrize(
    ("took", "patience"),
    [
        ([], 25),
        ([(0.2, 0)], 8),
        # It waits 4 s for its own work; a lost link is noticed as soon as before.
        ([(0.2, 0), (4.2, 0)], 8.6),
        # It takes 3.5 s to begin with anything, and to end with it.
        ([(3.5, 0)], 14.5),
        ([(3.5, 0), (10.0, 0)], 26),
        # What it was sent may take a slow link 10 s; here it was the robot that took its time.
        ([(6.0, 10)], 22),
        ([(0.2, 0), (6.0, 10)], 14),
        # The link, for the most part.
        ([(0.2, 0), (90.0, 88)], 8),
    ],
)
def test_who_is_slow_to_answer_at_once_may_be_slower_when_there_is_work(monkeypatch, took, patience):
    asked = Slow()
    clock = [0.0]

    def answers(seconds):
        def shell(_command, _content=None):
            clock[0] += seconds
            return Outcome(0, "", "")

        return shell

    monkeypatch.setattr(action.time, "monotonic", lambda: clock[0])
    for seconds, sending in took:
        monkeypatch.setattr(asked, "shell", answers(seconds), raising=False)
        asked._execute("true", b"x" * int(action.SLOWEST * sending))
    assert asked._patience() == pytest.approx(patience)


@pytest.mark.parametrize(
    ("options", "seconds"),
    [
        # As of Ansible's `local`, and of its ssh with nothing set.
        ({}, 8),
        ({"timeout": 10, "reconnection_retries": 0}, 8),
        ({"timeout": 5, "reconnection_retries": None}, 8),
        ({"timeout": 30, "reconnection_retries": 0}, 28),
        # Four times, and Ansible waits 0, 1 and 3 s before it tries again.
        ({"timeout": 10, "reconnection_retries": 3}, 36),
        ({"timeout": 12, "reconnection_retries": 7}, 80 + 0 + 1 + 3 + 7 + 15 + 30 + 30),
    ],
)
def test_whoever_tells_ssh_to_be_patient_is_not_cut_short(options, seconds):
    asked = Slow()
    asked._connection = Connection(**options)
    assert asked.on_this_link(8) == seconds


class Endless(Slow):
    """An action whose robot always says that it has got on. An hour passes between two answers."""

    hours = 0

    def ask_again(self, request, _variables):
        """The robot's answer, another one each time."""
        assert request == {"op": "poll", "release": "r"}
        self.hours += 1
        return {"status": "pending", "release": "r", "progress": f"{self.hours} MiB"}


def test_a_robot_that_gets_on_for_ever_holds_nobody_up_for_longer_than_a_day(monkeypatch):
    robot = Endless()
    monkeypatch.setattr(action.time, "monotonic", lambda: robot.hours * 3600.0)
    monkeypatch.setattr(action.time, "sleep", lambda _seconds: None)
    with pytest.raises(action.ActionProblem, match="the robot has not finished after 90000 s; it continues on its own"):
        robot.until_done({"status": "pending", "release": "r"}, {}, 3600.0, patient=True)
    assert robot.hours == 25
