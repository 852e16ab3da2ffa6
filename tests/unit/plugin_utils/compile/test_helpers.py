# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs that units call, each run as a unit runs it: by its interpreter, from a file, with the paths filled in."""

from __future__ import annotations

import contextlib
import http.server
import os
import pathlib
import re
import shlex
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time

import pytest

from ansible_collections.k8s4r.robot.plugins.module_utils._engine import plan
from ansible_collections.k8s4r.robot.plugins.plugin_utils.compile import helpers
from ansible_collections.k8s4r.robot.plugins.plugin_utils.compile.units.drivers import exec as exec_driver

ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}


@pytest.fixture
def command(tmp_path):
    """The command of a helper whose fixed places are in a directory of the test's own."""

    def write(helper: helpers.Helper, **places: pathlib.Path) -> list[str]:
        text = helper.text
        for name, place in places.items():
            assert helpers.PLACES[f"@{name}@"] in text
            text = text.replace(helpers.PLACES[f"@{name}@"], str(place))
        path = tmp_path / helper.name
        path.write_text(text)
        return [*helper.interpreter, str(path)]

    return write


def run(argv: list[str], *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*argv, *arguments], env={**ENVIRONMENT, **environment}, capture_output=True, text=True, timeout=20, check=False)


@pytest.fixture
def start():
    """Start a program that is still to end by itself; whatever became of the test, it is gone afterwards."""
    started: list[subprocess.Popen[bytes]] = []

    def run_beside(argv: list[str], argument: object, **environment: str) -> subprocess.Popen[bytes]:
        started.append(subprocess.Popen([*argv, str(argument)], env={**ENVIRONMENT, **environment}, stderr=subprocess.PIPE))
        return started[-1]

    yield run_beside
    for process in started:
        process.kill()
        process.wait()


def program(path: pathlib.Path, text: str) -> pathlib.Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def fails_until(path: pathlib.Path, attempt: int) -> str:
    """A shell command that leaves a line at each call and succeeds from its `attempt`-th on."""
    quoted = shlex.quote(str(path))
    return f"echo called >>{quoted}; [ $(wc -l <{quoted}) -ge {attempt} ] || exit 7"


def test_every_file_is_a_helper_and_no_place_is_left_open():
    folder = pathlib.Path(helpers.__file__).parent
    files = {path.stem.replace("_", "-") for path in folder.iterdir() if not path.name.startswith("__")}
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


def test_a_file_is_awaited(command, start, tmp_path):
    waiting = start(command(helpers.AWAIT_FILE), tmp_path / "a file")
    with pytest.raises(subprocess.TimeoutExpired):
        waiting.wait(0.3)
    (tmp_path / "a file").touch()
    assert waiting.wait(10) == 0


def test_a_command_is_awaited(command, tmp_path):
    calls = tmp_path / "calls"
    assert run(command(helpers.AWAIT_COMMAND), fails_until(calls, 2)).returncode == 0
    assert calls.read_text().count("called") == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
@pytest.mark.parametrize(
    ("helper", "argument", "words"),
    [
        (helpers.AWAIT_FILE, "/none", "/none does not exist"),
        (helpers.AWAIT_COMMAND, "exit 7", "the command of readiness, at its last end: exit status 7"),
        (helpers.AWAIT_PORT, "1", "nothing listens on 127.0.0.1:1"),
    ],
)
def test_what_was_awaited_in_vain_is_said(command, helper, argument, words, number):
    """At its start timeout, systemd sends the unit's `killSignal` to all of its processes."""
    # A shell cannot trap what was ignored when it started, and whoever runs the tests in the background has it so.
    argv = ["/usr/bin/env", "--default-signal=INT,QUIT", *command(helper), argument]
    with subprocess.Popen(argv, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True, start_new_session=True) as waiting:
        try:
            time.sleep(0.5)
            os.killpg(waiting.pid, number)
            _out, said = waiting.communicate(timeout=10)
        finally:
            waiting.kill()
    assert waiting.returncode == 1
    # A shell may say before it that its `sleep` was killed, too.
    assert said.splitlines()[-1] == words


def test_an_identity_is_awaited(command, tmp_path):
    calls = tmp_path / "calls"
    program(tmp_path / "spire-agent", f'{fails_until(calls, 2)}; echo "$@" >{tmp_path}/arguments')
    done = run(command(helpers.AWAIT_IDENTITY, PROGRAMS=tmp_path), "/run/agent.sock", "10")
    assert (done.returncode, done.stdout, calls.read_text().count("called")) == (0, "", 2)
    assert (tmp_path / "arguments").read_text() == "api fetch x509 -silent -socketPath /run/agent.sock\n"


