# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A robot whose state is in a temporary directory."""

from __future__ import annotations

import pytest

from ansible_collections.k8s4r.robot.plugins.module_utils._engine.state.robot import Robot


@pytest.fixture
def robot(tmp_path):
    robot = Robot(str(tmp_path / "state"), str(tmp_path / "run"))
    robot.make()
    return robot
