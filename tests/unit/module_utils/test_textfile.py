# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""That statistics are written from now on, or elsewhere: what of it needs no systemd."""

from __future__ import annotations

import errno

import pytest

from ansible_collections.k8s4r.robot.plugins.module_utils._engine.change import boot_unit
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.requests import textfile
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.say.errors import Refusal
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.state.lock import Lock
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.system import own, systemd


@pytest.fixture
def did(tmp_path, monkeypatch):
    """What was done to a robot that writes into the directory `old`, and has one called `new`."""
    found = []
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
    (tmp_path / "old" / "k8s4r.prom").write_text("x 1\n", encoding="utf-8")
    units = {own.TEXTFILE: textfile._service(str(tmp_path / "old")), own.TEXTFILE_TIMER: textfile._TIMER}
    monkeypatch.setattr(own, "text", units.__getitem__)
    monkeypatch.setattr(own, "remove", lambda *_units: found.append("removed"))
    monkeypatch.setattr(own, "put", lambda *_units: found.append("put"))
    monkeypatch.setattr(systemd, "state", lambda _unit: "active")
    monkeypatch.setattr(systemd, "stop", lambda _units: found.append("stopped"))
    monkeypatch.setattr(systemd, "need", lambda *_argv, **_more: found.append("started"))
    monkeypatch.setattr(boot_unit, "use", lambda _robot: found.append("used"))
    return found


def test_what_is_there_goes_on_until_the_new_units_are_there(robot, did, tmp_path, monkeypatch):
    def fail(*_units):
        raise OSError(errno.ENOSPC, "No space left on device", "/dev/null")

    with monkeypatch.context() as full_disk:
        full_disk.setattr(own, "put", fail)
        with pytest.raises(OSError, match="No space left"):
            textfile.answer(robot, str(tmp_path / "new"))
    assert did == ["used"]
    assert (tmp_path / "old" / "k8s4r.prom").exists()
    assert textfile.answer(robot, str(tmp_path / "new"))["changed"]
    assert did == ["used", "used", "put", "stopped", "started"]
    assert not (tmp_path / "old" / "k8s4r.prom").exists()


def test_while_another_run_is_at_work_no_other_engine_becomes_the_one_that_takes_its_switch_back(robot, did, tmp_path):
    with Lock(robot.runtime, "another", "switch"), pytest.raises(Refusal, match="another is changing this robot"):
        textfile.answer(robot, str(tmp_path / "new"))
    assert did == []


def test_a_robot_that_is_to_write_nothing_any_more_has_neither_units_nor_the_file(robot, did, tmp_path):
    assert textfile.answer(robot, "")["changed"]
    assert did == ["stopped", "removed"]
    assert not (tmp_path / "old" / "k8s4r.prom").exists()
