# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a unit ended, in words, from what systemd reports of it."""

from __future__ import annotations

import time

import pytest

from ansible_collections.k8s4r.robot.plugins.module_utils._engine import plan
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.system import endings

KILLED, DUMPED = "2", "3"


def values(result="exit-code", status=0, code="1", restarts=0, state="activating", up=True, **more):
    """What systemd reports of a unit whose program began at 100 s."""
    return {
        "ActiveState": state, "Result": result, "ExecMainCode": code, "ExecMainStatus": str(status), "NRestarts": str(restarts),
        "ExecMainStartTimestampMonotonic": "100000000", "ActiveEnterTimestampMonotonic": "100100000" if up else "50000000", **more,
    }  # fmt: skip


SIMPLE = values(status=203, Type="simple")
NEVER = values("success", ExecMainStartTimestampMonotonic="0", state="inactive", ActiveEnterTimestampMonotonic="0")


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        ({"LoadState": "not-found"}, "there is no such unit"),
        (NEVER, "it was not started"),
        (dict(NEVER, Result="resources"), "systemd could not prepare its start"),
        (dict(NEVER, Result="exit-code"), "a step before its start failed"),
        (
            dict(NEVER, Result="exit-code", ActiveEnterTimestampMonotonic="5", InactiveExitTimestampMonotonic="7"),
            "a step before its start failed",
        ),
        (
            dict(NEVER, Result="exit-code", ActiveEnterTimestampMonotonic="5", InactiveExitTimestampMonotonic="4"),
            "its poststop program failed",
        ),
        # A target, a timer, and a last hook, whose program is what runs when it stops.
        (dict(NEVER, Result=""), "it was not started"),
        (dict(NEVER, Result="", ActiveEnterTimestampMonotonic="5"), "it was stopped"),
        (dict(NEVER, ActiveEnterTimestampMonotonic="5"), "it was stopped"),
        (dict(NEVER, Result="timeout", ActiveEnterTimestampMonotonic="5"), "it did not end within its time, and was killed"),
        (values("success", 0, "0", state="deactivating"), "it is being stopped"),
        (values("success", 0, state="deactivating", Job="7"), "it is being stopped"),
        # Its restart policy is at work.
        (values("exit-code", 7, state="deactivating", Job="0"), "its program ended with exit status 7"),
        (values("success", restarts=3), "its program ended by itself with 0, 4 times; a service must stay in the foreground"),
        (values("success"), "its program ended by itself with 0; a service must stay in the foreground"),
        (values("success", state="inactive"), "its program ended with 0"),
        (values(status=7), "its program ended with exit status 7"),
        (values(status=7, restarts=1), "its program ended with exit status 7, 2 times"),
        (values(status=203, up=False), "its program was not started, exit status 203: it cannot be executed"),
        (values(status=242, up=False), "its program was not started, exit status 242"),
        (values(status=203), "its program ended with exit status 203"),
        # Up before its program is executed, as on an old systemd; and a program that itself ends so, later.
        (dict(SIMPLE, ExecMainExitTimestampMonotonic="100900000"), "its program was not started, exit status 203: it cannot be executed"),
        (dict(SIMPLE, ExecMainExitTimestampMonotonic="101000000"), "its program ended with exit status 203"),
        (values(status=126), "its program ended with exit status 126: it, or one that it starts, cannot be executed"),
        (values(status=127), "its program ended with exit status 127: it, or one that it starts, was not found"),
        (values(status=137), "its program ended with exit status 137, as after signal 9 (SIGKILL)"),
        (values(status=255), "its program ended with exit status 255"),
        (values("signal", 11, KILLED), "its program was killed by signal 11 (SIGSEGV)"),
        (values("success", 0, "0", restarts=3), "its program ended, and was started again, 4 times"),
        (values("signal", 33, KILLED), "its program was killed by signal 33"),
        (values("core-dump", 6, DUMPED), "its program was killed by signal 6 (SIGABRT) and dumped core"),
        (values("success", 15, KILLED), "its program was killed by signal 15 (SIGTERM)"),
        (values("success", 15, KILLED, state="inactive"), "it was stopped"),
        (values("success", 143, state="inactive"), "it was stopped"),
        (values("oom-kill", 9, KILLED), "the kernel killed its program because memory ran out"),
        (values("timeout", 15, KILLED, TimeoutStartUSec="3s", up=False), "it was not ready within 3s"),
        (values("timeout", 15, KILLED), "its program ran for longer than it may, and was stopped"),
        (values("timeout", 9, KILLED), "its program did not end when it was asked to, and was killed"),
    ],
)
def test_words(shown, text):
    assert endings.words(shown, stays=True) == text


