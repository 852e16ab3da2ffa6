# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a check makes of an answer, and what becomes of a task's state."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import resource
import socket
import ssl
import subprocess
import threading
import time

import pytest

from ansible_collections.k8s4r.robot.plugins.module_utils._engine.checks import grpc, network, runner, script, states
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.checks.states import CRITICAL, PASSING, WARNING, Outcome
from ansible_collections.k8s4r.robot.plugins.plugin_utils.compile.lines import for_systemd

CHECK = {"name": "c", "type": "http", "interval": 10.0, "timeout": 10.0, "initial": CRITICAL, "good": 1, "bad": 1}


# Seconds. Long enough for a machine that stands still for a moment.
LIMIT = 3.0


class Server:
    """Accepts connections, and says to each what it has to say, in pieces, once something was asked (a context manager)."""

    def __init__(self, *pieces: bytes, asked: bool = True, again: bool = False, stays: bool = False, pause: float = 0, secure=None) -> None:
        self.pieces, self.asked, self.again, self.stays = pieces, asked, again, stays
        self.heard, self.pause, self.secure = b"", pause, secure

    def __enter__(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.over = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_error):
        self.over.set()
        # Or the thread that waits for the next one would keep it open.
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                connection = self.socket.accept()[0]
                with contextlib.suppress(OSError):
                    connection = self.secure.wrap_socket(connection, server_side=True) if self.secure else connection
                    self.heard = connection.recv(65536) if self.asked else b""
                    self._say(connection)
                connection.close()

    def _say(self, connection):
        for piece in self.pieces:
            connection.sendall(piece)
        while self.again and not self.over.is_set():
            connection.sendall(self.pieces[-1])
            time.sleep(self.pause)
        if self.stays:
            self.over.wait(30)
        # What it does not read would end the connection before its last word has arrived.
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(5)
        while self.asked and connection.recv(65536):
            pass

    def check(self, **keys):
        return {**CHECK, "host": "127.0.0.1", "port": self.socket.getsockname()[1], "method": "GET", "path": "/health", **keys}


def http(code: int, body: bytes = b"", *more: bytes) -> bytes:
    return b"\r\n".join([f"HTTP/1.1 {code} whatever".encode(), *more, b"", body])


@pytest.mark.parametrize(
    ("answer", "keys", "expected"),
    [
        (http(200), {}, (PASSING, "HTTP 200", "")),
        (http(204), {}, (PASSING, "HTTP 204", "")),
        (http(429, b"slow\n\n"), {}, (WARNING, "HTTP 429", "slow")),
        (http(404, b"one\ntwo\x1b[31m"), {}, (CRITICAL, "HTTP 404", "two\ufffd[31m")),
        (http(404, b"<html>\n</html>\n", b"Content-Type: text/html;charset=utf-8"), {}, (CRITICAL, "HTTP 404", "")),
        (http(302, b"", b"Location: /login"), {}, (CRITICAL, "HTTP 302, and redirects are not followed", "")),
        (http(200, b"well"), {"expect": "well"}, (PASSING, "HTTP 200", "well")),
        (http(200, b"ill"), {"expect": "well"}, (CRITICAL, "HTTP 200, without the text that is expected", "ill")),
        (http(200, b"2\r\nwe\r\n2\r\nll\r\n0\r\n\r\n", b"Transfer-Encoding: chunked"), {"expect": "well"}, (PASSING, "HTTP 200", "well")),
        (
            http(200, b"zz\r\nwe", b"Transfer-Encoding: chunked"),
            {"expect": "well"},
            (CRITICAL, "the answer cannot be read: ValueError", ""),
        ),
        # What comes before an answer is none.
        (http(103, b"", b"Link: </a.css>") + http(100) + http(200, b"well"), {"expect": "well"}, (PASSING, "HTTP 200", "well")),
        (http(100) + http(503, b"ill"), {}, (CRITICAL, "HTTP 503", "ill")),
        (http(100), {}, (CRITICAL, "the answer is not one of HTTP/1.1", "")),
        (b"", {}, (CRITICAL, "the answer is not one of HTTP/1.1", "")),
        (b"SSH-2.0-x\r\n\r\n", {}, (CRITICAL, "the answer is not one of HTTP/1.1", "SSH-2.0-x")),
        (b"HTTP/1.1 2000 x\r\n\r\n", {}, (CRITICAL, "the answer is not one of HTTP/1.1", "HTTP/1.1 2000 x")),
    ],
)
def test_what_an_answer_of_http_means(answer, keys, expected):
    with Server(answer) as server:
        assert tuple(network.run(server.check(**keys))) == expected


