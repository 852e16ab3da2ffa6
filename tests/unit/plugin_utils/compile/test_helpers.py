# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs that units call, each run as a unit runs it: by its interpreter, from a file, with the paths filled in."""

from __future__ import annotations

import os
import pathlib
import re
import sys
import time

import pytest

from ansible_collections.k8s4r.robot.plugins.module_utils._engine import plan
from ansible_collections.k8s4r.robot.plugins.plugin_utils.compile import helpers
from ansible_collections.k8s4r.robot.plugins.plugin_utils.compile.units.drivers import exec as exec_driver

from .programs import ENVIRONMENT, fails_until, program, run


def test_every_file_is_a_helper_and_no_place_is_left_open():
    folder = pathlib.Path(helpers.__file__).parent
    files = {path.stem.replace("_", "-") for path in folder.iterdir() if not path.name.startswith("__") and path.name != helpers.ASK}
    assert files == {helper.name for helper in helpers.HELPERS}
    assert not [helper.name for helper in helpers.HELPERS if re.search("@[A-Z]+@", helper.text)]
    assert helpers.PLACES["@RESTARTS@"] == f"{plan.RUNTIME}/{plan.RESTART_COUNTS}"


class Policy:
    """restart-policy with its counts in a directory of the test's own, and a systemctl that only writes down its calls."""

    def __init__(self, argv: list[str], home: pathlib.Path) -> None:
        self.argv, self.home = argv, home
        self.count = home / "restarts" / "a.service"
        answers = f'case $1 in list-jobs) cat {home}/jobs;; show) echo group.target;; *) echo systemctl "$@" >>{home}/calls;; esac'
        program(home / "bin" / "systemctl", answers)
        program(home / "bin" / "systemd-run", f'echo systemd-run "$@" >>{home}/calls; [ ! -e {home}/no-timers ]')
        self.job("")

    def job(self, line: str) -> None:
        """What systemd is about to do with the unit, as it lists its jobs."""
        (self.home / "jobs").write_text(line)

    def ends(self, *policy: str, result: str = "exit-code", status: str = "3", said: str = "") -> str:
        """One end of the task; returns what was done with the unit."""
        (self.home / "calls").write_text("")
        path = f"{self.home}/bin:{ENVIRONMENT['PATH']}"
        done = run(self.argv, "a.service", *policy, PATH=path, SERVICE_RESULT=result, EXIT_STATUS=status)
        assert done.returncode == 0, done
        assert said in done.stdout
        return (self.home / "calls").read_text()


@pytest.fixture
def policy(command, tmp_path):
    (tmp_path / "bin").mkdir()
    return Policy(command(helpers.RESTART_POLICY, RESTARTS=tmp_path / "restarts"), tmp_path)


def uptime() -> int:
    return int(float(pathlib.Path("/proc/uptime").read_text().split()[0]))


def test_a_task_is_restarted_as_often_as_its_policy_says_and_then_stopped(policy):
    assert [policy.ends("2", "60", "fail", "service") for _time in range(3)] == ["", "", "systemctl --no-block stop a.service\n"]
    first, count, left_down = policy.count.read_text().split()
    assert abs(int(first) - uptime()) < 60
    assert (count, left_down) == ("3", "over")
    # Whoever starts it by hand finds the same window.
    assert policy.ends("2", "60", "fail", "service") == "systemctl --no-block stop a.service\n"
    assert policy.count.read_text().split() == [first, "4", "over"]


def test_a_delayed_task_is_stopped_and_starts_again_when_the_window_ends(policy):
    policy.ends("0", "3600", "delay", "service")
    former, timer, stop = policy.ends("0", "3600", "delay", "service", said="next start in 3").splitlines()
    assert former == "systemctl stop a.timer"
    seconds = int(timer.partition("--on-active=")[2].split()[0])
    assert 3590 <= seconds <= 3600
    assert "--unit=a.service" in timer
    assert timer.endswith("--timer-property=PartOf=a.service --timer-property=PartOf=group.target")
    assert stop == "systemctl --no-block --job-mode=ignore-dependencies stop a.service"


