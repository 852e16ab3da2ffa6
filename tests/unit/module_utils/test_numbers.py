# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which numbers users of groups get: none that anybody had before."""

from __future__ import annotations

import pathlib

import pytest

from ansible_collections.k8s4r.robot.plugins.module_utils._engine.resources import user
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.say.errors import CommandFailed

FIRST, LAST = user.NUMBERS[0], user.NUMBERS[-1]


@pytest.fixture
def given(robot):
    return pathlib.Path(robot.state, user.GIVEN)


def test_every_user_gets_a_number_of_its_own_and_the_same_one_again(robot, given):
    numbers = [user._number(name, robot) for name in ("k8s4r-a", "k8s4r-b", "k8s4r-a")]
    assert numbers == [FIRST, FIRST + 1, FIRST]
    assert given.read_text() == f"k8s4r-a {FIRST}\nk8s4r-b {FIRST + 1}\n"


def test_numbers_that_are_lost_from_one_of_two_files_are_not_given_again(robot, given):
    first = user._number("k8s4r-a", robot)
    given.write_text("")
    assert user._number("k8s4r-b", robot) != first


def test_a_line_that_was_cut_off_costs_nobody_else_a_number(robot, given):
    given.write_text(f"k8s4r-a {FIRST}\nk8s4r-b {FIRST + 1}\nk8s4r-c")
    assert user._number("k8s4r-b", robot) == FIRST + 1
    assert user._number("k8s4r-c", robot) == FIRST + 2


def test_when_all_numbers_were_given_no_user_is_made_and_it_is_said_what_to_do(robot, given):
    given.write_text("".join(f"k8s4r-{number} {number}\n" for number in user.NUMBERS))
    assert user._number(f"k8s4r-{LAST}", robot) == LAST
    with pytest.raises(
        CommandFailed, match=f"no number is left for the user k8s4r-new: 4336 have been given.*{given} and its copy list them"
    ):
        user._number("k8s4r-new", robot)
