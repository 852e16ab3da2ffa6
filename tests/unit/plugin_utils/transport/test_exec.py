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
        return self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]


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
    assert transport.Caller(robot).call({"op": "prepare"}, check=check)["status"] == "unchanged"
    (_first, (command, content)) = robot.asked
    length, _newline, rest = content.partition(b"\n")
    header, _newline, rest = rest[int(length) :].partition(b"\n")
    header = json.loads(header)
    assert header["keep"] is not check
    assert rest[: header["size"]][:2] == b"PK"
    assert json.loads(rest[header["size"] :]) == {"op": "prepare"}
    assert len(command) < 500


def test_check_mode_leaves_no_compiled_files_beside_a_kept_engine():
    robot = Scripted(answering({"status": "unchanged"}), answering({"status": "unchanged"}))
    transport.Caller(robot).call({"op": "prepare"}, check=True)
    transport.Caller(robot).call({"op": "prepare"}, check=False)
    assert ["-ISB" in command for command, _content in robot.asked] == [True, False]


def test_a_shell_finds_no_kept_engine():
    asked = []

    def once(command: str, content: bytes) -> transport.Outcome:
        asked.append(command)
        return shell(command, content) if len(asked) == 1 else answering({"status": "unchanged"})

    transport.Caller(once).call({"op": "prepare"})
    assert len(asked) == 2


def test_what_precedes_the_archive_is_read_by_its_length_in_a_real_shell():
    program = b"import sys; sys.stdout.write('K8S4R-RESULT\\n' + sys.stdin.buffer.read().decode())"

    def robot(command: str, content: bytes) -> transport.Outcome:
        if content.startswith(b"{"):
            return transport.Outcome(transport.MISSING, "", "")
        return shell(command, b"%d\n%b%b" % (len(program), program, b'{"status": "unchanged", "progress": "%d"}' % len(content)))

    assert int(transport.Caller(robot).call({"op": "prepare"})["progress"]) > 1000


def test_environment_and_interpreter_are_honoured():
    robot = Scripted(transport.Outcome(transport.MISSING, "", ""), answering({"status": "unchanged"}))
    transport.Caller(robot, interpreter="/opt/my python/bin/python3", environment="A='b c'").call({"op": "prepare"})
    assert "A='b c' '/opt/my" not in robot.asked[0][0]
    robot = Scripted(answering({"status": "unchanged"}))
    transport.Caller(robot, interpreter="'/opt/my python/bin/python3' -X utf8", environment="A='b c'").call({"op": "prepare"})
    assert "A='b c' '/opt/my python/bin/python3' -X utf8 -IS " in robot.asked[0][0]


def test_a_python_that_is_not_there_is_named():
    def robot(command: str, content: bytes) -> transport.Outcome:
        return shell(command, content) if content[:1] != b"{" else transport.Outcome(transport.MISSING, "", "")

    with pytest.raises(transport.RobotProblem, match="install python3"):
        transport.Caller(robot, interpreter="/nowhere/python3").call({"op": "prepare"})


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
        transport.Caller(Scripted(outcome)).call({"op": "prepare"})
    assert "Traceback" not in str(problem.value)
    assert "\n" not in str(problem.value)


ENGINE_LESS = transport.Outcome(1, "", "SyntaxError: '(' was never closed")


def test_a_kept_engine_that_gives_no_answer_is_sent_again():
    robot = Scripted(ENGINE_LESS, answering({"status": "unchanged"}))
    assert transport.Caller(robot).call({"op": "prepare"}) == {"status": "unchanged"}
    assert len(robot.asked) == 2


def test_what_was_damaged_is_told():
    answer = answering({"status": "unchanged"})
    robot = Scripted(ENGINE_LESS, answer._replace(stderr=f"{transport.REPLACED}/var/lib/x.py\n"))
    assert transport.Caller(robot).call({"op": "prepare"})["notices"] == [f"{transport.REPLACED}/var/lib/x.py"]


def test_a_python_2_is_named_with_its_version_and_the_variable():
    old = "Unknown option: -I\nusage: python2 [option] ... [-c cmd | -m mod | file | -] [arg] ...\n"
    robot = Scripted(*[transport.Outcome(2, "", old)] * 2, transport.Outcome(0, "Python 2.7.18\n", ""))
    with pytest.raises(transport.RobotProblem) as problem:
        transport.Caller(robot, interpreter="/usr/bin/python2").call({"op": "prepare"})
    said = str(problem.value)
    assert "/usr/bin/python2 is Python 2.7.18; 3.8 or later is needed" in said
    assert "set ansible_python_interpreter (it is /usr/bin/python2)" in said


GOES = {"g": {"name": "d/j/g", "whole": True, "units": [], "data": 0, "kept": 0}}
MESH = {"digest": "", "serves": [], "calls": [], "pods": []}
STAGED = {"status": "staged", "steps": [], "diff": [], "missing": [], "needed": [], "goes": GOES, "release": "r"} | {
    "before": [{"state": "whole", "plan": "d"}],
    "follows": {"/p": {"group": "n/j/g", "follows": "n/j/h/s", "before": ""}},
    "holds": [],
    "notices": [],
    "summary": [{"group": "n/j/g", "unit": "r0 a", "does": "new", "why": []}],
}

COMMITTED = {"status": "committed", "changes": [], "groups": {}, "units": {}, "notices": [], "errors": []} | {
    "restored": [],
    "undone": [],
    "committed": ["n/j/g"],
    "rest": "r-rest",
}


@pytest.mark.parametrize(("operation", "answer"), [("prepare", STAGED), ("poll", COMMITTED)])
def test_an_answer_of_an_engine_is_taken(operation, answer):
    assert transport.Caller(Scripted(answering(answer))).call({"op": operation}) == answer


