# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rendered files get into directories that several tasks write in."""

from __future__ import annotations

import concurrent.futures
import json
import os
import pathlib
import sys

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
