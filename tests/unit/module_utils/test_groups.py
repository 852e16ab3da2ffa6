# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The end of a switch, where a part of it fails: what of it needs no systemd."""

from __future__ import annotations

import errno

import pytest

from ansible_collections.k8s4r.robot.plugins.module_utils._engine import plan
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.change import conclusion, groups, perform, recovery, survey
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.say.errors import CommandFailed
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.state import ledger, results

JOB = {"namespace": "n", "name": "j"}
NEW = {"needs": [], "ports": [], "secrets": None, "resources": [plan.directory("/var/lib/k8s4r/groups/never-there")]}
STEPS = [
    {"do": "stop", "text": "", "units": []},
    {"do": "commit", "text": "", "leftovers": []},
    {"do": "remove", "text": "", "resource": NEW["resources"][0]},
]


class Performer(perform.Performer):
    """Notes what it is to do. ``fails``: {(verb, group): why}."""

    done: list[tuple[str, str]] = []
    fails: dict[tuple[str, str], Exception] = {}

    def perform(self, step):
        self.done.append((step["do"], self.group["id"]))
        if self.done[-1] in self.fails:
            raise self.fails[self.done[-1]]
        if step["do"] == "commit":
            super().perform(step)


@pytest.fixture
def performer(monkeypatch):
    monkeypatch.setattr(Performer, "done", [])
    monkeypatch.setattr(Performer, "fails", {})
    monkeypatch.setattr(survey, "plan_steps", lambda *_args, **_more: STEPS)
    return Performer


@pytest.fixture
def switch(robot, performer):
    """All groups have come to their commit; as an engine finds it that goes on with it."""
    members = [{**NEW, "id": id, "name": id} for id in ("a", "b")]
    job = {**JOB, "digest": "d", "before": ledger.state_of(robot.ledger.of(JOB)), "base": {}, "groups": members}
    manifest = {"release": "r2", "who": "me", "robot": "", "keep_data": False, "jobs": [job]}
    robot.keep_manifest(manifest)
    entries = {"a": {"phase": "commit", "errors": []}, "b": {"phase": "commit", "errors": []}}
    journal = {"release": "r2", "began": 1.0, "groups": entries, "changes": [], "spare": []}
    robot.write_journal(journal)

    def run():
        of_both = groups.Switch(robot, manifest, journal, perform.silence, performer)
        of_both.apply([(job, group) for group in job["groups"]])
        conclusion.conclude(robot, manifest, journal)
        return results.load(robot, "r2")

    return run


def recorded(robot):
    return {id: group["release"] for id, group in robot.ledger.of(JOB)["groups"].items()}


def test_where_a_unit_does_not_stop_all_groups_are_written_down_all_the_same(robot, performer, switch):
    performer.fails["stop", "a"] = CommandFailed("systemctl stop did not stop x.service")
    done = switch()
    assert (done["status"], done["groups"]) == ("failed", {"a": "failed", "b": "committed"})
    assert recorded(robot) == {"a": "r2", "b": "r2"}
    assert performer.done == [("stop", "a"), ("stop", "b"), ("commit", "a"), ("commit", "b")]
    assert robot.journal() is None


def test_what_cannot_be_written_down_is_by_the_next_run(robot, performer, switch, monkeypatch):
    """Until then nothing is removed, and what the new release has is not forgotten."""
    performer.fails["commit", "b"] = OSError(errno.ENOSPC, "No space left on device", "/dev/null")
    done = switch()
    assert (done["status"], done["groups"]) == ("failed", {"a": "commit", "b": "commit"})
    (text,) = done["errors"]
    assert text.startswith("b: disk full: ")
    assert text.endswith("; the new release runs, but this is not written down yet: the next run and each boot try again")
    assert (recorded(robot), robot.manifest("r2") is None) == ({"a": "r2"}, False)
    assert "remove" not in [verb for verb, _group in performer.done]
    monkeypatch.setattr(recovery, "Switch", lambda *given: groups.Switch(*given, performer))
    recovery.roll_back(robot, perform.silence)
    assert robot.journal()["groups"]["b"] == {"phase": "commit", "errors": [text]}
    performer.fails.clear()
    recovery.roll_back(robot, perform.silence)
    assert results.load(robot, "r2")["status"] == "committed"
    assert recorded(robot) == {"a": "r2", "b": "r2"}
    assert ledger.state_of(robot.ledger.of(JOB)) == ledger.whole("d")
    assert (robot.journal(), robot.manifest("r2")) == (None, None)


def test_what_is_still_not_written_down_is_behind_the_next_switch_or_overtaken_by_it(robot, performer, switch):
    performer.fails["commit", "b"] = OSError(errno.ENOSPC, "No space left on device", "/dev/null")
    switch()
    other = {"jobs": [{**JOB, "groups": [{**NEW, "id": "a", "name": "a"}]}]}
    (behind,), overtaken = recovery.left_over(robot.journal(), other)
    assert (behind["about"], overtaken) == (["b"], ["r2"])