@pytest.mark.parametrize(
    ("operation", "answer", "said"),
    [
        ("prepare", {}, "status None"),
        ("prepare", {"status": "wonderful\x1b[2J"}, r"status 'wonderful\\x1b\[2J'"),
        ("prepare", {"status": "committed"}, "status 'committed'"),
        ("prepare", {"status": 7}, "status 7"),
        ("prepare", {**STAGED, "steps": "all"}, "staged, but steps is missing or malformed"),
        ("prepare", {**STAGED, "summary": [{"group": "g"}]}, "staged, but summary is missing or malformed"),
        ("prepare", {**STAGED, "before": [{"state": 1}]}, "staged, but before is missing or malformed"),
        ("prepare", {**STAGED, "holds": [1]}, "staged, but holds is missing or malformed"),
        ("prepare", {**STAGED, "diff": [1]}, "staged, but diff is missing or malformed"),
        ("prepare", {**STAGED, "goes": {"g": {"name": 1}}}, "staged, but goes is missing or malformed"),
        ("prepare", {**STAGED, "follows": ["/p"]}, "staged, but follows is missing or malformed"),
        (
            "prepare",
            {**STAGED, "follows": {"/p": {"group": "n/j/g", "follows": 1, "before": ""}}},
            "staged, but follows is missing or malformed",
        ),
        (
            "prepare",
            {**STAGED, "follows": {"/p": {"group": "n/j/g", "follows": "s", "before": None}}},
            "but follows is missing or malformed",
        ),
        ("prepare", {"status": "unchanged", "follows": 7}, "unchanged, but follows is missing or malformed"),
        ("poll", {**COMMITTED, "rest": ["r"]}, "committed, but rest is missing or malformed"),
        ("poll", {**COMMITTED, "undone": [1]}, "committed, but undone is missing or malformed"),
        ("poll", {**COMMITTED, "status": "rolled-back", "committed": "all"}, "rolled-back, but committed is missing or malformed"),
        ("poll", {"status": "failed", "errors": [], "undone": 1}, "failed, but undone is missing or malformed"),
        ("prepare", {name: value for name, value in STAGED.items() if name != "release"}, "staged, but release is missing"),
        ("prepare", {"status": "refused"}, "refused, but errors is missing"),
        ("prepare", {"status": "refused", "errors": [["x"]]}, "refused, but errors is missing"),
        ("prepare", {"status": "unchanged", "notices": {"a": 1}}, "unchanged, but notices is missing or malformed"),
        ("prepare", {"status": "stale", "capabilities": {"systemd": 3}}, "capabilities is missing or malformed"),
        ("poll", {"status": "stale", "capabilities": {}, "ports": {"g": {"r0 http": 80}}}, "ports is missing or malformed"),
        ("poll", {"status": "stale", "capabilities": {}, "ports": {"g": 20000}}, "ports is missing or malformed"),
        ("switch", {"status": "committed"}, "committed, but"),
        ("poll", {"status": "pending"}, "pending, but release is missing"),
        ("probe", {"status": "ok"}, "ok, but capabilities is missing"),
        ("probe", {"status": "ok", "capabilities": {}}, "ok, but mesh is missing"),
        ("prepare", {"status": "stale", "capabilities": {}, "mesh": {"digest": "x"}}, "stale, but mesh is missing or malformed"),
        ("tell", {"status": "ok", "changes": [], "diff": [], "notices": [], "mesh": MESH}, "ok, but follows is missing"),
        ("status", {"status": "ok", "jobs": [], "idle": []}, "ok, but unread is missing"),
        (
            "status",
            {"status": "ok", "idle": [], "unread": [], "jobs": [{"name": "j", "groups": {"g": {"name": "g"}}}]},
            "ok, but jobs is missing or",
        ),
    ],
)
def test_an_answer_that_no_engine_gives_is_an_error(operation, answer, said):
    with pytest.raises(transport.RobotProblem, match=said) as problem:
        transport.Caller(Scripted(answering(answer))).call({"op": operation})
    assert "\x1b" not in str(problem.value)


def test_no_robot_prints_a_line_that_looks_like_anothers():
    error = "it failed; its last lines:\n    as they are\nok: [robot2]\n\nPLAY RECAP"
    answer = transport.Caller(Scripted(answering({"status": "failed", "errors": [error]}))).call({"op": "prepare"})
    assert answer["errors"] == ["it failed; its last lines:\n    as they are\n    ok: [robot2]\n\n    PLAY RECAP"]


def test_nor_in_what_a_run_changes_and_files_are_as_they_are():
    change = {"group": "default/a/g", "unit": "r0 a", "does": "restart", "why": ["env A\nrobot2: all is well"]}
    diff = [{"before": "", "after": "one\ntwo\n", "before_header": "a", "after_header": "a"}]
    answer = transport.Caller(Scripted(answering({**STAGED, "summary": [change], "diff": diff}))).call({"op": "prepare"})
    assert answer["summary"][0]["why"] == ["env A\n    robot2: all is well"]
    assert answer["diff"] == diff


def test_nothing_in_an_answer_acts_on_a_terminal():
    steps = ["create \x1b]0;OWNED\x07file\u202e", "two\nlines\tand \u00e9"]
    answer = transport.Caller(Scripted(answering({**STAGED, "steps": steps}))).call({"op": "prepare"})
    assert answer["steps"] == ["create \ufffd]0;OWNED\ufffdfile\ufffd", "two\n    lines\tand \u00e9"]
    failing = transport.Outcome(3, "", "\x1b[31mred")
    with pytest.raises(transport.RobotProblem, match="\ufffd\\[31mred"):
        transport.Caller(Scripted(failing)).call({"op": "prepare"})
