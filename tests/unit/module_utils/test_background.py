# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work that outlives the connection, as those who ask for its result see it."""

from __future__ import annotations

import errno
import fcntl
import os
import sys
import threading
import time
from pathlib import Path

import pytest

from ansible_collections.k8s4r.robot.plugins.module_utils._engine.requests import background, ended, main, prepare
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.say.errors import CommandFailed, Refusal
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.state import formats, results
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.state.lock import Lock

AT_WORK = 0.3


def test_a_result_is_told_when_the_work_has_let_go_of_the_robot(robot):
    formats.save(robot.request_path("r"), {"op": "switch"})
    results.Result(robot, "r", "switch").end({"status": "committed"})
    assert background.wait(robot, "r", patience=0)["status"] == "committed"
    worker = threading.Timer(AT_WORK, formats.remove, [robot.request_path("r")])
    began = time.monotonic()
    worker.start()
    assert background.wait(robot, "r")["status"] == "committed"
    assert AT_WORK <= time.monotonic() - began < background.ANSWER_WITHIN


def test_who_waits_no_longer_is_not_told_a_result_of_which_the_work_goes_on(robot, monkeypatch):
    """It would believe that the robot is free."""
    formats.save(robot.request_path("r"), {"op": "switch"})
    results.Result(robot, "r", "switch").end({"status": "committed"})
    monkeypatch.setattr(background, "_at_work", {"k8s4r-switch-r.service": True}.get)
    assert background.wait(robot, "r", patience=0) == {"status": "pending", "release": "r", "op": "switch", "progress": "cleaning up"}


@pytest.mark.parametrize(("state", "status"), [("inactive", "failed"), (background.systemd.NO_ANSWER, "pending")])
def test_who_works_while_systemd_gives_no_answer_is_not_taken_for_one_that_has_ended(robot, monkeypatch, state, status):
    formats.save(robot.request_path("r"), {"op": "switch"})
    results.Result(robot, "r", "switch").progress("starting")
    monkeypatch.setattr(background.systemd, "state", lambda _unit: state)
    assert background.wait(robot, "r", patience=0)["status"] == status
    background.sweep(robot)
    assert os.path.exists(robot.request_path("r")) == (status == "pending")


def test_who_works_without_a_unit_is_not_taken_for_one_that_has_ended(robot, monkeypatch):
    """systemd starts none where /run is full, and whoever lost the connection meanwhile asks how far it is."""

    def switch(_robot, _request, _release, result):
        assert background.wait(robot, "r", patience=0)["status"] == "pending"
        background.sweep(robot)
        assert os.path.exists(robot.request_path("r"))
        result.end({"status": "committed"})

    monkeypatch.setattr(background, "_start_unit", lambda *_asked: False)
    monkeypatch.setitem(background._OPERATIONS, "switch", switch)
    assert background.start(robot, "switch", "r", {})["status"] == "committed"
    assert not os.path.exists(robot.request_path("r"))


@pytest.mark.parametrize("content", ["{", '{"version":99}'])
@pytest.mark.parametrize("operation", ["prepare", "switch"])
def test_a_request_that_cannot_be_read_is_refused_in_the_result(robot, operation, content):
    Path(robot.request_path("r")).write_text(content, encoding="utf-8")
    results.Result(robot, "r", operation).progress("starting")
    background.work(robot, "r")
    result = background.wait(robot, "r", patience=0)
    assert (result["status"], result["op"], result["release"]) == ("refused", operation, "r")
    assert robot.request_path("r") in result["errors"][0]
    assert not Path(robot.request_path("r")).exists()


@pytest.mark.parametrize("content", ["{", '{"version":99}'])
def test_a_result_that_cannot_be_read_is_named_in_plain_words(robot, content, monkeypatch, capsys):
    formats.save(robot.request_path("r"), {"op": "switch"})
    Path(robot.result_path("r")).write_text(content, encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["engine", "work", "r"])
    assert main.main(robot) == 1
    assert robot.result_path("r") in capsys.readouterr().err