def test_words_for_what_may_end():
    assert endings.words(values("timeout", 15, KILLED, TimeoutStartUSec="1min", up=False)) == "it did not end within 1min"
    assert endings.words(values("success", restarts=1)) == "its program ended with 0, 2 times"


@pytest.mark.parametrize(
    ("noted", "asked", "text"),
    [
        ("100 3", "", "it was stopped"),
        ("100 3 over", "", "its program was stopped, or exited with 0; its restart policy has given up, after 2 restarts"),
        ("ended 0a1b 2 over", "", "its program was stopped, or exited with 0; its restart policy has given up, after 1 restart"),
        ("ended 0a1b", "", "it was stopped"),
        ("100 1 over", "it was asked to end", "it was asked to end; its restart policy has given up"),
        ("100 3", "it was asked to end", "it was asked to end"),
    ],
)
def test_who_left_a_unit_down_is_said(tmp_path, noted, asked, text):
    directory = tmp_path / plan.RESTART_COUNTS
    directory.mkdir()
    (directory / "u.service").write_text(noted + "\n")
    assert endings.of("u.service", values("success", 15, KILLED, state="inactive"), True, str(tmp_path), asked) == text


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"Restart": "always"}, "it was stopped"),
        ({"Restart": "on-failure"}, "its program ended with 0"),
        # It had come to its end, and was up all the same.
        ({"Type": "oneshot"}, "it was stopped"),
        ({"Type": "oneshot", "up": False}, "its program ended with 0"),
    ],
)
def test_one_that_ended_well_and_would_not_be_down_by_itself_was_stopped(tmp_path, more, text):
    assert endings.of("u.service", values("success", state="inactive", **more), True, str(tmp_path)) == text


def test_when():
    times = {"InactiveEnterTimestampMonotonic": "100200000", "ExecMainExitTimestampMonotonic": "100100000"}
    assert endings.when(values(state="failed", **times)) == 100.2
    assert endings.when(values(state="activating", **times)) == 100.1
    assert endings.when(values(state="inactive")) is None


def test_a_time_of_the_monotonic_clock_is_told_by_the_wall_clock():
    assert endings.wall(time.monotonic() - 3600)[:16] in {endings.utc(time.time() - 3600 - second)[:16] for second in (0, 1)}


@pytest.mark.parametrize(
    ("states", "why"),
    [
        (
            {"k8s4r-pod-a.service": "failed", "k8s4r-log-a.socket": "active"},
            ", because k8s4r-pod-a.service failed; journalctl -u k8s4r-pod-a.service",
        ),
        ({"k8s4r-pod-a.service": "active"}, ""),
        ({}, ""),
    ],
)
def test_who_was_not_started_because_of_another_names_it(monkeypatch, states, why):
    def show(units, _properties=""):
        return (
            {"a.service": {"Requires": " ".join(states)}}
            if units == ["a.service"]
            else {name: {"ActiveState": states[name]} for name in units}
        )

    monkeypatch.setattr(endings.systemd, "show", show)
    text = endings.of("a.service", NEVER, True, "/nowhere")
    assert text.startswith(f"it was not started{why}")
    assert (text == "it was not started") == (not why)


@pytest.mark.parametrize(
    ("kind", "executed", "seconds"), [("exec", 2.5, 0.5), ("exec", 0.5, 2.0), ("exec", 9.0, 2.0), ("simple", 2.5, 2.0)]
)
def test_a_program_lasts_from_when_it_was_executed_where_systemd_tells_that_of_this_start(kind, executed, seconds):
    times = {"ExecMainStart": 1.0, "ExecMainExit": 3.0, "ActiveEnter": executed}
    shown = {f"{event}TimestampMonotonic": str(int(at * 1e6)) for event, at in times.items()}
    assert endings.lasted({"Type": kind, **shown}) == pytest.approx(seconds)
