# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is put aside for a full disk. That a real one is survived is tried on robots."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from ansible_collections.k8s4r.robot.plugins.module_utils._engine.state import ledger
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.system import files, reserve

JOB = {"namespace": "n", "name": "j"}
ALWAYS = sum(reserve.SIZES.values())


def record(bytes_of):
    group = {"name": "g", "release": "r1", "resources": [], "leftovers": [], "secrets": None, "ports": []}
    return {**JOB, **ledger.whole("d"), "groups": {"g": {**group, "padding": "x" * bytes_of}}}


@pytest.fixture
def full_disk(robot, monkeypatch):
    """Called, no file can be made any more."""

    def fills(complete=files._complete):
        def only_over(directory, name, how, *rest):
            if how & os.O_CREAT:
                raise OSError(errno.ENOSPC, "No space left on device")
            complete(directory, name, how, *rest)

        monkeypatch.setattr(files, "_complete", only_over)

    monkeypatch.setattr(reserve, "DIRECTORY", robot.state + "/reserve")
    return fills


def sizes(robot):
    return [path.stat().st_size for path in Path(robot.state, "reserve").iterdir()]


def test_a_large_ledger_is_written_also_when_it_grows_on_a_full_disk(robot, full_disk):
    robot.ledger.save(record(100_000))
    robot.make()
    full_disk()
    for grown in (150_000, 160_000, 150_000):
        robot.ledger.save(record(grown))
        assert robot.ledger.of(JOB) == {**record(grown), "version": ledger.formats.VERSION}
    # The copy too.
    assert len(os.listdir(robot.ledger.directory)) == 2


def test_what_is_put_aside_follows_the_size_of_the_ledger(robot):
    assert len(sizes(robot)) == ALWAYS
    for written, size in ((100_000, 1 << 18), (200_000, 1 << 19), (40_000, 1 << 17)):
        robot.ledger.save(record(written))
        robot.make()
        assert sorted(sizes(robot))[ALWAYS:] == [size] * reserve.LARGE
    robot.ledger.save({**record(0), "groups": {}})
    robot.make()
    assert len(sizes(robot)) == ALWAYS


def test_what_is_put_aside_stays_where_no_other_can_be_made(robot, monkeypatch):
    robot.ledger.save(record(100_000))
    robot.make()
    robot.ledger.save(record(200_000))
    monkeypatch.setattr(reserve, "_made", lambda _path, _size: False)
    robot.make()
    assert max(sizes(robot)) == 1 << 18
