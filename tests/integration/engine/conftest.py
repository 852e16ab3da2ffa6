# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One container robot for all tests of the engine, clean before each."""

from __future__ import annotations

import pytest

from tests.integration.engine.harness import Machine
from tests.robots import Fleet, RobotSpec


@pytest.fixture(scope="session")
def fleet():
    fleet = Fleet("engine")
    fleet.up([RobotSpec("robot1")])
    yield fleet
    fleet.down()


@pytest.fixture
def machine(fleet):
    machine = Machine(fleet, "robot1")
    machine.clean()
    return machine
