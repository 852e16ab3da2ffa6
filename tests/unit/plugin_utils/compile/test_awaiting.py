# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The helpers that wait for something before a task starts, or beside it."""

from __future__ import annotations

import contextlib
import http.server
import os
import pathlib
import re
import signal
import socket
import socketserver
import subprocess
import threading
import time

import pytest

from ansible_collections.k8s4r.robot.plugins.plugin_utils.compile import helpers

from .programs import ENVIRONMENT, fails_until, program, run


def catches(pid: int, number: int) -> bool:
    """Whether a process handles a signal itself."""
    found = re.search(r"^SigCgt:\s*(\w+)", pathlib.Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return bool(found and int(found[1], 16) & 1 << number - 1)


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
            # It sets this one last.
            while waiting.poll() is None and not catches(waiting.pid, signal.SIGTERM):
                time.sleep(0.05)
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


@pytest.mark.parametrize("helper", [helpers.AWAIT_FILE, helpers.AWAIT_COMMAND, helpers.AWAIT_PORT], ids=lambda helper: helper.name)
def test_what_waits_beside_a_task_waits_in_peace_whatever_the_tasks_path_is(command, start, tmp_path, helper):
    """Where `sleep` was looked up in the task's PATH, it was not found: the helper went round and round, and said so each time."""
    never = {helpers.AWAIT_FILE: tmp_path / "none", helpers.AWAIT_COMMAND: "false", helpers.AWAIT_PORT: 1}
    waiting = start(command(helper), never[helper], PATH="/nowhere")
    with pytest.raises(subprocess.TimeoutExpired):
        waiting.wait(0.5)
    waiting.kill()
    assert waiting.stderr.read() == b""
