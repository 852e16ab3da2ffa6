# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Round trips, with a real shell where a robot would be."""

from __future__ import annotations

import json
import subprocess

import pytest

from ansible_collections.k8s4r.robot.plugins.plugin_utils.transport import exec as transport


def shell(command: str, content: bytes) -> transport.Outcome:
    done = subprocess.run(["/bin/sh", "-c", command], input=content, capture_output=True, check=False)
    return transport.Outcome(done.returncode, done.stdout.decode(), done.stderr.decode())


class Scripted:
    """Gives the outcomes one by one and keeps what it was asked."""

    def __init__(self, *outcomes: transport.Outcome) -> None:
        self.outcomes = list(outcomes)
        self.asked: list[tuple[str, bytes]] = []

    def __call__(self, command: str, content: bytes) -> transport.Outcome:
        self.asked.append((command, content))
        return self.outcomes.pop(0)


def answering(answer: dict) -> transport.Outcome:
    return transport.Outcome(0, f"Welcome to robot\n{transport.MARKER}\n{json.dumps(answer)}\nbye\n", "")


def test_a_kept_engine_is_asked_once_and_nothing_of_the_request_is_in_the_command():
    robot = Scripted(answering({"status": "unchanged"}))
    assert transport.Caller(robot).call({"op": "prepare", "secret": "canary"}) == {"status": "unchanged"}
    ((command, content),) = robot.asked
    assert "canary" not in command
    assert json.loads(content) == {"op": "prepare", "secret": "canary"}


@pytest.mark.parametrize("check", [False, True])
def test_a_missing_engine_is_sent_in_front_of_the_same_request(check):
    robot = Scripted(transport.Outcome(transport.MISSING, "", ""), answering({"status": "unchanged"}))
    assert transport.Caller(robot).call({"op": "probe"}, check=check)["status"] == "unchanged"
    (_first, (command, content)) = robot.asked
    length, _newline, rest = content.partition(b"\n")
    header, _newline, rest = rest[int(length) :].partition(b"\n")
    header = json.loads(header)
    assert header["keep"] is not check
    assert rest[: header["size"]][:2] == b"PK"
    assert json.loads(rest[header["size"] :]) == {"op": "probe"}
    assert len(command) < 500


def test_check_mode_leaves_no_compiled_files_beside_a_kept_engine():
    robot = Scripted(answering({}), answering({}))
    transport.Caller(robot).call({}, check=True)
    transport.Caller(robot).call({}, check=False)
    assert ["-ISB" in command for command, _content in robot.asked] == [True, False]


def test_a_shell_finds_no_kept_engine():
    asked = []

    def once(command: str, content: bytes) -> transport.Outcome:
        asked.append(command)
        return shell(command, content) if len(asked) == 1 else answering({"status": "x"})

    transport.Caller(once).call({})
    assert len(asked) == 2


def test_what_precedes_the_archive_is_read_by_its_length_in_a_real_shell():
    program = b"import sys; sys.stdout.write('K8S4R-RESULT\\n' + sys.stdin.buffer.read().decode())"

    def robot(command: str, content: bytes) -> transport.Outcome:
        if content.startswith(b"{"):
            return transport.Outcome(transport.MISSING, "", "")
        return shell(command, b"%d\n%b%b" % (len(program), program, b'{"got": "%d"}' % len(content)))

    assert int(transport.Caller(robot).call({})["got"]) > 1000


def test_environment_and_interpreter_are_honoured():
    robot = Scripted(transport.Outcome(transport.MISSING, "", ""), answering({}))
    transport.Caller(robot, interpreter="/opt/my python/bin/python3", environment="A='b c'").call({})
    assert "A='b c' '/opt/my" not in robot.asked[0][0]
    robot = Scripted(answering({}))
    transport.Caller(robot, interpreter="'/opt/my python/bin/python3' -X utf8", environment="A='b c'").call({})
    assert "A='b c' '/opt/my python/bin/python3' -X utf8 -IS " in robot.asked[0][0]


def test_a_python_that_is_not_there_is_named():
    def robot(command: str, content: bytes) -> transport.Outcome:
        return shell(command, content) if content[:1] != b"{" else transport.Outcome(transport.MISSING, "", "")

    with pytest.raises(transport.RobotProblem, match="install python3"):
        transport.Caller(robot, interpreter="/nowhere/python3").call({})


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        (transport.Outcome(transport.OLD_PYTHON, "", "/usr/bin/python3 is Python 3.6.9"), r"3\.6\.9.*3\.8 or later"),
        (transport.Outcome(transport.NOT_ROOT, "", "user id 1000"), "become: true"),
        (transport.Outcome(transport.NO_SYSTEMD, "", ""), "systemd does not run"),
        (transport.Outcome(transport.NOT_KEPT, "", "[Errno 28] No space left on device"), "No space left"),
        (transport.Outcome(1, "", "Traceback (most recent call last):\n  x\nKeyError: 1\n"), r"exit status 1\): KeyError"),
        (transport.Outcome(0, "", ""), "no output"),
        (transport.Outcome(0, 'K8S4R-RESULT\n{"cut', ""), "incomplete"),
        (transport.Outcome(0, "K8S4R-RESULT\n[]", ""), "no answer"),
    ],
)
def test_what_is_no_answer_is_explained_in_one_line(outcome, said):
    with pytest.raises(transport.RobotProblem, match=said) as problem:
        transport.Caller(Scripted(outcome)).call({})
    assert "Traceback" not in str(problem.value)
    assert "\n" not in str(problem.value)
