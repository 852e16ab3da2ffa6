# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One container robot for tests that need no other one, clean before each."""

from __future__ import annotations

import pytest

from tests.integration.engine.harness import Machine
from tests.robots import RobotSpec, borrowed


@pytest.fixture(scope="session")
def fleet():
    with borrowed("single", [RobotSpec("robot1")]) as fleet:
        yield fleet


@pytest.fixture
def machine(fleet):
    machine = Machine(fleet, "robot1")
    machine.clean()
    return machine
