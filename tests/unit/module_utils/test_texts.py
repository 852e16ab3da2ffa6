# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people read: scrubbed, with a reason, and without a traceback."""

from __future__ import annotations

import errno
import json
import os
import pathlib
import socket

import pytest

from ansible_collections.k8s4r.robot.plugins.module_utils._engine import plan
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.change import health
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.resources import file
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.say import answers, texts
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.say.errors import CommandFailed, Refusal
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.state import lock
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.state.scrub import Scrubber
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.system import command, ports


@pytest.mark.parametrize("text", ['pa"ss$word', "line one\nline two", "käse-ß", "a\\b`c"])
def test_a_secret_is_hidden_in_every_form(text):
    scrub = Scrubber([text])
    escaped = "".join("\\" + char if char in '"\\`$' else char for char in text)
    for form in (text, json.dumps(text), json.dumps(text, ensure_ascii=False), f'K="{escaped}"', *text.splitlines()):
        shown = scrub({"errors": [f"before {form} after"]})["errors"][0]
        assert "********" in shown
        assert text.splitlines()[0] not in shown


def test_the_longer_secret_first():
    assert Scrubber(["abc", "abcdef", ""])("x abcdef y") == "x ******** y"
    assert Scrubber([])(["text", 1, None]) == ["text", 1, None]


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (Refusal(["a", "b"]), "refused", "a"),
        (OSError(errno.ENOSPC, "No space", "/x"), "refused", "disk full: there is no space left on this robot (/x)"),
        (OSError(errno.EACCES, "Permission denied", "/x"), "failed", "Permission denied (/x)"),
        (CommandFailed("userdel ended"), "failed", "userdel ended"),
        (KeyError("secret value"), "failed", "error in the engine (KeyError); please report it"),
    ],
)
def test_every_exception_is_an_answer(error, status, text):
    answer = answers.failed(error)
    assert (answer["status"], answer["errors"][0]) == (status, text)


def test_programs():
    assert command.run(["sh", "-c", "echo out; echo err >&2; exit 3"]) == (3, "out\nerr\n")
    assert command.run(["sh", "-c", "echo out; echo err >&2"], errors=False) == (0, "out\n")
    assert command.run(["sh", "-c", "kill -9 $$"])[0] == 137
    assert command.run(["sleep", "5"], timeout=0.1)[0] == 124
    assert command.run(["/no/such/program"]) == (127, "/no/such/program: not found")
    assert command.run(["/etc/passwd"]) == (127, "/etc/passwd: Permission denied")
    with pytest.raises(CommandFailed, match="ended with status 3"):
        command.need(["sh", "-c", "exit 3"])


def test_who_listens():
    with socket.create_server(("127.0.0.1", 0)) as server:
        number = server.getsockname()[1]
        ((address, _port, inode, uid),) = ports.listeners({number})
        assert (address, uid) == ("127.0.0.1", os.getuid())
        pid, name, _unit = ports.holders({inode})[inode]
        assert pid == os.getpid()
        assert "py" in name
    assert ports.clash("0.0.0.0", "127.0.0.1")
    assert ports.clash("127.0.0.1", "::")
    assert not ports.clash("127.0.0.1", "10.0.0.1")


def test_addresses_of_both_families(tmp_path):
    table = tmp_path / "tcp6"
    rows = ["00000000000000000000000001000000:1538", "0000000000000000FFFF00000100007F:1539", "0100007F:153A", "0100007F:153B"]
    table.write_text("header\n" + "".join(f"0: {row} 0:0 0A 0:0 0:0 0 {100 + i} 0 7{i}\n" for i, row in enumerate(rows)))
    assert ports.listeners({5432, 5433, 5434}, [str(table), "/nowhere"]) == [
        ("::1", 5432, "70", 100),
        ("127.0.0.1", 5433, "71", 101),
        ("127.0.0.1", 5434, "72", 102),
    ]


def test_whose_ports_are_whose():
    """A socket is told by its user; one that is not there is silent."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        number = server.getsockname()[1]
        wanted = [plan.port("127.0.0.1", number, "here")]
        assert not ports.used_by_others([(wanted[0], {os.getuid()})])
        assert ports.used_by_others([(wanted[0], {os.getuid() + 1})])
        assert not ports.used_by_others([(plan.port("127.0.0.2", number, "here"), set())])
        assert ports.without_listener(wanted) == []
        (text,) = ports.taken(wanted, set())
        assert text.startswith(f"here: port {number} on 127.0.0.1 is taken by py")
    assert ports.without_listener(wanted) == wanted
    assert not ports.used_by_others([(wanted[0], set())])
    assert not ports.used_by_others([])


def test_a_process_cannot_write_to_the_operators_terminal_by_its_name():
    comm = pathlib.Path(f"/proc/{os.getpid()}/comm")
    before = comm.read_text()
    with socket.create_server(("127.0.0.1", 0)) as server:
        comm.write_text("\x1b]0;pwn\x07\nx")
        try:
            (text,) = ports.taken([plan.port("127.0.0.1", server.getsockname()[1], "here")], set())
        finally:
            comm.write_text(before)
    assert text.isprintable()


def test_an_address_that_is_not_the_robots():
    wanted = [plan.port(address, 80, address) for address in ("127.0.0.1", "0.0.0.0", "192.0.2.9")]
    assert ports.not_local(wanted) == ["192.0.2.9: 192.0.2.9 is not an address of this robot"]


def test_the_lock_says_who(tmp_path):
    with lock.Lock(str(tmp_path), "alice@laptop", "switch"):
        assert lock.held(str(tmp_path / "lock")).startswith("alice@laptop is changing this robot (since 20")
        with pytest.raises(Refusal, match="alice@laptop"), lock.Lock(str(tmp_path), "bob", "prepare"):
            pass
    assert lock.held(str(tmp_path / "lock")) is None
    assert lock.held(str(tmp_path / "nothing")) is None


def test_members_that_go_stay_beside_those_that_come():
    def members(*names):
        return json.dumps({"v": 1, "resources": [{"name": name} for name in names]}).encode()

    united = json.loads(file.union(members("a", "b"), members("b", "c"), "resources"))
    assert [member["name"] for member in united["resources"]] == ["b", "c", "a"]
    assert file.union(b"garbage", members("b"), "resources") == members("b")


NOW = 1000.0
"""The robot's uptime in the tests of health; systemd gives times in microseconds of the same clock."""


