# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is reported of a switch that was interrupted. That the groups are complete then is tried on robots."""

from __future__ import annotations

import errno
import sys
from pathlib import Path

import pytest

from ansible_collections.k8s4r.robot.plugins.module_utils._engine import plan
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.change import perform, recovery
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.requests import main
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.resources.images import api
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.state import formats, ledger, results
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.system import files

JOB = {"namespace": "n", "name": "j"}
GROUP = {"name": "g", "needs": [], "ports": [], "secrets": None}
TRIED = {**GROUP, "id": "g", "resources": [plan.directory("/var/lib/k8s4r/groups/never-there")]}
RECORD = {**GROUP, "release": "r1", "committed": 1.0, "resources": [], "leftovers": [], "started": {}}


def rolled_back(robot, groups, entries):
    """The result of release r2 with these groups, interrupted with these entries in its journal."""
    before = ledger.state_of(robot.ledger.of(JOB))
    job = {**JOB, "digest": "d", "before": before, "base": {}, "groups": groups}
    formats.save(robot.manifest_path("r2"), {"release": "r2", "who": "me", "keep_data": False, "jobs": [job]})
    journal = {"release": "r2", "began": 1.0, "groups": dict(entries), "changes": [], "spare": []}
    robot.write_journal(journal)
    recovery.roll_back_interrupted(robot, journal, perform.silence)
    assert robot.journal() is None
    return results.load(robot, "r2")


BEGUN = {"g": {"phase": "forward", "errors": []}}


def test_to_the_last_good_release(robot):
    robot.ledger.save({**JOB, **ledger.whole("old"), "groups": {"g": RECORD}})
    result = rolled_back(robot, [TRIED], BEGUN)
    assert (result["status"], result["groups"]) == ("rolled-back", {"g": "rolled-back"})
    assert result["errors"] == ["g: the switch was interrupted; the last good release was restored"]


def test_to_nothing_where_there_was_no_release(robot):
    result = rolled_back(robot, [TRIED], BEGUN)
    assert (result["status"], result["restored"], result["undone"]) == ("rolled-back", [], ["g"])
    assert result["errors"] == ["g: the switch was interrupted; what it had begun was removed, since there was no earlier release"]


def test_the_reason_of_a_group_that_was_on_its_way_back_stays(robot):
    result = rolled_back(robot, [TRIED], {"g": {"phase": "back", "errors": ["g: exit status 7"]}})
    assert result["errors"] == ["g: exit status 7"]


def test_of_a_group_to_which_the_switch_had_not_come_there_is_nothing_to_report(robot):
    result = rolled_back(robot, [TRIED], {})
    assert (result["status"], result["errors"]) == ("rolled-back", [])


@pytest.fixture
def boot(robot, monkeypatch, capsys):
    """What the boot unit runs: its exit status and what it wrote on standard error."""

    def run():
        monkeypatch.setattr(sys, "argv", ["engine", "recover"])
        status = main.main(robot)
        return status, capsys.readouterr().err

    return run


@pytest.fixture
def interrupted(robot):
    job = {**JOB, "digest": "d", "before": ledger.state_of(robot.ledger.of(JOB)), "base": {}, "groups": [TRIED]}
    formats.save(robot.manifest_path("r2"), {"release": "r2", "who": "me", "keep_data": False, "jobs": [job]})
    robot.write_journal({"release": "r2", "began": 1.0, "groups": dict(BEGUN), "changes": [], "spare": []})


@pytest.mark.parametrize("content", ["{", '{"version":99}'])
@pytest.mark.parametrize("name", ["ledger/other@job.json", "releases/r9.json"])
@pytest.mark.usefixtures("interrupted")
def test_at_boot_no_file_of_another_job_or_release_is_in_the_way(robot, boot, name, content):
    kept = robot.store.put(b"what that file may refer to")
    Path(robot.state, name).write_text(content, encoding="utf-8")
    assert boot() == (0, "g: the switch was interrupted; what it had begun was removed, since there was no earlier release\n")
    assert robot.journal() is None
    assert results.load(robot, "r2")["status"] == "rolled-back"
    assert Path(robot.state, name).read_text(encoding="utf-8") == content
    assert robot.store.read(kept) == b"what that file may refer to"


@pytest.mark.parametrize("content", ["{", '{"version":99}'])
@pytest.mark.parametrize("name", ["pending", "releases/r2.json", "ledger/n@j.json"])
@pytest.mark.usefixtures("interrupted")
def test_a_boot_that_cannot_roll_back_fails_and_says_why(robot, boot, name, content):
    for path in (f"{robot.state}/{name}", f"{robot.state}/{name}{files.COPY}"):
        Path(path).write_text(content, encoding="utf-8")
    status, text = boot()
    assert status == 1
    assert f"{robot.state}/{name}" in text
    assert "othing was changed" not in text
    assert "controller" not in text
    assert Path(robot.journal_path).exists()


