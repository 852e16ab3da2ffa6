# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files: whole or not at all, and nobody's link is followed."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tracemalloc

import pytest

from ansible_collections.k8s4r.robot.plugins.module_utils._engine.system import files
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.system.observe import Observer

UID, GID = os.getuid(), os.getgid()


def put(path, content=b"new", mode=0o640):
    files.write(str(path), content, UID, GID, mode)


def deepen(directory):
    """Put 3000 directories below it, one in the other: more than a path can name."""
    here = os.open(directory, os.O_RDONLY)
    for _level in range(3000):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)


@pytest.fixture
def private_umask():
    before = os.umask(0o077)
    yield
    os.umask(before)


@pytest.mark.usefixtures("private_umask")
def test_a_file_appears_with_its_mode_and_leaves_nothing_beside_it(tmp_path):
    put(tmp_path / "file", mode=0o644)
    assert (tmp_path / "file").read_bytes() == b"new"
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o644
    assert os.listdir(tmp_path) == ["file"]


def test_a_replaced_file_is_another_file(tmp_path):
    target = tmp_path / "file"
    target.write_text("old")
    with target.open() as reader:
        put(target)
        assert reader.read() == "old"
    assert target.read_text() == "new"


def test_what_a_killed_run_left_is_replaced(tmp_path):
    (tmp_path / ".file.k8s4r~").write_text("half")
    put(tmp_path / "file")
    assert os.listdir(tmp_path) == ["file"]


def test_a_link_in_place_of_the_file_is_replaced_and_its_target_left_alone(tmp_path):
    (tmp_path / "victim").write_text("mine")
    (tmp_path / "file").symlink_to("victim")
    put(tmp_path / "file")
    assert (tmp_path / "victim").read_text() == "mine"
    assert not (tmp_path / "file").is_symlink()


@pytest.mark.parametrize(
    "action", [put, lambda path: files.make_directory(str(path), UID, GID, 0o755), lambda path: files.link(str(path), "x")]
)
def test_a_link_on_the_way_is_not_followed(tmp_path, action):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "task").symlink_to("elsewhere")
    with pytest.raises(OSError, match=r"Not a directory|Too many levels"):
        action(tmp_path / "task" / "file")
    assert os.listdir(tmp_path / "elsewhere") == []


def test_removal_does_not_leave_the_directory(tmp_path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").write_text("mine")
    (tmp_path / "task" / "sub").mkdir(parents=True)
    (tmp_path / "task" / "sub" / "link").symlink_to("../../kept")
    (tmp_path / "task" / "file").write_text("x")
    files.remove(str(tmp_path / "task"))
    assert not (tmp_path / "task").exists()
    assert (tmp_path / "kept" / "file").read_text() == "mine"
    files.remove(str(tmp_path / "task"))
    files.remove(str(tmp_path / "never" / "was"))


def test_a_directory_keeps_what_is_in_it(tmp_path):
    (tmp_path / "data").mkdir(mode=0o777)
    (tmp_path / "data" / "file").write_text("x")
    files.make_directory(str(tmp_path / "data"), UID, GID, 0o750)
    assert (tmp_path / "data" / "file").read_text() == "x"
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o750


def test_something_else_in_the_way_is_replaced(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_text("x")
    put(tmp_path / "a")
    assert (tmp_path / "a").read_text() == "new"
    files.make_directory(str(tmp_path / "a"), UID, GID, 0o755)
    assert (tmp_path / "a").is_dir()
    files.link(str(tmp_path / "a"), "target")
    assert os.readlink(tmp_path / "a") == "target"


def test_observing(tmp_path):
    observer = Observer(lambda content: content.decode())
    put(tmp_path / "file", b"text", 0o600)
    seen = observer.path(str(tmp_path / "file"))
    assert (seen["type"], seen["mode"], seen["content"]) == ("file", "0600", "text")
    files.link(str(tmp_path / "link"), "file")
    assert observer.path(str(tmp_path / "link")) == {"type": "link", "target": "file"}
    assert observer.path(str(tmp_path))["type"] == "directory"
    assert observer.path(str(tmp_path / "nothing")) is None
    assert observer.path(str(tmp_path / "file" / "below")) is None
    os.mkfifo(tmp_path / "fifo")
    assert observer.path(str(tmp_path / "fifo"))["type"] == "other"


def test_directories_of_any_depth_are_removed_and_no_link_on_the_way_is_followed(tmp_path):
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "kept").touch()
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "link").symlink_to(tmp_path / "precious")
    deepen(victim)
    files.remove(str(victim))
    assert os.listdir(tmp_path) == ["precious"]
    assert os.listdir(tmp_path / "precious") == ["kept"]


def test_the_size_of_a_directory_is_that_of_all_below_it_and_follows_no_link(tmp_path):
    below = tmp_path / "data" / "below"
    below.mkdir(parents=True)
    for directory in (below, below.parent):
        (directory / "file").write_bytes(b"x" * 40960)
    (tmp_path / "large").write_bytes(b"x" * 409600)
    (below / "link").symlink_to(tmp_path / "large")
    before = files.size(str(tmp_path / "data"))
    assert 81920 <= before < 122880
    for number in range(5):
        os.link(next(path for path in (tmp_path / "data").rglob("*") if path.is_file()), tmp_path / "data" / f"link{number}")
    assert files.size(str(tmp_path / "data")) == before
    assert files.size(str(tmp_path / "nowhere")) == 0