def values(**more):
    found = {"ActiveState": "active", "Result": "success", "NRestarts": "0", "Job": "0", "ActiveEnterTimestampMonotonic": "1"}
    return dict(found, **more)


def watch(run="always", restarts=0, done=None):
    return health.Watch(plan.unit("u", "", run=run, done=done), restarts)


JUST_NOW = values(ActiveEnterTimestampMonotonic="999000000")
CRASHING = values(ActiveState="activating", SubState="auto-restart")


@pytest.mark.parametrize(
    ("run", "shown", "verdict"),
    [
        ("always", values(), health.Verdict.HEALTHY),
        ("always", JUST_NOW, health.Verdict.WAITING),
        ("always", values(Job="17", ActiveState="inactive"), health.Verdict.WAITING),
        ("always", values(ActiveState="inactive"), health.Verdict.FAILED),
        ("always", values(ActiveState="failed"), health.Verdict.FAILED),
        ("always", CRASHING, health.Verdict.WAITING),
        ("always", values(NRestarts="3"), health.Verdict.FAILED),
        ("always", dict(CRASHING, NRestarts="3"), health.Verdict.FAILED),
        ("always", dict(JUST_NOW, NRestarts="3"), health.Verdict.WAITING),
        ("always", dict(JUST_NOW, NRestarts="6"), health.Verdict.FAILED),
        ("init", JUST_NOW, health.Verdict.HEALTHY),
        ("init", values(ActiveState="inactive"), health.Verdict.FAILED),
        ("once", JUST_NOW, health.Verdict.HEALTHY),
        ("once", values(ActiveState="inactive"), health.Verdict.HEALTHY),
        ("once", values(ActiveState="inactive", Result="exit-code"), health.Verdict.FAILED),
    ],
)
def test_health(run, shown, verdict):
    assert watch(run).verdict(shown, NOW) is verdict


def test_patience_ends():
    watched = watch()
    assert watched.verdict(CRASHING, NOW) is health.Verdict.WAITING
    assert watched.verdict(CRASHING, NOW + health.LONGEST_PENDING) is health.Verdict.WAITING
    assert watched.verdict(CRASHING, NOW + health.LONGEST_PENDING + 1) is health.Verdict.FAILED


def test_patience_begins_again_when_systemd_has_a_job_for_the_unit():
    watched = watch()
    watched.verdict(CRASHING, NOW)
    assert watched.verdict(values(Job="17"), NOW + 14) is health.Verdict.WAITING
    assert watched.verdict(CRASHING, NOW + 16) is health.Verdict.WAITING


def test_restarts_before_the_watch_do_not_count():
    assert watch(restarts=3).verdict(values(NRestarts="3"), NOW) is health.Verdict.HEALTHY


@pytest.mark.parametrize(
    ("state", "before", "after"),
    [
        ("inactive", health.Verdict.FAILED, health.Verdict.HEALTHY),
        ("deactivating", health.Verdict.WAITING, health.Verdict.HEALTHY),
        ("failed", health.Verdict.FAILED, health.Verdict.FAILED),
    ],
)
def test_a_unit_that_runs_once_has_run_when_its_file_is_there(tmp_path, state, before, after):
    done = tmp_path / "done"
    shown = values(ActiveState=state, Result="exit-code")
    watched = watch("once", done=str(done))
    assert watched.verdict(shown, NOW) is before
    done.touch()
    assert watched.verdict(shown, NOW) is after


def test_how_a_unit_ended():
    shown = values(ActiveState="failed", SubState="failed", Result="exit-code", ExecMainCode="1", ExecMainStatus="7")
    assert health.describe(shown) == "failed (failed), result exit-code, exit status 7"
    assert health.describe({"LoadState": "not-found"}) == "there is no such unit"


def test_a_programs_line_cannot_act_on_the_operators_terminal():
    assert texts.harmless("\x1b]0;OWNED\x07ok\u202e\nnext") == "\ufffd]0;OWNED\ufffdok\ufffd\nnext"
    assert len(texts.harmless("x" * 100000)) == texts.LONGEST_LINE + 3