def test_a_task_whose_timer_cannot_be_set_is_not_stopped(policy):
    """Nothing would ever start it again."""
    (policy.home / "no-timers").touch()
    calls = policy.ends("0", "3600", "delay", "service", said="the timer for the next start cannot be set, so the restarts go on")
    assert "systemctl --no-block" not in calls


@pytest.mark.parametrize(
    "kept",
    [
        pytest.param(f"{uptime() - 61} 9", id="the window is over"),
        pytest.param(f"{int(time.time())} 9", id="of a version that counted on the wall clock"),
        pytest.param("", id="emptied"),
        pytest.param("rubbish", id="rubbish"),
        pytest.param("1 x", id="rubbish that begins well"),
    ],
)
def test_a_new_window_counts_anew(policy, kept):
    policy.count.parent.mkdir()
    policy.count.write_text(kept)
    assert policy.ends("1", "60", "fail", "service") == ""
    first, count = policy.count.read_text().split()
    assert abs(int(first) - uptime()) < 60
    assert count == "1"


def test_a_task_whose_restarts_cannot_be_counted_is_restarted(policy):
    """As on a robot whose /run is full: for ever, since giving it up would not be its policy either."""
    policy.count.parent.write_text("no directory")
    assert [policy.ends("0", "60", "fail", "service") for _time in range(2)] == ["systemctl --no-block stop a.service\n"] * 2
    assert [policy.ends("1", "60", "fail", "service") for _time in range(3)] == [""] * 3


@pytest.mark.parametrize(
    ("kind", "result", "status", "counted"),
    [
        ("batch", "success", "0", False),
        ("batch", "success", "TERM", True),
        ("batch", "exit-code", "3", True),
        ("service", "success", "0", True),
    ],
)
def test_the_success_of_a_batch_task_alone_is_no_restart(policy, kind, result, status, counted):
    policy.ends("5", "60", "fail", kind, result=result, status=status)
    assert policy.count.exists() == counted


@pytest.mark.parametrize("kind", ["stop   ", "restart", "try-restart"])
def test_what_somebody_asked_for_is_no_restart(policy, kind):
    policy.job(f"4711 a.service {kind} running")
    assert policy.ends("0", "60", "fail", "service") == ""
    assert not policy.count.exists()


def test_a_start_that_waits_or_failed_is_nobodys_request_to_end(policy):
    policy.job("4711 a.service start running")
    assert policy.ends("0", "60", "fail", "service") == "systemctl --no-block stop a.service\n"


SILENT_AT_FIRST = "echo asked >>$0.asked; [ $(wc -l <$0.asked) -ge 3 ] || exit 1; echo 4711 a.service stop running"


def test_systemd_is_asked_again_while_it_executes_itself_anew(policy):
    program(policy.home / "bin" / "systemctl", SILENT_AT_FIRST)
    policy.ends("0", "60", "fail", "service")
    assert not policy.count.exists()


def test_an_end_is_counted_where_systemd_cannot_be_asked(policy):
    program(policy.home / "bin" / "systemctl", "exit 1")
    policy.ends("5", "60", "fail", "service")
    assert policy.count.read_text().split()[1] == "1"


def test_what_is_to_follow_a_task_is_called_when_it_is_given_up_and_not_before(policy):
    follows = ["/bin/sh", "-c", f'echo "$@" >>{policy.home}/calls', "sh", "a b", "--"]
    assert policy.ends("1", "60", "fail", "service", *follows) == ""
    assert policy.ends("1", "60", "fail", "service", *follows) == "systemctl --no-block stop a.service\na b --\n"
    assert "--\n" not in policy.ends("0", "3600", "delay", "service", *follows)


def test_an_instance_that_was_ended_and_is_started_again_has_all_its_attempts(policy):
    policy.count.parent.mkdir()
    policy.count.write_text("ended 0123abcd\n")
    assert policy.ends("1", "60", "fail", "service") == ""
    assert policy.count.read_text().split()[1] == "1"


