# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine as a robot keeps it: whole, and on the disk before it has its name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.k8s4r.robot.plugins.module_utils._engine.state.robot import Robot
from ansible_collections.k8s4r.robot.plugins.plugin_utils.transport import bootstrap, packing


def test_the_engine_looks_for_itself_where_it_is_kept():
    """And for its reserve: the bootstrap stands alone on the robot, so it says again where they are."""
    state = Robot().state
    assert [f"{state}/engine", f"{state}/reserve"] == [bootstrap.ROOM, bootstrap.RESERVE]


@pytest.fixture
def synced(tmp_path, monkeypatch):
    """The paths that were synced, as they were called then."""
    monkeypatch.setattr(bootstrap, "ROOM", str(tmp_path / "lib" / "k8s4r" / "engine"))
    (tmp_path / "lib").mkdir()
    paths = []
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: (paths.append(os.readlink(f"/proc/self/fd/{fd}")), fsync(fd)))
    return paths


def test_every_file_is_synced_before_the_engine_has_its_name(synced, tmp_path):
    engine = packing.engine()
    target = bootstrap.keep(engine.digest, engine.archive())
    beside = f"{bootstrap.ROOM}/.{engine.digest}.{os.getpid()}"
    assert {f"{beside}/{name}" for name in engine.files} <= set(synced)
    assert {beside, f"{beside}/k8s4r_engine"} <= set(synced)
    assert synced[-1] == bootstrap.ROOM
    assert {str(tmp_path / "lib"), str(tmp_path / "lib" / "k8s4r")} <= set(synced)
    assert os.listdir(bootstrap.ROOM) == [engine.digest]
    assert {name: Path(target, name).read_bytes() for name in engine.files} == engine.files


@pytest.mark.usefixtures("synced")
def test_what_is_left_of_an_engine_is_replaced():
    engine = packing.engine()
    target = Path(bootstrap.keep(engine.digest, engine.archive()))
    (target / "__main__.py").unlink()
    bootstrap.keep(engine.digest, engine.archive())
    assert (target / "__main__.py").read_bytes() == engine.files["__main__.py"]


HARM = {
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-40]),
    "emptied": lambda path: path.write_bytes(b""),
    "rubbish": lambda path: path.write_bytes(b"\0\xff" * 100),
    "removed": lambda path: path.unlink(),
}


@pytest.mark.usefixtures("synced")
@pytest.mark.parametrize("harm", HARM)
@pytest.mark.parametrize("name", ["__main__.py", "k8s4r_engine/plan/__init__.py", "k8s4r_engine/requests/main.py"])
def test_a_damaged_file_is_replaced_and_named(name, harm, capsys):
    engine = packing.engine()
    target = Path(bootstrap.keep(engine.digest, engine.archive()))
    HARM[harm](target / name)
    bootstrap.keep(engine.digest, engine.archive())
    assert (target / name).read_bytes() == engine.files[name]
    assert capsys.readouterr().err == f"{bootstrap.REPLACED}{target / name}\n"


@pytest.mark.usefixtures("synced")
def test_damaged_bytecode_goes():
    engine = packing.engine()
    target = Path(bootstrap.keep(engine.digest, engine.archive()))
    (target / "k8s4r_engine" / "__pycache__").mkdir()
    bootstrap.keep(engine.digest, engine.archive())
    assert not (target / "k8s4r_engine" / "__pycache__").exists()


@pytest.mark.usefixtures("synced")
def test_an_engine_that_is_there_stays():
    engine = packing.engine()
    first = os.stat(bootstrap.keep(engine.digest, engine.archive())).st_ino
    assert os.stat(bootstrap.keep(engine.digest, engine.archive())).st_ino == first
    assert os.listdir(bootstrap.ROOM) == [engine.digest]


def test_two_first_contacts_may_make_the_room_at_once(synced, monkeypatch):
    del synced
    isdir = os.path.isdir

    def before_the_other(path):
        """Looks, and then the other one makes it."""
        found = isdir(path)
        if path == bootstrap.ROOM and not found:
            os.makedirs(bootstrap.ROOM, 0o700)
        return found

    monkeypatch.setattr(os.path, "isdir", before_the_other)
    engine = packing.engine()
    assert os.path.isfile(bootstrap.keep(engine.digest, engine.archive()) + "/__main__.py")