def test_what_is_asked():
    with Server(http(200)) as server:
        network.run(server.check(method="HEAD", path="/x?y", headers={"HOST": "here", "X-Key": "K"}))
    lines = server.heard.decode().split("\r\n")
    assert {"HEAD /x?y HTTP/1.1", "HOST: here", "X-Key: K", "Connection: close"} <= set(lines)
    assert not any(line.startswith("Host:") for line in lines)


@pytest.mark.parametrize(
    ("server", "status", "times"),
    [
        (Server(stays=True), CRITICAL, 1),
        (Server(b"HTTP/1.1 200", stays=True), CRITICAL, 1),
        # Each piece comes in time.
        (Server(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n", again=True, pause=0.2), CRITICAL, 1),
        (Server(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n" * 1000, again=True), CRITICAL, 0),
        # Answers before the answer.
        (Server(b"HTTP/1.1 102 Processing\r\n\r\n" * 500, again=True), CRITICAL, 0),
        # What matters was said.
        (Server(http(200), b"x" * 65536, again=True), PASSING, 0),
        (Server(http(500), b"x" * 65536, again=True), CRITICAL, 0),
        (Server(http(200, b"so "), b"far", stays=True), PASSING, 1),
    ],
    ids=[
        "silent",
        "half a head",
        "dripping",
        "endless head",
        "endless interim answers",
        "endless body",
        "endless excuse",
        "body without an end",
    ],
)
def test_no_answer_takes_longer_than_the_check_may_or_more_than_is_read(server, status, times):
    # What takes no time has more of it on a machine that stands still for a while.
    limit = LIMIT if times else 4 * LIMIT
    began = time.monotonic()
    with server:
        expects = {"expect": "so far"} if server.pieces[:1] == (http(200, b"so "),) else {}
        found = network.run(server.check(timeout=limit, **expects))
    assert found.status == status
    # Once, and not once for each part of the answer.
    assert times * limit <= time.monotonic() - began < (times + 0.95) * limit
    assert len(found.output) <= states.LONGEST


def test_a_port_where_nobody_listens():
    with Server() as server:
        check = server.check(type="tcp")
        assert network.run(check).status == PASSING
    found = network.run(check)
    assert found.status == CRITICAL
    assert "refused" in found.said


def test_a_status_changes_with_as_many_results_in_a_row_as_it_takes():
    check = {**CHECK, "good": 2, "bad": 3}
    state = states.fresh(check, 1.0)
    seen = []
    for number, status in enumerate(
        [PASSING, CRITICAL, PASSING, PASSING, CRITICAL, CRITICAL, PASSING, CRITICAL, CRITICAL, CRITICAL, WARNING]
    ):
        state = states.after(check, state, Outcome(status, ""), float(number))
        seen.append(state["status"])
    assert seen == [CRITICAL] * 3 + [PASSING] * 6 + [CRITICAL] * 2
    assert state["since"] == 9.0
    # A failure at another time than its own is none in a row, and what was good before it does not count.
    state = states.after(check, state, Outcome(CRITICAL, "now"), 11.0, counts=False)
    assert (state["bad"], state["failed"], state["good"], state["said"]) == (0, 4, 0, "now")


def test_a_state_is_of_one_start_and_of_one_check():
    state = states.after(CHECK, states.fresh(CHECK, 1.0), Outcome(PASSING, ""), 2.0)
    task = {"started": 7, "checks": {"c": state}}
    assert states.current(CHECK, task, 7, 3.0)["status"] == PASSING
    assert states.current(CHECK, task, 8, 3.0)["status"] == CRITICAL
    assert states.current({**CHECK, "interval": 5.0}, task, 7, 3.0)["status"] == CRITICAL


class Robot:
    """Tasks with checks in a directory, of which some are up; the runner does not give up what it has, for it has nothing."""

    def __init__(self, monkeypatch, base):
        self.base, self.up, self.fallen = base, {"u": (1, 1)}, []
        (base / "checks").mkdir()
        monkeypatch.setattr(runner, "running", lambda units: {unit: self.up[unit] for unit in units if unit in self.up})
        for name in ("setgroups", "setgid", "setuid"):
            monkeypatch.setattr(f"os.{name}", lambda _to: None)

    def describe(self, *checks, task="t", **more):
        (self.base / "checks" / task).write_text(json.dumps({"unit": "u", "checks": checks, **more}), encoding="utf-8")

    def run(self):
        runner.Runner(str(self.base / "checks"), str(self.base / "states")).run()

    def states(self, task="t"):
        return states.load(task, str(self.base / "states"))["checks"]


@pytest.fixture
def robot(monkeypatch, tmp_path):
    return Robot(monkeypatch, tmp_path)


def test_checks_run_at_the_same_time_and_a_slow_one_holds_up_no_other(robot):
    with Server(stays=True) as slow, Server(http(200)) as quick, Server(http(503)) as ill:
        slowly = [slow.check(name=f"slow{number}", timeout=5.0) for number in range(5)]
        robot.describe(*slowly, quick.check(name="quick"), ill.check(name="ill"))
        began = time.monotonic()
        robot.run()
        assert time.monotonic() - began < 20
    found = robot.states()
    late = {check["name"]: CRITICAL for check in slowly}
    assert {name: state["status"] for name, state in found.items()} == {**late, "quick": PASSING, "ill": CRITICAL}
    # While the slow ones are waited for, those that have come to a result are not run again.
    assert max(found["quick"]["at"], found["ill"]["at"]) < found["slow0"]["at"] - 1


def test_a_check_is_run_when_it_is_due_and_at_once_when_a_deployment_waits_for_it(robot):
    with Server(http(503)) as ill, Server(http(200)) as well:
        robot.describe(ill.check(name="ill"), well.check(name="well"))
        robot.run()
        first = robot.states()
        robot.run()
        assert robot.states() == first
        states.ask(str(robot.base / "states"))
        robot.run()
        second = robot.states()
    assert first["well"] == second["well"]
    assert first["ill"]["at"] < second["ill"]["at"]
    assert second["ill"]["bad"] == 1
    assert second["ill"]["due"] == first["ill"]["due"] > time.monotonic() + 5


def test_what_another_version_has_left_keeps_none_from_its_checks(robot):
    (robot.base / "checks" / "older").parent.mkdir(exist_ok=True)
    (robot.base / "checks" / "older").write_text('{"unit": "u", "checks": [{"label": "c"}]}', encoding="utf-8")
    (robot.base / "states").mkdir()
    (robot.base / "states" / "t").write_text('{"started": 1, "checks": {"c": {"of": 1}}}', encoding="utf-8")
    with Server(http(200)) as server:
        robot.describe(server.check())
        robot.run()
    assert robot.states()["c"]["status"] == PASSING


def test_a_result_of_another_start_of_a_task_is_not_taken(robot):
    with Server(http(200), pause=0.3) as server:
        check = server.check()
        robot.describe(check)
        at_work = runner.Runner(str(robot.base / "checks"), str(robot.base / "states"))
        at_work._begin(impatient=False)
        robot.up = {"u": (2, 1)}
        at_work._begin(impatient=False)
        at_work.run()
    state = robot.states()["c"]
    assert (state["status"], state["at"]) == (CRITICAL, 0.0)


def test_what_was_missed_is_not_made_up_for(robot, monkeypatch):
    with Server(http(503)) as server:
        robot.describe(server.check(interval=10.0))
        robot.run()
        first = robot.states()["c"]["due"]
        now = time.monotonic() + 100
        monkeypatch.setattr(runner, "monotonic", lambda: now)
        (robot.base / "states" / "t").write_text(json.dumps({"started": 1, "checks": {"c": {**robot.states()["c"], "due": first}}}))
        runner.Runner(str(robot.base / "checks"), str(robot.base / "states"))._begin(impatient=False)
    assert robot.states()["c"]["due"] == now + 10


def test_checks_that_nobody_runs_are_critical(robot):
    with Server(http(200)) as server:
        check = server.check(timeout=1.0)
        robot.describe(check)
        robot.run()
    state = robot.states()["c"]
    assert states._seen(check, state, state["at"] + 75)["status"] == PASSING
    seen = states._seen(check, state, state["at"] + 90)
    assert (seen["status"], seen["said"].partition(";")[0]) == (CRITICAL, "not run for 90 s")


def test_a_task_that_is_not_up_is_not_checked_and_one_that_is_gone_has_no_state(robot):
    with Server(http(200)) as server:
        robot.describe(server.check())
        robot.run()
        robot.up = {}
        robot.describe(server.check(), task="other")
        (robot.base / "checks" / "t").unlink()
        robot.run()
    assert not (robot.base / "states" / "t").exists()
    assert robot.states("other") == {}


def frame(kind: int, flags: int, stream: int, content: bytes) -> bytes:
    return len(content).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + content


def answered(status: bytes) -> bytes:
    """What a gRPC server says: settings, a ping, headers, a message and trailers, whose compression nobody reads."""
    message = b"\0" + len(status).to_bytes(4, "big") + status
    rest = frame(6, 0, 0, b"pingpong") + frame(1, 4, 1, b"\x88\xff") + frame(0, 8, 1, b"\2" + message + b"..")
    return frame(4, 0, 0, b"\0\3\0\0\0\x64") + frame(8, 0, 0, b"\0\1\0\0") + rest + frame(1, 5, 1, b"\xbf")


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ([answered(b"\x08\x01")], (PASSING, "SERVING")),
        # One byte after the other.
        ([bytes((byte,)) for byte in answered(b"\x08\x01")], (PASSING, "SERVING")),
        ([answered(b"\x08\x02")], (CRITICAL, "NOT_SERVING")),
        ([answered(b"")], (CRITICAL, "UNKNOWN")),
        ([answered(b"\x08" + b"\xff" * 10)], (CRITICAL, "UNKNOWN")),
        ([answered(b"\x0a\x01\x01")], (CRITICAL, "UNKNOWN")),
        ([frame(4, 0, 0, b""), frame(1, 5, 1, b"\x88")], (CRITICAL, grpc.NO_STATUS)),
        ([frame(4, 0, 0, b""), frame(7, 0, 0, bytes(8))], (CRITICAL, grpc.NO_STATUS)),
        ([frame(4, 0, 0, b""), frame(3, 0, 1, bytes(4))], (CRITICAL, grpc.NO_STATUS)),
        ([b"HTTP/1.1 400 Bad Request\r\n\r\n"], (CRITICAL, "the answer is not one of HTTP/2")),
        ([frame(4, 0, 0, b"")], (CRITICAL, "the connection was closed before there was a status")),
        ([frame(0, 0, 1, b"\0\0\0\xff\xff" + bytes(8000))], (CRITICAL, "the answer is too long")),
        ([frame(0, 0, 1, b"\1\0\0\0\0")], (CRITICAL, "the answer is compressed, which nobody has asked for")),
        ([frame(0, 8, 1, b"")], (CRITICAL, "the answer cannot be read: IndexError")),
    ],
)
def test_what_an_answer_of_grpc_means(pieces, expected):
    with Server(*pieces) as server:
        assert tuple(network.run(server.check(type="grpc", service="a.B")))[:2] == expected
    assert server.heard.startswith(grpc.PREFACE)
    assert server.heard.endswith(b"\0\0\0\0\5\x0a\3a.B")


def test_an_endless_answer_of_grpc_ends():
    with Server(frame(4, 0, 0, b""), frame(8, 0, 0, bytes(4)), again=True) as server:
        assert network.run(server.check(type="grpc", service="")).said in ("the answer is too long", server_silent(server))


def server_silent(server: Server) -> str:
    return f"no answer from 127.0.0.1:{server.socket.getsockname()[1]} within 1 s"


def test_variables_are_read_as_the_compiler_writes_them(tmp_path):
    wanted = {"A": 'x\n\nB="y"\n$`\\', "EMPTY": "", "LONG_1": "ä" * 100, "C": '\\"'}
    (tmp_path / "env").write_text(for_systemd(wanted), encoding="utf-8")
    assert script.variables(str(tmp_path / "env")) == wanted


def test_limits_are_those_of_the_process():
    assert script.Process(os.getpid()).limits() == [resource.getrlimit(each) for each in range(16)]


def test_a_process_that_has_ended_is_no_other_one():
    child = subprocess.Popen(["sleep", "100"])
    process = script.Process(child.pid)
    assert process.lines("status")
    child.kill()
    child.wait()
    with pytest.raises(ProcessLookupError):
        process.open("ns/mnt")


@pytest.fixture
def certificate(tmp_path, monkeypatch):
    """Of arm.example, which signs itself; the robot has it among its authorities."""
    paths = [str(tmp_path / name) for name in ("key", "certificate")]
    names = ["-subj", "/CN=arm.example", "-addext", "subjectAltName=DNS:arm.example"]
    argv = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", *names]
    subprocess.run([*argv, "-keyout", paths[0], "-out", paths[1]], check=True, capture_output=True)
    monkeypatch.setenv("SSL_CERT_FILE", paths[1])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(paths[1], paths[0])
    return context


@pytest.mark.parametrize(
    ("tls", "trusted", "expected"),
    [
        ({"verify": True, "name": "arm.example"}, True, (PASSING, "HTTP 200")),
        ({"verify": True, "name": "leg.example"}, True, (CRITICAL, "Hostname mismatch")),
        ({"verify": True, "name": ""}, True, (CRITICAL, "IP address mismatch")),
        ({"verify": True, "name": "arm.example"}, False, (CRITICAL, "self")),
        ({"verify": False, "name": ""}, False, (PASSING, "HTTP 200")),
    ],
)
def test_a_certificate_is_verified_unless_the_job_says_otherwise(certificate, monkeypatch, tls, trusted, expected):
    if not trusted:
        monkeypatch.setenv("SSL_CERT_FILE", "/dev/null")
    with Server(http(200), secure=certificate) as server:
        found = network.run(server.check(tls=tls))
    assert found.status == expected[0]
    assert expected[1] in found.said


def test_a_server_without_tls_is_not_taken_for_one_with():
    with Server(http(200)) as server:
        found = network.run(server.check(tls={"verify": False, "name": ""}))
    assert found.status == CRITICAL
    assert "TLS" in found.said


@pytest.mark.parametrize(("own", "refused"), [([], False), (["--user", "--map-root-user", "--mount"], True)])
def test_root_enters_no_namespace_of_files_that_a_task_has_made(own, refused):
    """In a user namespace of its own it could have put its own program, or its own loader, in the place of the robot's."""
    with subprocess.Popen(["unshare", *own, "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:
        program.stdin.write(b"up")
        program.stdin.flush()
        assert program.stdout.read(2) == b"up"
        process = script.Process(program.pid)
        assert process.has_users_of_its_own() is refused
        how = {
            "environment": os.devnull,
            "path": "/bin",
            "user": "root",
            "group": "root",
            "groups": [],
            "directory": "/",
            "confined": False,
        }
        if refused:
            with pytest.raises(OSError, match="root enters none of those"):
                script._Script({"argv": ["true"], "timeout": 10}, how, process)
        program.kill()


def test_where_the_kernel_has_no_user_namespaces_nobody_is_in_one(monkeypatch):
    """Then no process has such a file."""
    stat = os.stat

    def without(path, **how):
        if str(path).endswith("ns/user"):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return stat(path, **how)

    process = script.Process(os.getpid())
    monkeypatch.setattr(script.os, "stat", without)
    assert not process.has_users_of_its_own()
