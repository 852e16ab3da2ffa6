# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a file is sent in parts to robots that lose them, by accident or because they mean to keep a run."""

from __future__ import annotations

import tempfile

import pytest

from ansible_collections.k8s4r.robot.plugins.plugin_utils.supply import sending
from ansible_collections.k8s4r.robot.plugins.plugin_utils.supply.store import Found

SIZE = 40
# More calls than any of these robots may cause.
MANY = 1000


class Robot:
    """`answer(number, at, length)`: how much it says that it has, at the call of this number."""

    def __init__(self, answer):
        self.calls, self._answer = 0, answer

    def __call__(self, request, part, _speed):
        self.calls += 1
        assert self.calls < MANY, "the run never ends"
        return self._answer(self.calls, request["at"], len(part)) if part else 0


@pytest.fixture
def found(monkeypatch):
    """A file of several parts."""
    monkeypatch.setattr(sending, "FIRST", 4)
    monkeypatch.setattr(sending, "LARGEST", 4)
    with tempfile.TemporaryFile() as file:
        file.write(b"x" * SIZE)
        file.flush()
        yield Found("a" * 64, SIZE, file.fileno(), "", None)


@pytest.mark.parametrize(
    "answer",
    [
        lambda _number, at, _length: at,
        lambda number, at, length: at + length if number % 2 else 0,
        # It has a byte more each time, of all that it is sent.
        lambda _number, at, _length: at + 1,
        lambda number, at, length: max(0, at + (length if number % 3 else -2 * length)),
    ],
)
def test_a_robot_that_keeps_nothing_of_what_it_is_sent_does_not_keep_the_run(found, answer):
    robot = Robot(answer)
    with pytest.raises(sending.Unsent, match="the robot takes no further part of sha256:a"):
        sending.send(found, robot, lambda _here: None)


def test_a_robot_whose_cache_was_emptied_gets_the_file_from_its_beginning(found):
    said = []
    sending.send(found, Robot(lambda number, at, length: 0 if number == 8 else at + length), said.append)
    assert said == [4, 8, 12, 16, 20, 24, 0, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40]
