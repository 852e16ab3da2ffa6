# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rendered files get into directories that several tasks write in."""

from __future__ import annotations

import concurrent.futures
import contextlib
import grp
import json
import os
import pathlib
import pwd
import signal
import sys
import typing as t

import pytest

from ansible_collections.k8s4r.robot.plugins.plugin_utils.compile.helpers import place_templates

OWNED = (os.getuid(), os.getgid(), 0o600)


@pytest.fixture
def directory(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "argv", ["place-templates", "list.json"])
    opened = os.open(tmp_path, os.O_RDONLY)
    yield opened
    os.close(opened)


def test_those_that_come_at_once_do_not_harm_one_another(directory, tmp_path):
    def put(name: str) -> None:
        for number in range(100):
            place_templates.replace(directory, name, b"%d" % number, OWNED)

    with concurrent.futures.ThreadPoolExecutor() as pool:
        list(pool.map(put, ("a", "b", "c")))
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == dict.fromkeys("abc", "99")


def test_what_is_left_behind_of_a_file_goes_with_the_next_one(directory, tmp_path, monkeypatch):
    def pulled(*_arguments: object, **_options: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", pulled)
        with pytest.raises(KeyboardInterrupt):
            place_templates.replace(directory, "a", b"1", OWNED)
    assert len(list(tmp_path.iterdir())) == 1
    place_templates.replace(directory, "b", b"1", OWNED)
    assert len(list(tmp_path.iterdir())) == 2
    place_templates.replace(directory, "a", b"2", OWNED)
    assert {path.name for path in tmp_path.iterdir()} == {"a", "b"}


def test_one_that_cannot_be_placed_keeps_no_signal_from_the_others(tmp_path, monkeypatch):
    """The next reload would find nothing new about them."""
    called = [{"called": name, "signal": "SIGHUP" if name == "good" else ""} for name in ("good", "bad")]
    listed = tmp_path / "list.json"
    listed.write_text(json.dumps({"templates": called, "user": "root", "group": "root"}))

    def place(template: dict[str, str], *_rest: object) -> bool:
        if template["called"] == "bad":
            raise place_templates.Problem("bad: a directory is in its place")
        return True

    told: list[tuple[int, str]] = []
    monkeypatch.setattr(sys, "argv", ["place-templates", str(listed), "main"])
    monkeypatch.setenv("MAINPID", "7")
    monkeypatch.setattr(place_templates, "place", place)
    monkeypatch.setattr(place_templates, "program", lambda _process, _whom: 8)
    monkeypatch.setattr(os, "kill", lambda *what: told.append(what))
    with pytest.raises(SystemExit, match="template bad: a directory is in its place"):
        place_templates.main()
    assert told == [(8, "SIGHUP")]


class Task:
    """A task whose program is told of its files, with a list of them, and a directory that it shares with others."""

    def __init__(self, home: pathlib.Path, patch: pytest.MonkeyPatch, name: str = "one") -> None:
        self._home, self._patch, self._list = home, patch, home / "lists" / f"{name}.json"
        self.local, self.alloc, self.placed = home / name / "local", home / "alloc", home / name / "templates"
        for directory in (self._list.parent, self.local, self.alloc):
            directory.mkdir(parents=True, exist_ok=True)
        self._user = {"user": pwd.getpwuid(os.getuid()).pw_name, "group": grp.getgrgid(os.getgid()).gr_name}

    def lists(self, **texts: str) -> None:
        """`texts` by names such as local_a."""
        templates, rooms = [], {"local": str(self.local), "alloc": str(self.alloc)}
        for called, text in texts.items():
            room, _line, name = called.partition("_")
            source = self._list.with_suffix(f".{called}")
            source.write_text(text)
            each = {"from": str(source), "base": rooms[room], "path": [name], "called": f"{room}/{name}", "owner": self._user["user"]}
            templates.append({**each, "mode": "0600", "signal": int(signal.SIGHUP)})
        self._list.write_text(json.dumps({**self._user, "templates": templates, "placed": str(self.placed), "rooms": rooms}))

    def starts(self, **texts: str) -> None:
        if texts:
            self.lists(**texts)
        self._runs()

    def reloads(self, **texts: str) -> list[int]:
        """The signals that its program gets."""
        self.lists(**texts)
        told: list[int] = []
        with self._patch.context() as patch:
            patch.setenv("MAINPID", "7")
            patch.setattr(os, "kill", lambda _process, number: told.append(number))
            self._runs("main")
        return told

    def _runs(self, *whom: str) -> None:
        with self._patch.context() as patch:
            patch.setattr(sys, "argv", ["place-templates", str(self._list), *whom])
            place_templates.main()


@pytest.fixture
def task(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Task:
    return Task(tmp_path, monkeypatch)


def texts(directory: pathlib.Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in directory.iterdir()}


def test_a_reload_leaves_what_the_task_has_made_of_a_file_whose_text_is_still_the_same(task):
    task.starts(local_state="0", local_conf="1")
    (task.local / "state").write_text("7")
    assert task.reloads(local_state="0", local_conf="1") == []
    assert task.reloads(local_state="0", local_conf="2") == [signal.SIGHUP]
    assert texts(task.local) == {"state": "7", "conf": "2"}
    assert task.reloads(local_state="0", local_conf="1") == [signal.SIGHUP]
    assert texts(task.local) == {"state": "7", "conf": "1"}
    task.starts()
    assert texts(task.local) == {"state": "0", "conf": "1"}


def test_a_reload_tells_each_task_of_a_file_that_several_have(task, tmp_path, monkeypatch):
    tasks = [task, Task(tmp_path, monkeypatch, "two")]
    for each in tasks:
        each.starts(alloc_conf="1")
    assert [each.reloads(alloc_conf="2") for each in tasks] == [[signal.SIGHUP]] * 2


def test_a_file_that_is_not_listed_any_more_goes_at_the_next_start_unless_it_was_changed(task, capsys):
    task.starts(local_a="a", local_b="b", local_c="c", alloc_a="a")
    (task.local / "b").write_text("B")
    (task.local / "mine").write_text("a")
    task.starts(local_c="c", alloc_b="a")
    assert texts(task.local) == {"b": "B", "c": "c", "mine": "a"}
    assert texts(task.alloc) == {"b": "a"}
    said = capsys.readouterr().err
    assert said == "template local/b: is not listed any more; its file was changed on the robot, and stays\n"
    # What somebody else has put there since is not what it brought.
    os.replace(task.local / "mine", task.local / "a")
    task.starts(local_c="c")
    assert texts(task.local) == {"a": "a", "b": "B", "c": "c"}
    assert task.placed.stat().st_mode & 0o777 == 0o600


def test_a_file_that_another_task_has_too_stays(task, tmp_path, monkeypatch):
    other = Task(tmp_path, monkeypatch, "two")
    other.starts(alloc_a="a")
    task.starts(alloc_a="a", alloc_b="b")
    (tmp_path / "lists" / "one.watch.json").write_text("{}")
    task.starts(local_c="c")
    assert texts(task.alloc) == {"a": "a"}


def test_nothing_that_the_task_puts_in_the_way_leads_to_what_is_elsewhere(task, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "a").write_text("a")
    mark = place_templates.mark_of((elsewhere / "a").stat())
    (task.local / "conf").symlink_to(elsewhere)
    (task.local / "a").symlink_to(elsewhere / "a")
    os.mkfifo(task.local / "pipe")
    names = ["local/conf/a", "local/a", "local/../../elsewhere/a", "local/pipe", "local/no/a", "local", "local/", "local/\0", "no/a"]
    task.placed.write_text(json.dumps({name: ["", [mark]] for name in names}))
    task.starts(local_b="b")
    assert texts(elsewhere) == {"a": "a"}
    assert sorted(os.listdir(task.local)) == ["a", "b", "conf", "pipe"]


DAMAGED = ("", "[]", "7", "null", '{"local/a": 7}', '{"local/a": ["", 7]}', '{"local/a": []}', "[" * 100000, "\xff")


@pytest.mark.parametrize("damaged", DAMAGED, ids=range(len(DAMAGED)))
def test_a_note_that_cannot_be_read_stops_no_task(task, damaged):
    task.starts(local_a="a", local_b="1")
    task.placed.write_bytes(damaged.encode("latin-1"))
    assert task.reloads(local_a="a", local_b="2") == [signal.SIGHUP]
    task.starts(local_b="2")
    assert texts(task.local) == {"b": "2"}


def test_a_note_that_cannot_be_kept_stops_no_task(task, capsys):
    task.placed.mkdir()
    task.starts(local_a="a")
    assert task.reloads(local_a="b") == [signal.SIGHUP]
    assert texts(task.local) == {"a": "b"}
    assert "what templates have brought cannot be noted: Is a directory" in capsys.readouterr().err


@pytest.mark.parametrize("done", [False, True], ids=["before", "after"])
def test_one_that_is_ended_while_it_replaces_a_file_leaves_one_that_is_known(task, monkeypatch, done):
    rename = os.rename

    def ended(source: str, target: str, **options: t.Any) -> None:
        if done or target != "a":
            rename(source, target, **options)
        if target == "a":
            raise KeyboardInterrupt

    def replaced() -> None:
        with monkeypatch.context() as patch:
            patch.setattr(os, "rename", ended)
            with contextlib.suppress(KeyboardInterrupt):
                task.reloads(local_a="2", local_b="b")

    task.starts(local_a="1", local_b="b")
    replaced()
    # On the way back.
    assert task.reloads(local_a="1", local_b="b") == ([signal.SIGHUP] if done else [])
    assert (task.local / "a").read_text() == "1"
    replaced()
    task.starts(local_b="b")
    assert os.listdir(task.local) == ["b"]
