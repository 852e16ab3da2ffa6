# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asking systemd while it executes itself anew; a program of the test's own stands for systemctl."""

from __future__ import annotations

import contextlib

import pytest

from ansible_collections.k8s4r.robot.plugins.module_utils._engine.say.errors import CommandFailed
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.system import systemd

LOST = "Failed to stop a.service: Transport endpoint is not connected"


@pytest.fixture
def asked(tmp_path):
    """What is said by a program that fails at first, and how often it was asked."""

    def ask(says, fails):
        calls = tmp_path / "calls"
        script = f"echo called >>{calls}; [ $(wc -l <{calls}) -gt {fails} ] || {{ echo '{says}'; exit 1; }}; echo done"
        return systemd.ask(["sh", "-c", script]), calls.read_text().count("called")

    return ask


def test_what_gets_no_answer_is_asked_again(asked):
    assert asked(LOST, fails=2) == ((0, "done\n"), 3)


def test_any_other_failure_is_one(asked):
    assert asked("Unit a.service not found.", fails=2) == ((1, "Unit a.service not found.\n"), 1)


def test_patience_ends(asked, monkeypatch):
    monkeypatch.setattr(systemd, "PATIENCE", 0.3)
    (code, said), times = asked(LOST, fails=99)
    assert (code, said) == (1, LOST + "\n")
    assert times > 1


def test_socket_units_stop_when_all_others_are_down(monkeypatch):
    """While their stop waits for its turn, systemd discards what a program writes."""
    asked = []
    monkeypatch.setattr(systemd, "ask", lambda argv, _timeout=None: asked.append(argv[3:]) or (0, ""))
    systemd.stop(["a.socket", "a.service", "b.socket", "b.target"])
    systemd.stop(["c.socket"])
    assert asked == [["a.service", "b.target"], ["a.socket", "b.socket"], ["c.socket"]]


@pytest.mark.parametrize(("said", "fails", "stopped"), [("canceled", 3, True), ("timeout", 3, False)])
def test_a_stop_that_others_cancel_is_asked_for_again(monkeypatch, said, fails, stopped):
    """They are started again just then, and want what is to stop."""
    answers = [(1, f"Job for a.service {said}.")] * fails + [(0, "")]
    monkeypatch.setattr(systemd, "ask", lambda _argv, _timeout=None: answers.pop(0))
    monkeypatch.setattr(systemd, "show", lambda _units, _what: {"a.service": {"ActiveState": "deactivating"}})
    with contextlib.nullcontext() if stopped else pytest.raises(CommandFailed, match=r"did not stop a\.service: Job for"):
        systemd.stop(["a.service"])
    assert len(answers) == (0 if stopped else fails)


@pytest.mark.parametrize(
    ("states", "process", "patience"),
    [
        (["activating start-pre 0", "activating start 7", "active running 8"], 8, 60),
        (["activating auto-restart 0"], 0, 60),
        (["active running 7"], 7, 60),
        (["activating start 7"] * 99, 7, 0.5),
    ],
    ids=["starts", "waits for its next try", "runs", "never comes up"],
)
def test_of_what_just_starts_the_program_is_known_when_it_has(monkeypatch, states, process, patience):
    """Before, systemd would tell it nothing. What waits for its next try reads its files then."""

    def show(_units, _what):
        return {"a.service": dict(zip(("ActiveState", "SubState", "MainPID"), states.pop(0).split(), strict=True))}

    monkeypatch.setattr(systemd, "show", show)
    assert systemd.program_of("a.service", patience=patience) == process


def test_no_answer_is_no_state(monkeypatch):
    """While systemd reads its units from a slow disk, what works is not taken for what has ended."""
    monkeypatch.setattr(systemd, "PATIENCE", 0.0)
    monkeypatch.setattr(systemd.command, "run", lambda _argv, **_how: (1, "Failed to retrieve unit state: Connection timed out\n"))
    assert systemd.state("a.service") == systemd.NO_ANSWER


def test_units_that_systemd_has_are_told_with_a_mark_or_without(monkeypatch):
    listed = "* a.service not-found inactive dead a.service\nb.timer loaded active waiting c.service now and then\n"
    monkeypatch.setattr(systemd, "ask", lambda _argv: (0, listed))
    assert systemd.known({"a.service", "b.timer", "c.service"}) == {"a.service", "b.timer"}


def test_what_must_be_done_is_an_error_with_what_was_said():
    with pytest.raises(CommandFailed, match="ended with status 1: no such unit"):
        systemd.need(["sh", "-c", "echo no such unit; exit 1"])


@pytest.mark.parametrize(
    ("message", "text"),
    [("said", "said"), (None, ""), ([104, 105], "hi"), (["one", "two"], "one\ntwo"), (["one", [104, 105]], "one\nhi")],
    ids=["text", "too long", "not UTF-8", "given twice", "given twice, not UTF-8"],
)
def test_a_message_of_the_journal_in_all_its_forms(message, text):
    assert systemd._message({"MESSAGE": message}) == text


@pytest.mark.parametrize(
    ("text", "seconds"), [("5min 3.5s", 303.5), ("1d 2h 250ms", 93600.25), ("800us", 0.0008), ("1w", 604800), ("infinity", 0), ("", 0)]
)
def test_a_time_span_as_systemd_writes_it(text, seconds):
    assert systemd.span(text) == pytest.approx(seconds)
