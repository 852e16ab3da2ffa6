# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Putting unpacked artifacts into the directories of a task, and taking them out again."""

from __future__ import annotations

import errno
import os

import pytest

from ansible_collections.k8s4r.robot.plugins.module_utils._engine.fetch import place


@pytest.fixture
def task(tmp_path, monkeypatch):
    """Puts trees ({name: text}) into a task's directory `local`, each as an artifact."""
    monkeypatch.setattr(place, "OWN", len(str(tmp_path / "local").split("/")))
    (tmp_path / "local").mkdir()

    def put(*trees, mode="dir", to=""):
        for number, tree in enumerate(trees):
            for name, text in tree.items():
                path = tmp_path / "unpacked" / str(number) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
        item = {"mode": mode, "to": f"{tmp_path}/local{to}"}
        owner = os.geteuid(), os.getegid()
        return place.put([item] * len(trees), str(tmp_path / "unpacked"), str(tmp_path / "marker"), owner)

    put.local = tmp_path / "local"
    put.marker = str(tmp_path / "marker")
    return put


def files(local):
    return {str(path.relative_to(local)): path.read_text() for path in local.rglob("*") if path.is_file()}


def test_trees_are_merged_and_later_ones_win(task):
    (task.local / "a").mkdir()
    (task.local / "a/mine").write_text("0")
    there = task({"a/b/x": "1", "y": "1"}, {"a/b/x": "2", "a/z": "2"})
    assert files(task.local) == {"a/mine": "0", "a/b/x": "2", "a/z": "2", "y": "1"}
    assert all(map(os.path.exists, there))


def test_what_came_goes_and_what_somebody_changed_stays(task):
    task({"a/b/x": "1", "a/c": "1", "y": "1"})
    (task.local / "a/c").write_text("changed")
    task({"y": "2"})
    assert files(task.local) == {"a/c": "changed", "y": "2"}
    place.take_out(task.marker)
    assert files(task.local) == {"a/c": "changed"}
    assert sorted(os.listdir(task.local)) == ["a"]


def test_an_empty_directory_stays_as_long_as_an_artifact_has_one(task, tmp_path):
    for tree in ({"a/x": "1"}, {"a/x": "2"}):
        (tmp_path / "unpacked/0/a/logs").mkdir(parents=True)
        (tmp_path / "unpacked/1/data").mkdir(parents=True)
        there = task(tree, {})
        assert all(map(os.path.isdir, (task.local / "a/logs", task.local / "data", *there)))
    task({"a/x": "3"})
    assert sorted(path.name for path in task.local.rglob("*")) == ["a", "x"]


def test_a_run_that_died_is_repeated(task, monkeypatch):
    task({"a/x": "1", "old": "1"})
    real = os.rename

    def dies(source, target, **keys):
        if source == "y":
            raise KeyboardInterrupt
        real(source, target, **keys)

    monkeypatch.setattr(os, "rename", dies)
    with pytest.raises(KeyboardInterrupt):
        task({"a/x": "2", "y": "2"})
    monkeypatch.setattr(os, "rename", real)
    assert not os.path.exists(task.marker)
    task({"a/x": "2", "y": "2"})
    assert files(task.local) == {"a/x": "2", "y": "2"}


def test_kinds_may_change(task):
    task({"a": "file", "b/c": "1"})
    task({"a/x": "1", "b": "file"})
    assert files(task.local) == {"a/x": "1", "b": "file"}


@pytest.mark.parametrize("to", ["", "/a", "/a/b"])
def test_a_link_is_not_followed(task, tmp_path, to):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "x").write_text("0")
    (task.local / "a").symlink_to(outside)
    task({"a/x": "1", "x": "1"}, to=to)
    assert files(outside) == {"x": "0"}
    place_of_it = task.local / to.strip("/")
    assert (place_of_it / "x").read_text() == "1"
    (tmp_path / "moved").mkdir()
    os.rename(task.local / "a", tmp_path / "moved/a")
    (task.local / "a").symlink_to(outside)
    place.take_out(task.marker)
    assert files(outside) == {"x": "0"}


