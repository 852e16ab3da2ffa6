# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work for many robots, shared among processes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import typing as t

import pytest

from ansible_collections.k8s4r.robot.plugins.plugin_utils.run import parts

ROBOTS = range(parts.FEWEST * 3 + 50)


@pytest.fixture(autouse=True)
def _three_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "_processors", lambda: 3)


def part(robots: t.Sequence[int]) -> tuple[int, list[int]]:
    return os.getpid(), list(robots)


def test_each_part_is_done_in_a_process_of_its_own_and_all_come_back_in_order():
    found = parts.in_parts(part, ROBOTS)
    assert len({process for process, _robots in found}) == 3
    assert found[0][0] == os.getpid()
    assert [robot for _process, robots in found for robot in robots] == list(ROBOTS)


@pytest.mark.parametrize("robots", [0, 1, parts.FEWEST * 2 - 1])
def test_a_small_fleet_needs_no_other_process(robots: int):
    assert parts.in_parts(part, range(robots)) == [(os.getpid(), list(range(robots)))]


@pytest.mark.parametrize("of", [ROBOTS[0], ROBOTS[-1]], ids=["the first part", "another"])
def test_an_error_of_any_part_is_raised(of: int):
    def work(robots: t.Sequence[int]) -> None:
        if of in robots:
            raise ValueError("this one")

    with pytest.raises(ValueError, match="this one"):
        parts.in_parts(work, ROBOTS)


def test_what_a_process_had_to_do_that_was_killed_is_done_all_the_same():
    here = os.getpid()

    def work(robots: t.Sequence[int]) -> list[int]:
        if os.getpid() != here:
            os.kill(os.getpid(), signal.SIGKILL)
        return list(robots)

    assert [robot for robots in parts.in_parts(work, ROBOTS) for robot in robots] == list(ROBOTS)


def test_what_a_process_does_not_come_to_the_end_of_is_done_here(monkeypatch: pytest.MonkeyPatch):
    here = os.getpid()
    monkeypatch.setattr(parts, "PATIENCE", 0.5)

    def work(robots: t.Sequence[int]) -> list[int]:
        if os.getpid() != here:
            signal.pause()
        return list(robots)

    assert [robot for robots in parts.in_parts(work, ROBOTS) for robot in robots] == list(ROBOTS)
    assert not multiprocessing.active_children()


def test_a_process_that_fails_prints_nothing(capfd: pytest.CaptureFixture[str]):
    here = os.getpid()

    def work(robots: t.Sequence[int]) -> list[int]:
        if os.getpid() != here:
            raise KeyboardInterrupt
        return list(robots)

    assert [robot for robots in parts.in_parts(work, ROBOTS) for robot in robots] == list(ROBOTS)
    assert capfd.readouterr() == ("", "")


def test_where_no_process_can_be_made_all_is_done_here(monkeypatch: pytest.MonkeyPatch):
    def refuse() -> t.NoReturn:
        raise BlockingIOError

    monkeypatch.setattr(os, "fork", refuse)
    assert [process for process, _robots in parts.in_parts(part, ROBOTS)] == [os.getpid()] * 3