def test_an_identity_that_does_not_come_is_reported_with_the_reason(command, tmp_path):
    program(tmp_path / "spire-agent", "echo no identity issued >&2; exit 1")
    done = run(command(helpers.AWAIT_IDENTITY, PROGRAMS=tmp_path), "/run/agent.sock", "1")
    assert done.returncode == 1
    assert done.stderr == "<4>no identity after 1 s, the proxy starts without one: no identity issued\n"


def test_a_port_is_awaited(command, start):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        waiting = start(command(helpers.AWAIT_PORT), listener.getsockname()[1])
        with pytest.raises(subprocess.TimeoutExpired):
            waiting.wait(0.5)
        listener.listen()
        assert waiting.wait(10) == 0


class Admin(socketserver.ThreadingUnixStreamServer):
    """An HTTP server at a Unix socket, as Envoy's admin interface is; it answers with these statuses, the last one for ever.

    Like Envoy, it does not talk to HTTP/1.0. That of the robots' tests is a real one.
    """

    daemon_threads = True

    def __init__(self, path: pathlib.Path, *statuses: int) -> None:
        self.statuses, self.paths = list(statuses), []
        super().__init__(str(path), Answering)


class Answering(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.paths.append(self.path)
        if self.request_version == "HTTP/1.0":
            self.send_error(426)
            return
        self.send_response(self.server.statuses.pop(0) if len(self.server.statuses) > 1 else self.server.statuses[0])
        self.end_headers()

    def address_string(self) -> str:
        return "a unix socket"

    def log_message(self, *_arguments: object) -> None:
        pass


@contextlib.contextmanager
def admin(path: pathlib.Path, *statuses: int):
    with Admin(path, *statuses) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_a_proxy_is_awaited(command, tmp_path):
    with admin(tmp_path / "admin.sock", 503, 503, 200) as server:
        done = run(command(helpers.AWAIT_PROXY), str(tmp_path / "admin.sock"), "10")
    assert (done.returncode, done.stderr, server.paths) == (0, "", ["/ready"] * 3)


@pytest.mark.parametrize("answers", [True, False])
def test_a_proxy_that_is_not_ready_is_reported(command, tmp_path, answers):
    path = tmp_path / "admin.sock"
    with admin(path, 503) if answers else contextlib.nullcontext():
        done = run(command(helpers.AWAIT_PROXY), str(path), "0.3")
    assert (done.returncode, done.stderr) == (1, "<4>the proxy is not ready after 0.3 s; tasks start without it\n")


@pytest.mark.parametrize(("ends", "status"), [("exit 0", 0), ("exit 7", 7), ("kill -TERM $$", 143), ("kill -KILL $$", 137)])
def test_the_shell_around_an_exec_task_hands_on_its_arguments_and_reports_its_end(ends, status):
    done = run([*exec_driver.SHELL], "/bin/sh", "-c", f'printf "%s|" "$@"; {ends}', "sh", "a b", "", "$HOME")
    assert (done.returncode, done.stdout) == (status, "a b||$HOME|")


@pytest.mark.parametrize("helper", [helpers.AWAIT_FILE, helpers.AWAIT_COMMAND, helpers.AWAIT_PORT], ids=lambda helper: helper.name)
def test_what_waits_beside_a_task_waits_in_peace_whatever_the_tasks_path_is(command, start, tmp_path, helper):
    """Where `sleep` was looked up in the task's PATH, it was not found: the helper went round and round, and said so each time."""
    never = {helpers.AWAIT_FILE: tmp_path / "none", helpers.AWAIT_COMMAND: "false", helpers.AWAIT_PORT: 1}
    waiting = start(command(helper), never[helper], PATH="/nowhere")
    with pytest.raises(subprocess.TimeoutExpired):
        waiting.wait(0.5)
    waiting.kill()
    assert waiting.stderr.read() == b""


def test_a_retry_pauses_whatever_the_tasks_path_is(command):
    done = run(command(helpers.RETRY), "1", "0.01", "/bin/sh", "-c", "exit 7", PATH="/nowhere")
    assert (done.returncode, done.stderr) == (7, "")


def test_python_helpers_start_without_the_robots_own_packages(command, tmp_path):
    """What a task puts on Python's path reaches no helper."""
    (tmp_path / "socket.py").write_text("raise SystemExit('trap')")
    done = run(command(helpers.AWAIT_PROXY), "/none", "0", PYTHONPATH=str(tmp_path), PATH=os.path.dirname(sys.executable) + ":/usr/bin")
    assert "trap" not in done.stderr