def test_another_project_of_a_quota_gets_copies(task, monkeypatch):
    """The kernel moves nothing into it from outside. Copies are known again as well as what was moved."""
    real = os.rename

    def other(source, target, **keys):
        if keys.get("src_dir_fd") != keys.get("dst_dir_fd"):
            raise OSError(errno.EXDEV, "other project")
        real(source, target, **keys)

    monkeypatch.setattr(os, "rename", other)
    task({"a/x": "1", "y": "1"})
    assert files(task.local) == {"a/x": "1", "y": "1"}
    place.take_out(task.marker)
    assert os.listdir(task.local) == []


@pytest.mark.parametrize("at", range(4))
def test_copies_of_a_run_that_died_are_taken_out(task, tmp_path, monkeypatch, at):
    """Their inodes are not those that were unpacked, and of the one that it died in a part is there."""
    (tmp_path / "unpacked/0").mkdir(parents=True)
    (tmp_path / "unpacked/0/link").symlink_to("a/x")
    real, copied = os.rename, []

    def other(source, target, **keys):
        if keys.get("src_dir_fd") != keys.get("dst_dir_fd"):
            raise OSError(errno.EXDEV, "other project")
        if source == place.TEMPORARY:
            if len(copied) == at:
                raise KeyboardInterrupt
            copied.append(target)
        real(source, target, **keys)

    monkeypatch.setattr(os, "rename", other)
    (task.local / "mine").write_text("mine")
    tree = {"a/x": "1", "a/z": "", "y": "1"}
    with pytest.raises(KeyboardInterrupt):
        task(tree)
    assert sum(place.TEMPORARY in names for _at, _directories, names in os.walk(task.local)) == 1
    place.take_out(task.marker)
    assert os.listdir(task.local) == ["mine"]
    # What of the task's has such a name is in nobody's way.
    (task.local / "a" / place.TEMPORARY).mkdir(parents=True)
    place._take_out(task.marker, [{"to": str(task.local), "files": {"y": [place.COPIED, 1, 1]}, "directories": ["a"]}], keep=())
    assert (task.local / "a" / place.TEMPORARY).is_dir()


def test_a_directory_of_the_tasks_is_in_the_way_of_a_file_and_the_other_way_round(task, tmp_path):
    (task.local / "data/below").mkdir(parents=True)
    (task.local / "data/below/precious").write_text("mine")
    (task.local / "maps").write_text("mine")
    for name in ("data", "maps/x", "new"):
        path = tmp_path / "unpacked/0" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("theirs")
    item = {"mode": "dir", "to": str(task.local), "name": "a.tar"}
    said = place.obstacles([item], str(tmp_path / "unpacked"), task.marker)
    assert sorted(text.split("; ")[0] for text in said) == [
        f"a.tar: a directory of the task's is in the place of {task.local}/data",
        f"a.tar: a file of the task's is in the place of {task.local}/maps",
    ]


def in_the_way(task, tmp_path, name, mode="dir", to=""):
    """What of the task's is in the way of an artifact that is this file."""
    path = tmp_path / "unpacked/0" / name
    path.parent.mkdir(parents=True)
    path.write_text("2")
    said = place.obstacles([{"mode": mode, "to": f"{task.local}{to}", "name": "a"}], str(tmp_path / "unpacked"), task.marker)
    return [text.rpartition("; ")[0].replace(str(task.local), "") for text in said]


@pytest.mark.parametrize("name", ["data", "data/x/y"])
def test_what_earlier_artifacts_brought_is_in_nobodys_way(task, tmp_path, name):
    task({"data/x": "1", "data/deep/y": "1"})
    assert in_the_way(task, tmp_path, name) == []


@pytest.mark.parametrize("of_the_task", ["data/precious", "data/deep/precious", "data/deep/y", "data/empty/"])
def test_a_directory_of_an_artifact_is_in_the_way_if_the_task_wrote_there(task, tmp_path, of_the_task):
    task({"data/x": "1", "data/deep/y": "1"})
    if of_the_task.endswith("/"):
        (task.local / of_the_task).mkdir()
    else:
        (task.local / of_the_task).write_text("mine, and longer")
    assert in_the_way(task, tmp_path, "data") == ["a: a directory of the task's is in the place of /data"]


