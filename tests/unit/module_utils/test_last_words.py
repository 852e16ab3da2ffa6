# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The last lines of log files, since a program was started."""

from __future__ import annotations

import os

import pytest

from ansible_collections.k8s4r.robot.plugins.module_utils._engine.logs import words as logs


@pytest.fixture
def directory(tmp_path):
    (tmp_path / "stdout.log").write_text("old\n", encoding="utf-8")
    return tmp_path


def add(path, text: str) -> None:
    with open(path, "a", encoding="utf-8") as stream:
        stream.write(text)


def test_what_was_there_before_does_not_count(directory):
    words = logs.LastWords()
    words.from_here_on(str(directory))
    assert words.of(str(directory)) == []
    add(directory / "stdout.log", "new\n\nnewer\n")
    assert words.of(str(directory)) == ["new", "newer"]


def test_what_is_said_at_each_start_is_shown_once(directory):
    words = logs.LastWords()
    words.from_here_on(str(directory))
    add(directory / "stdout.log", "begins\n" * 3)
    add(directory / "stderr.log", "no file\nends\n" * 3)
    assert words.of(str(directory)) == ["begins", "no file", "ends"]


def test_errors_are_last_and_first_to_be_shown(directory):
    words = logs.LastWords()
    words.from_here_on(str(directory))
    add(directory / "stdout.log", "".join(f"{number}\n" for number in range(9)))
    add(directory / "stderr.log", "one\ntwo\n")
    assert words.of(str(directory), 4) == ["7", "8", "one", "two"]
    assert words.of(str(directory), 1) == ["two"]


def test_a_rotation_in_between_loses_none(directory):
    words = logs.LastWords()
    words.from_here_on(str(directory))
    add(directory / "stdout.log", "new\n")
    (directory / "stdout.log").rename(directory / "stdout.log.1")
    add(directory / "stdout.log", "newer\n")
    assert words.of(str(directory)) == ["new", "newer"]


def test_of_a_long_log_the_end_is_read(directory):
    add(directory / "stdout.log", "x" * 50 + "\n" + "y" * logs.MOST + "\nlast, without an end")
    assert logs.LastWords().of(str(directory)) == ["last, without an end"]


def test_no_link_is_read(directory, tmp_path):
    (tmp_path / "secret").write_text("secret\n", encoding="utf-8")
    (directory / "stderr.log").symlink_to(tmp_path / "secret")
    assert logs.LastWords().of(str(directory)) == ["old"]
    assert logs.LastWords().of(str(tmp_path / "nowhere")) == []


def test_a_file_in_the_place_of_a_fifo_goes_and_a_fifo_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(logs.plan, "FIFOS", str(tmp_path))
    (tmp_path / "app.stdout").write_text("Terminated", encoding="utf-8")
    os.mkfifo(tmp_path / "app.stderr")
    logs.make_way("/var/lib/k8s4r/tasks/app/logs")
    assert [path.name for path in tmp_path.iterdir()] == ["app.stderr"]