class Ending:
    """end-instance with a directory of its own, and a systemctl that knows for each unit which run of it is the last."""

    def __init__(self, command: list[str], home: pathlib.Path) -> None:
        self.command, self.home, self.done = command, home, home / "done"
        self.done.mkdir()
        (home / "bin").mkdir()
        program(home / "bin" / "systemctl", f'case $1 in show) cat "{home}/run-$4";; *) echo "$@" >>{home}/calls;; esac')
        for name in ("a", "b", "c"):
            self.runs(name, "1")

    def runs(self, name: str, number: str) -> None:
        (self.home / f"run-k8s4r-task-{name}.service").write_text(f"{number}\n")

    def finishes(self, name: str) -> None:
        (self.done / name).touch()

    def ends(self, unit: str, *mains: str, batch: bool = False) -> str:
        """The end of a task; returns which units were stopped."""
        (self.home / "calls").write_text("")
        names = [f"k8s4r-task-{name}.service" for name in (unit, *mains)]
        others = [f"k8s4r-task-{name}.service" for name in ("s", "t")]
        path = f"{self.home}/bin:{ENVIRONMENT['PATH']}"
        done = run(self.command, str(self.done) if batch else "", *names, "--", *others, PATH=path)
        assert (done.returncode, done.stderr) == (0, "")
        return (self.home / "calls").read_text()


ALL_STOPPED = "--no-block stop k8s4r-task-s.service k8s4r-task-t.service\n"


@pytest.fixture
def ending(command, tmp_path):
    return Ending(command(helpers.END_INSTANCE, RESTARTS=tmp_path / "restarts"), tmp_path)


def test_the_end_of_the_last_main_task_ends_the_others(ending):
    assert [ending.ends("a", "b", "c"), ending.ends("c", "a", "b"), ending.ends("b", "a", "c")] == ["", "", ALL_STOPPED]
    assert not list(ending.done.iterdir())


def test_a_main_task_that_was_started_again_has_not_ended(ending):
    ending.ends("a", "b")
    ending.runs("a", "2")
    assert ending.ends("b", "a") == ""
    assert ending.ends("a", "b") == ALL_STOPPED


def test_the_end_of_a_leader_ends_the_others(ending):
    assert ending.ends("a") == ALL_STOPPED


def test_nothing_is_left_for_the_others_of_a_batch_job_only_if_all_main_tasks_have_run_to_their_end(ending):
    ending.finishes("a")
    assert ending.ends("a", "b", batch=True) == ""
    # This one is given up.
    assert ending.ends("b", "a", batch=True) == ALL_STOPPED
    assert sorted(path.name for path in ending.done.iterdir()) == ["a"]
    ending.finishes("b")
    assert ending.ends("b", "a", batch=True) == ALL_STOPPED
    assert sorted(path.name for path in ending.done.iterdir()) == ["a", "b", "s", "t"]


@pytest.mark.parametrize("then", ["running", "auto-restart", "dead"])
def test_a_task_is_told_of_changed_files_when_it_has_started(command, tmp_path, then):
    """systemd drops a reload of a unit that is still starting. Whoever waits for its next try is not waited for."""
    calls, states = tmp_path / "calls", tmp_path / "states"
    states.write_text(f"start-pre\nstart\n{then}\n")
    show = f'[ "$1" != show ] || {{ head -n 1 {states}; sed -i 1d {states}; }}'
    program(tmp_path / "systemctl", f'echo "$@" >>{calls}; {show}')
    assert run(command(helpers.TELL_TASK), "t.service", PATH=f"{tmp_path}:{ENVIRONMENT['PATH']}").returncode == 0
    *shown, told = calls.read_text().splitlines()
    assert shown == ["show --property SubState --value -- t.service"] * 3
    assert told == "--no-block try-reload-or-restart -- t.service"


def test_a_retry_goes_on_until_the_command_succeeds(command, tmp_path):
    calls = tmp_path / "calls"
    done = run(command(helpers.RETRY), "3", "0.01", "/bin/sh", "-c", fails_until(calls, 3))
    assert (done.returncode, calls.read_text().count("called")) == (0, 3)


def test_a_retry_ends_with_the_commands_status(command, tmp_path):
    calls = tmp_path / "calls"
    done = run(command(helpers.RETRY), "2", "0.01", "/bin/sh", "-c", fails_until(calls, 9))
    assert (done.returncode, calls.read_text().count("called")) == (7, 3)


