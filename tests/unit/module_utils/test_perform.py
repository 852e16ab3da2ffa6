# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carrying out steps: what of it needs no systemd."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from ansible_collections.k8s4r.robot.plugins.module_utils._engine import plan
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.change import perform
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.change.health.wait import Unhealthy
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.change.perform import Performer, silence
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.state import ledger, manifest

JOB = {"namespace": "n", "name": "j"}


def test_the_word_that_units_started_well_is_forgotten_of_all_that_start_again(robot):
    """Died behind the restarts, and once more on the way back, a run would take an old word for the new start."""
    group = {"name": "g", "release": "r1", "committed": 1.0, "resources": [{"kind": "user", "name": "k8s4r-a"}], "leftovers": []}
    group.update(started={"a.service": "1", "b.service": "2", "c.service": "3"}, needs=[], ports=[], secrets=None)
    robot.ledger.save({**JOB, **ledger.whole("d"), "groups": {"g": group}})
    performer = Performer(robot, "r2", JOB, manifest.last_good("g", group), silence)
    performer.perform({"do": "clear", "text": "", "units": ["a.service", "b.service"], "done": [], "known": []})
    assert robot.ledger.group(JOB, "g")["started"] == {"c.service": "3"}


class Batch:
    """A unit that runs once, and a switch of its group to another release that is carried out up to its start."""

    def __init__(self, robot, done):
        self.robot = robot
        self.done = Path(done)
        unit = {**plan.unit("b.service", "", run="once", done=done), "digest": "d"}
        del unit["content"]
        group = {"name": "g", "release": "r1", "committed": 1.0, "resources": [unit], "leftovers": [], "started": {"b.service": "1"}}
        self.record = {**group, "needs": [], "ports": [], "secrets": None}
        robot.ledger.save({**JOB, **ledger.whole("d"), "groups": {"g": self.record}})
        self.clear = {"do": "clear", "text": "", "units": ["b.service"], "done": [done], "known": []}

    def forward(self):
        performer = Performer(self.robot, "r2", JOB, manifest.last_good("g", self.record), silence)
        performer.perform(self.clear)
        assert not self.done.exists()

    def back(self):
        performer = Performer(self.robot, "r2", JOB, manifest.last_good("g", self.record), silence, self.record)
        performer.perform(self.clear)
        # Killed, it does so again.
        performer.perform(self.clear)
        there = self.done.exists()
        performer.perform({"do": "commit", "text": "", "leftovers": []})
        assert self.done.exists() == there
        assert [path.name for path in self.done.parent.glob("done*")] == ["done"] * there
        return there


@pytest.fixture
def batch(robot, tmp_path):
    return Batch(robot, str(tmp_path / "done"))


def test_what_comes_to_its_end_before_it_is_stopped_does_not_keep_the_new_one_from_its_start(batch, monkeypatch):
    monkeypatch.setattr(perform.systemd, "stop", lambda _units: batch.done.touch())
    monkeypatch.setattr(perform.systemd, "show", lambda _units, _what: {})
    performer = Performer(batch.robot, "r2", JOB, manifest.last_good("g", batch.record), silence)
    performer.perform(batch.clear)
    performer.perform({**batch.clear, "do": "down"})
    assert not batch.done.exists()


@pytest.mark.parametrize("was_done", [True, False])
@pytest.mark.parametrize("times", [0, 1, 2])
@pytest.mark.parametrize("ends", [True, False])
def test_what_was_done_before_a_switch_is_done_after_its_way_back_and_nothing_else_is(batch, was_done, times, ends):
    """A switch that is killed begins its units again when it goes on, or for the first time on the way back. They may come to their end
    before the kill.
    """
    if was_done:
        batch.done.touch()
    for _time in range(times):
        batch.forward()
        if ends:
            batch.done.touch()
    assert batch.back() == was_done


def test_what_was_done_stays_so_where_a_switch_is_killed_before_it_forgets_that_the_unit_started(batch, monkeypatch):
    batch.done.touch()
    with monkeypatch.context() as killed:
        # As if it had been killed before that was written.
        killed.setattr(batch.robot.ledger, "save", lambda _record: None)
        batch.forward()
    batch.forward()
    assert batch.back()


@pytest.mark.parametrize(("runs", "well"), [(0, True), (7, False)])
def test_who_waits_to_be_started_again_need_not_take_anything_in(robot, monkeypatch, runs, well):
    """systemd refuses a reload of such a unit. It reads its files when it starts; of one that runs, the reload has failed."""
    unit = {**plan.unit("s.service", "", run="service"), "digest": "d"}
    del unit["content"]
    group = {"name": "g", "release": "r1", "committed": 1.0, "resources": [unit], "leftovers": [], "started": {}}
    monkeypatch.setattr(perform.systemd, "program_of", lambda *_: runs)
    monkeypatch.setattr(perform.systemd, "refresh", lambda _unit: False)
    monkeypatch.setattr(perform, "last_lines", lambda *_: [])
    performer = Performer(robot, "r2", JOB, manifest.last_good("g", {**group, "needs": [], "ports": [], "secrets": None}), silence)
    with contextlib.nullcontext() if well else pytest.raises(Unhealthy, match="could not take in its changed files"):
        performer.perform({"do": "refresh", "text": "", "units": ["s.service"], "files": []})