def test_a_file_of_an_artifact_is_in_the_way_if_the_task_changed_it(task, tmp_path):
    task({"data": "1"})
    (task.local / "data").write_text("mine, and longer")
    assert in_the_way(task, tmp_path, "data/x") == ["a: a file of the task's is in the place of /data"]


@pytest.mark.parametrize("to", ["/map", "/map/deep"])
def test_a_file_of_the_tasks_is_in_the_way_of_the_directory_that_an_artifact_is_put_in(task, tmp_path, to):
    (task.local / "map").write_text("mine")
    assert in_the_way(task, tmp_path, "x", to=to) == ["a: a file of the task's is in the place of /map"]


def test_the_directory_in_which_an_artifact_was_put_goes_with_it(task, tmp_path):
    for _again in range(2):
        task({"x": "1"}, to="/etc/config")
    # It can become a file at once, and come back.
    assert in_the_way(task, tmp_path, "config", mode="file", to="/etc/config") == []
    task({"config": "2"}, mode="file", to="/etc/config")
    assert files(task.local) == {"etc/config": "2"}
    task({"x": "1"}, to="/etc/config")
    assert files(task.local) == {"etc/config/x": "1"}
    place.take_out(task.marker)
    assert os.listdir(task.local) == []
    # One that was the task's stays.
    (task.local / "etc").mkdir()
    task({"x": "1"}, to="/etc/config")
    place.take_out(task.marker)
    assert [path.name for path in task.local.rglob("*")] == ["etc"]


@pytest.fixture
def group(tmp_path, monkeypatch):
    """Puts a tree ({name: text}) as an artifact of a task into the directory `alloc` of its group."""
    alloc = tmp_path / "groups/g/alloc"
    monkeypatch.setattr(place, "OWN", len(str(alloc).split("/")))
    alloc.mkdir(parents=True)
    item = {"mode": "dir", "to": f"{alloc}/maps", "name": "a"}

    def unpack(tree):
        for name, text in tree.items():
            path = tmp_path / "unpacked/0" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def marker(task):
        return f"{tmp_path}/tasks/{task}/artifacts"

    def obstacles(task, tree):
        unpack(tree)
        return place.obstacles([item], str(tmp_path / "unpacked"), marker(task))

    def put(task, tree):
        (tmp_path / "tasks" / task / "local").mkdir(parents=True, exist_ok=True)
        unpack(tree)
        place.put([item], str(tmp_path / "unpacked"), marker(task), (os.geteuid(), os.getegid()))

    put.alloc, put.marker, put.obstacles = alloc, marker, obstacles
    return put


@pytest.mark.parametrize("last", ["r0", "r1"])
def test_what_another_task_of_the_group_has_too_stays_until_it_goes_itself(group, last):
    first = "r1" if last == "r0" else "r0"
    for task in (first, last):
        group(task, {"a/x": "1", f"a/of {task}": "1"})
    place.take_out(group.marker(last))
    assert files(group.alloc) == {"maps/a/x": "1", f"maps/a/of {first}": "1"}
    # It is as well known to that one as if it had put it there.
    group(first, {"b": "2"})
    assert files(group.alloc) == {"maps/b": "2"}
    place.take_out(group.marker(first))
    assert os.listdir(group.alloc) == []


def test_another_version_takes_the_place_of_what_tasks_share(group):
    for task in ("r0", "r1"):
        group(task, {"a/x": "1", "b": "1"})
    for task in ("r0", "r1"):
        assert group.obstacles(task, {"a": "2"}) == []
        group(task, {"a": "2"})
    assert files(group.alloc) == {"maps/a": "2"}


def test_what_a_task_changed_is_handed_over_to_no_other_one(group):
    for task in ("r0", "r1"):
        group(task, {"x": "1"})
    (group.alloc / "maps/x").write_text("mine, and longer")
    for task in ("r1", "r0"):
        place.take_out(group.marker(task))
    assert files(group.alloc) == {"maps/x": "mine, and longer"}