def test_a_retry_hands_on_every_argument_as_it_is(command):
    assert run(command(helpers.RETRY), "0", "1", "printf", "%s|", "a b", "", "$HOME", "*").stdout == "a b||$HOME|*|"


@pytest.mark.parametrize(
    ("result", "status", "job", "made"),
    [
        ("success", "0", "", True),
        ("exit-code", "1", "", False),
        ("success", "TERM", "", False),
        ("success", "", "", False),
        ("timeout", "0", "", False),
        ("success", "0", "4711 a.service stop    running", False),
        ("success", "0", "4711 a.service restart running", False),
        ("success", "0", "4711 a.service start   waiting", True),
    ],
)
def test_only_a_task_that_ended_well_by_itself_is_finished(command, tmp_path, result, status, job, made):
    note = tmp_path / "a note"
    program(tmp_path / "systemctl", f'[ "$*" = "list-jobs --no-legend --plain a.service" ] && echo "{job}"')
    path = f"{tmp_path}:{ENVIRONMENT['PATH']}"
    done = run(command(helpers.MARK_FINISHED), "a.service", str(note), PATH=path, SERVICE_RESULT=result, EXIT_STATUS=status)
    assert done.returncode == 0, done
    assert note.exists() == made
    follows = ["/bin/sh", "-c", 'echo "$@"', "sh", "a b", "--"]
    done = run(command(helpers.MARK_FINISHED), "a.service", str(note), *follows, PATH=path, SERVICE_RESULT=result, EXIT_STATUS=status)
    assert (done.returncode, done.stdout) == (0, "a b --\n" if made else "")


def test_a_task_is_not_finished_where_systemd_cannot_be_asked(command, tmp_path):
    program(tmp_path / "systemctl", "exit 1")
    path = f"{tmp_path}:{ENVIRONMENT['PATH']}"
    done = run(command(helpers.MARK_FINISHED), "a.service", str(tmp_path / "note"), PATH=path, SERVICE_RESULT="success", EXIT_STATUS="0")
    assert done.returncode == 1
    assert not (tmp_path / "note").exists()


def test_a_task_that_is_being_stopped_is_not_finished_though_systemd_has_to_be_asked_again(command, tmp_path):
    program(tmp_path / "systemctl", SILENT_AT_FIRST)
    path = f"{tmp_path}:{ENVIRONMENT['PATH']}"
    done = run(command(helpers.MARK_FINISHED), "a.service", str(tmp_path / "note"), PATH=path, SERVICE_RESULT="success", EXIT_STATUS="0")
    assert done.returncode == 0, done
    assert not (tmp_path / "note").exists()


def test_a_note_that_cannot_be_made_is_an_error(command, tmp_path):
    program(tmp_path / "systemctl", "exit 0")
    path, note = f"{tmp_path}:{ENVIRONMENT['PATH']}", tmp_path / "none" / "note"
    assert run(command(helpers.MARK_FINISHED), "a.service", str(note), PATH=path, SERVICE_RESULT="success", EXIT_STATUS="0").returncode


@pytest.mark.parametrize(("ends", "status"), [("exit 0", 0), ("exit 7", 7), ("kill -TERM $$", 143), ("kill -KILL $$", 137)])
def test_the_shell_around_an_exec_task_hands_on_its_arguments_and_reports_its_end(ends, status):
    done = run([*exec_driver.SHELL], "/bin/sh", "-c", f'printf "%s|" "$@"; {ends}', "sh", "a b", "", "$HOME")
    assert (done.returncode, done.stdout) == (status, "a b||$HOME|")


def test_a_retry_pauses_whatever_the_tasks_path_is(command):
    done = run(command(helpers.RETRY), "1", "0.01", "/bin/sh", "-c", "exit 7", PATH="/nowhere")
    assert (done.returncode, done.stderr) == (7, "")


def test_python_helpers_start_without_the_robots_own_packages(command, tmp_path):
    """What a task puts on Python's path reaches no helper."""
    (tmp_path / "socket.py").write_text("raise SystemExit('trap')")
    done = run(command(helpers.AWAIT_PROXY), "/none", "0", PYTHONPATH=str(tmp_path), PATH=os.path.dirname(sys.executable) + ":/usr/bin")
    assert "trap" not in done.stderr
