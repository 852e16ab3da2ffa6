# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The unit that rolls back at boot, and the engine that it starts."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import zipfile

import pytest

from ansible_collections.k8s4r.robot.plugins.module_utils._engine.system import own
from ansible_collections.k8s4r.robot.plugins.plugin_utils.transport import packing

# The unit is there already, so systemd need not be told.
PROGRAM = """
import sys
state, runtime, units = sys.argv[1:]
sys.path.insert(0, state + "/engine/current")
from k8s4r_engine.change import boot_unit
from k8s4r_engine.state.robot import Robot
robot = Robot(state, runtime)
boot_unit.own.UNIT_DIRECTORY = boot_unit.own.STARTED_AT_BOOT = units
boot_unit.files.link(units + "/" + boot_unit.own.RECOVERY, "unit")
with open(units + "/unit", "w") as stream:
    stream.write(boot_unit.content(boot_unit.own.python(), state + "/engine/current", robot.journal_path))
boot_unit.ensure(robot)
"""


def test_an_engine_that_was_called_by_its_link_stays_the_one_of_the_boot_unit(tmp_path):
    engine = packing.engine()
    state, runtime, units = (tmp_path / name for name in ("state", "run", "units"))
    for directory in (state / "engine", runtime, units):
        directory.mkdir(parents=True)
    with zipfile.ZipFile(io.BytesIO(engine.archive())) as archive:
        archive.extractall(state / "engine" / engine.digest)
    current = state / "engine" / "current"
    current.symlink_to(engine.digest)
    argv = [sys.executable, "-I", "-S", "-c", PROGRAM, *map(str, (state, runtime, units))]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr, os.readlink(current)) == (0, "", engine.digest)


@pytest.mark.parametrize(("real", "usual"), [("usual", "usual"), ("another", "own")])
def test_the_engines_units_run_python_by_the_name_that_outlives_an_upgrade(tmp_path, monkeypatch, real, usual):
    for name in ("usual", "another"):
        (tmp_path / name).touch()
    (tmp_path / "own").symlink_to(real)
    monkeypatch.setattr(own, "PYTHON", str(tmp_path / "usual"))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "own"))
    assert own.python() == str(tmp_path / usual)
    monkeypatch.setattr(own, "PYTHON", str(tmp_path / "none"))
    assert own.python() == str(tmp_path / "own")