@pytest.mark.usefixtures("interrupted")
def test_a_boot_waits_for_nobody_who_gives_no_answer(boot, monkeypatch):
    hurried = []
    monkeypatch.setattr(api, "hurry", lambda: hurried.append("docker"))
    assert (boot()[0], hurried) == (0, ["docker"])


def test_a_boot_at_which_rolling_back_gets_stuck_fails(robot, boot, interrupted):
    del interrupted
    lost = {**RECORD, "resources": [{**plan.file("/etc/k8s4r/groups/never-there/f", ""), "digest": "lost"}]}
    del lost["resources"][0]["content"]
    robot.ledger.save({**JOB, **ledger.whole("old"), "groups": {"g": lost}})
    status, text = boot()
    assert status == 1
    assert "g: rolling back failed" in text
    assert robot.journal()["groups"]["g"]["phase"] == "stuck"
    robot.ledger.save({**JOB, **ledger.whole("old"), "groups": {"g": RECORD}})
    assert boot()[0] == 0
    assert robot.journal() is None


def test_at_boot_what_is_stuck_behind_is_tried_too_and_is_not_in_its_way(robot, boot, interrupted):
    """Of the release behind, one job is left; another one has been brought up anew since."""
    del interrupted
    lost = {**RECORD, "resources": [{**plan.file("/etc/k8s4r/groups/never-there/f", ""), "digest": "lost"}]}
    del lost["resources"][0]["content"]
    robot.ledger.save({**JOB, **ledger.whole("old"), "groups": {"g": lost}})
    robot.ledger.save({"namespace": "n", "name": "anew", **ledger.whole("new"), "groups": {"a": {**RECORD, "release": "r9"}}})
    of = {"namespace": "n", "digest": "d", "before": ledger.whole("x"), "base": {}}
    jobs = [{**of, "name": name, "groups": [{**TRIED, "id": id, "name": id}]} for name, id in (("left", "h"), ("anew", "a"))]
    formats.save(robot.manifest_path("r1"), {"release": "r1", "who": "me", "keep_data": False, "jobs": jobs})
    entries = {"h": {"phase": "stuck", "errors": []}}
    behind = {"release": "r1", "began": 0.0, "groups": entries, "changes": [], "spare": [], "about": ["h"]}
    robot.write_journal({**robot.journal(), "behind": [behind]})
    status, text = boot()
    assert (status, text.count("g: rolling back failed")) == (1, 1)
    # The one that could be rolled back is over; the other one stays.
    assert (robot.journal()["release"], robot.journal()["behind"]) == ("r2", [])
    assert robot.manifest("r1") is None
    assert results.load(robot, "r1")["groups"] == {"h": "rolled-back"}
    assert ledger.state_of(robot.ledger.of({"namespace": "n", "name": "anew"})) == ledger.whole("new")
    assert (boot()[0], robot.journal()["release"]) == (1, "r2")
    robot.ledger.save({**JOB, **ledger.whole("old"), "groups": {"g": RECORD}})
    assert boot()[0] == 0
    assert robot.journal() is None


@pytest.fixture
def never_cleared(robot, monkeypatch):
    """The journal cannot be taken away, as on a disk that has become read-only; called, it can."""

    def fail():
        raise OSError(errno.EROFS, "Read-only file system", "/dev/null")

    monkeypatch.setattr(robot, "end_journal", fail)
    return lambda: monkeypatch.delattr(robot, "end_journal")


def test_a_result_stands_where_what_is_left_cannot_be_cleared_away(robot, interrupted, never_cleared, capsys):
    """The next run does it, and does not begin the end of the switch again: somebody may be at the rest of it."""
    del interrupted
    robot.write_journal({**robot.journal(), "groups": {"g": {"phase": "back", "errors": ["g: exit status 7"]}}})
    recovery.roll_back(robot, perform.silence)
    assert capsys.readouterr().err.startswith("not all that release r2 left could be cleared away; the next run does it: read-only: ")
    assert results.load(robot, "r2")["errors"] == ["g: exit status 7"]
    robot.ledger.save({**JOB, **ledger.whole("later"), "groups": {"g": RECORD}})
    result = Path(robot.result_path("r2")).stat()
    recovery.roll_back(robot, perform.silence)
    assert robot.journal()["release"] == "r2"
    never_cleared()
    recovery.roll_back(robot, perform.silence)
    assert (robot.journal(), robot.manifest("r2")) == (None, None)
    assert Path(robot.result_path("r2")).stat().st_ino == result.st_ino
    assert ledger.state_of(robot.ledger.of(JOB)) == ledger.whole("later")


def test_a_boot_after_no_interrupted_switch_is_well(boot):
    assert boot() == (0, "no switch was interrupted\n")


def test_a_boot_after_a_switch_that_had_reached_its_end_says_so(robot, boot, interrupted):
    del interrupted
    robot.write_journal({"release": "r2", "began": 1.0, "groups": {"g": {"phase": "committed", "errors": []}}, "changes": [], "spare": []})
    assert boot() == (0, "the switch to release r2 had reached its end; what it left is removed\n")
    assert robot.journal() is None