def test_what_goes_wrong_behind_a_result_does_not_replace_it(robot, monkeypatch, capsys):
    def switch(_robot, _request, _release, result):
        result.end({"status": "committed", "rest": "r-rest"})
        raise OSError(errno.EIO, "Input/output error", "/var/lib/k8s4r/pending")

    monkeypatch.setattr(background, "_OPERATIONS", {"switch": switch})
    formats.save(robot.request_path("r"), {"op": "switch"})
    results.Result(robot, "r", "switch").progress("starting")
    background.work(robot, "r")
    assert background.wait(robot, "r", patience=0) == {"status": "committed", "rest": "r-rest", "op": "switch"}
    assert capsys.readouterr().err == "Input/output error (/var/lib/k8s4r/pending)\n"


def test_a_request_whose_unit_does_not_start_leaves_no_secrets(robot):
    # No unit may have so long a name.
    with pytest.raises(CommandFailed):
        background.start(robot, "prepare", "r" * 240, {"plan": "sesame"})
    assert list(Path(robot.runtime, "requests").iterdir()) == []


def test_a_request_that_nobody_works_on_goes_at_the_next_contact(robot):
    Path(robot.request_path("left")).write_text("sesame", encoding="utf-8")
    Path(robot.runtime, "requests", ".half.json.k8s4r~").write_text("sesame", encoding="utf-8")
    assert robot.has_requests()
    background.sweep(robot)
    assert not robot.has_requests()


def test_a_request_whose_unit_is_about_to_start_stays(robot):
    Path(robot.request_path("new")).write_text("{}", encoding="utf-8")
    starting = os.open(robot.runtime + "/requests", os.O_RDONLY)
    fcntl.flock(starting, fcntl.LOCK_SH)
    background.sweep(robot)
    assert robot.has_requests()
    os.close(starting)


def test_who_asks_while_another_one_starts_the_work_is_told_that_it_is_about_to_begin(robot, monkeypatch):
    """ssh has sent the request once more: what the first one left must not be taken away before its unit runs."""
    formats.save(robot.request_path("r"), {"op": "switch"})
    results.Result(robot, "r", "switch").progress("starting")
    monkeypatch.setattr(background.systemd, "state", lambda _unit: "inactive")
    starting = os.open(robot.runtime + "/requests", os.O_RDONLY)
    fcntl.flock(starting, fcntl.LOCK_SH)
    assert background.wait(robot, "r", patience=0)["status"] == "pending"
    assert robot.has_requests()
    os.close(starting)
    assert background.wait(robot, "r", patience=0)["status"] == "failed"
    assert not robot.has_requests()


@pytest.mark.parametrize("check", [False, True])
def test_a_plan_that_is_sent_again_is_the_same_attempt(robot, monkeypatch, check):
    """Once, the second one was refused because of the first: "me is changing this robot"."""
    request = {"jobs": [], "plan": {}, "check": check, "attempt": "20261130T063000-0123abcd", "who": "me"}
    results.Result(robot, request["attempt"], "prepare").end({"status": "staged"})
    monkeypatch.setattr(prepare.capabilities, "probe", lambda _runtime: {})
    monkeypatch.setattr(prepare, "unchanged", None)
    with Lock(robot.runtime, "me", "prepare"):
        answer = prepare.answer(robot, request)
    # A check stages nothing that one could come back to.
    assert answer["status"] == ("refused" if check else "staged")


@pytest.mark.parametrize("attempt", ["../../etc/passwd", "a/b", "-" * 65])
def test_an_attempt_leads_nowhere_else(robot, attempt):
    with pytest.raises(Refusal, match="is no name of a release"):
        prepare.answer(robot, {"jobs": [], "plan": {}, "attempt": attempt})


def test_a_batch_job_that_somebody_has_removed_has_not_come_to_its_end(robot):
    answer = ended.answer(robot, [{"namespace": "default", "name": "count"}])
    assert answer == {"status": "failed", "errors": ["count: another run has removed it meanwhile"]}
