# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Trying a release before anything is touched."""

from __future__ import annotations

import pytest

from ansible_collections.k8s4r.robot.plugins.module_utils._engine import plan
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.judge import verify

INIT = plan.unit("k8s4r-init.service", "", run="init")


def group(name, *resources):
    return plan.group(name, name, resources, programs=[plan.program("/no/such/program", name)])


def test_an_init_task_may_install_the_programs_of_its_own_group_alone():
    (error,) = verify.lacking([group("one", INIT), group("two")])
    assert error.startswith("two: /no/such/program is not on this robot")
    assert verify.lacking([group("one", INIT)]) == []


def lacks(path, search=""):
    """What is said of a program of a group."""
    named = plan.group("g", "g", [], programs=[plan.program(str(path), "here", search)])
    return [error.replace(f"here: {path} ", "") for error in verify.lacking([named])]


@pytest.fixture
def script(tmp_path):
    def write(first, mode=0o755):
        path = tmp_path / "script"
        path.write_bytes(first + b"\nexit\n")
        path.chmod(mode)
        return path

    return write


def test_a_script_whose_interpreter_is_not_there_is_found_before_it_is_run(script):
    assert lacks(script(b"#!/bin/sh -e")) == []
    assert lacks(script(b"\x7fELF")) == []
    assert lacks(script(b"#!/opt/nosuch/python3")) == [
        "cannot be executed: it is a script for /opt/nosuch/python3, which is not on this robot; install it, or have an init task do so"
    ]
    # It comes with the task.
    assert lacks(script(b"#!/var/lib/k8s4r/tasks/t/local/python3")) == []
    (windows,) = lacks(script(b"#!/bin/sh\r"))
    assert "its lines end with a carriage return, as on Windows" in windows
    assert windows.endswith("; save it with line feeds alone")


def test_a_script_finds_its_interpreter_in_its_path(script, tmp_path):
    assert lacks(script(b"#!/usr/bin/env sh")) == []
    script(b"#!/usr/bin/env nosuch")
    search = f"{tmp_path}:/bin"
    (error,) = lacks("script", search)
    assert error.startswith(f"cannot be executed: it is a script for nosuch, which is in no directory of its PATH on this robot ({search}")
    script(b"#!/usr/bin/env sh")
    assert lacks("script", search) == []


@pytest.mark.parametrize(
    ("zone", "said"),
    [
        ("Europe/Berlin", []),
        ("europe/berlim", ["this robot does not know europe/berlim; did you mean Europe/Berlin?"]),
        ("Mars/Base", ["this robot does not know Mars/Base; install its time zones (Debian's package tzdata), or name another"]),
    ],
)
def test_of_a_time_zone_that_a_robot_does_not_know_the_nearest_is_named(tmp_path, monkeypatch, zone, said):
    for front in ("", "posix/"):
        (tmp_path / f"{front}Europe").mkdir(parents=True)
        (tmp_path / f"{front}Europe/Berlin").touch()
    monkeypatch.setattr(verify, "ZONES", str(tmp_path))
    scheduled = plan.group("g", "g", [], expects=[plan.expected("zone", zone, "schedule.timeZone")])
    assert verify.lacking([scheduled]) == [f"schedule.timeZone: {text}" for text in said]


def test_what_is_no_program_is_said_to_be_what_it_is(script, tmp_path):
    assert lacks("/bin/sleep 9") == ["is not on this robot; write what follows the program in args"]
    assert lacks(tmp_path) == ["is a directory; name a program"]
    assert lacks(script(b"", 0o644)) == ["is not executable; make it so (chmod +x), or have an init task do so"]
    assert lacks("/dev/null") == ["is no program; name one"]


@pytest.mark.parametrize(
    ("code", "output", "errors"),
    [
        (0, "", []),
        (0, "other.service:1: odd\n", []),
        (0, "/run/x/k8s4r-a.service:3: Unknown key\n", ["systemd does not accept this unit: k8s4r-a.service:3: Unknown key"]),
        (0, "/run/x/k8s4r-a.service: Command /opt/x is not executable: No such file\n", []),
        (1, "no line of ours\n", ["systemd does not accept this unit: no line of ours"]),
        (1, "", ["systemd-analyze verify ended with status 1"]),
        (124, "", ["systemd-analyze verify did not end within 60 s"]),
    ],
)
def test_what_systemd_analyze_said(code, output, errors):
    assert verify.verdict(code, output, "/run/x", ["k8s4r-a.service"]) == errors