def test_the_size_of_a_directory_is_found_in_bounded_time_at_any_depth(tmp_path):
    deepen(tmp_path)
    # Directories are none of what a program wrote.
    assert files.size(str(tmp_path)) == 0
    for number in range(50):
        (tmp_path / str(number)).write_bytes(b"x" * 4096)
    assert files.size(str(tmp_path), most=10) < 30 * 4096
    files.remove(str(tmp_path / "d"))


def test_the_size_of_a_directory_takes_little_memory_whatever_a_task_has_made_there(tmp_path):
    """The names of all that is there, each with its whole path, were ten megabytes here, and four gigabytes for the worst task."""
    deep = tmp_path.joinpath(*(f"{level}".rjust(250, "d") for level in range(10)))
    deep.mkdir(parents=True)
    for number in range(2000):
        (deep / f"{number}".rjust(250, "f")).touch()
        (deep / f"{number}".rjust(250, "e")).mkdir()
    tracemalloc.start()
    try:
        files.size(str(tmp_path))
        assert tracemalloc.get_traced_memory()[1] < 3_000_000
    finally:
        tracemalloc.stop()


# Users of nobody.
BEFORE, AFTER, OTHER = 54321, 54322, 54323


def owners(directory):
    return {path.name: path.lstat().st_uid for path in [directory, *directory.rglob("*")]}


@pytest.fixture
def given(tmp_path):
    """A directory of one user with files of several, and links that lead out of it."""
    outside, given = tmp_path / "outside", tmp_path / "given"
    for directory in (outside, given, given / "sub"):
        directory.mkdir()
        os.chown(directory, BEFORE, -1)
    for path, user in {given / "own": BEFORE, given / "others": OTHER, given / "sub/own2": BEFORE, outside / "own3": BEFORE}.items():
        path.write_text("x")
        os.chown(path, user, -1)
    for name in ("link", "sub/link2"):
        (given / name).symlink_to(outside)
        os.lchown(given / name, BEFORE, -1)
    return given


def test_what_belongs_to_a_user_changes_hands_and_nothing_else(given):
    files.hand_over(str(given), BEFORE, AFTER, itself=False)
    within = {"own": AFTER, "others": OTHER, "sub": AFTER, "own2": AFTER, "link": AFTER, "link2": AFTER}
    assert owners(given) == {"given": BEFORE, **within}
    files.hand_over(str(given), BEFORE, AFTER)
    assert owners(given) == {"given": AFTER, **within}
    assert set(owners(given.parent / "outside").values()) == {BEFORE}
    files.hand_over(str(given / "link"), AFTER, OTHER)
    assert owners(given)["link"] == OTHER
    assert owners(given.parent / "outside")["own3"] == BEFORE
    files.hand_over(str(given / "missing"), BEFORE, AFTER)


def test_the_directory_itself_changes_hands_last(given, monkeypatch):
    """By its owner, a run that follows one that was killed knows that there is more to do."""
    real = os.chown

    def noted(path, *arguments, **options):
        assert given.stat().st_uid == BEFORE
        real(path, *arguments, **options)

    monkeypatch.setattr(os, "chown", noted)
    files.hand_over(str(given), BEFORE, AFTER)
    assert given.stat().st_uid == AFTER


def test_directories_of_any_depth_change_hands(tmp_path):
    deepen(tmp_path)
    (tmp_path / "d/end").write_text("x")
    given = (tmp_path / "d/d", tmp_path / "d/end")
    for path in given:
        os.chown(path, BEFORE, -1)
    try:
        files.hand_over(str(tmp_path / "d"), BEFORE, AFTER)
        assert {path.stat().st_uid for path in given} == {AFTER}
    finally:
        # Python's own removal, and so pytest's, does not get down there.
        files.remove(str(tmp_path / "d"))


# Exchanges the names of two files without end.
SWAPPING = """
import ctypes, os, sys
libc = ctypes.CDLL(None)
one, two = (os.fsencode(path) for path in sys.argv[1:])
print(flush=True)
while True:
    libc.renameat2(-100, one, -100, two, 2)
"""


def test_a_task_that_exchanges_files_gets_none_that_is_not_its_own(given):
    """It has a directory where it may move also what belongs to others, and goes on while the directory changes hands."""
    own, others = given / "own", given / "others"
    command = [sys.executable, "-c", SWAPPING, str(own), str(others)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as swapping:
        try:
            swapping.stdout.readline()
            for _again in range(300):
                files.hand_over(str(given), BEFORE, AFTER)
                files.hand_over(str(given), AFTER, BEFORE)
        finally:
            swapping.kill()
    # It may have been missed.
    files.hand_over(str(given), AFTER, BEFORE)
    assert sorted((own.stat().st_uid, others.stat().st_uid)) == [BEFORE, OTHER]


def test_a_directory_that_is_moved_away_meanwhile_leads_nowhere(given, monkeypatch):
    """Above where it is by then, things are nobody's business."""
    elsewhere, real = given.parent / "elsewhere", os.listdir
    (elsewhere / "deep").mkdir(parents=True)
    (elsewhere / "own4").write_text("x")
    os.chown(elsewhere / "own4", BEFORE, -1)

    def moved(directory):
        found = real(directory)
        if "own2" in found and (given / "sub").exists():
            (given / "sub").rename(elsewhere / "deep/sub")
        return found

    monkeypatch.setattr(os, "listdir", moved)
    files.hand_over(str(given), BEFORE, AFTER)
    assert (elsewhere / "own4").stat().st_uid == BEFORE
    assert owners(given) == {"given": AFTER, "own": AFTER, "others": OTHER, "link": AFTER}
