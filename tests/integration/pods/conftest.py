# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two robots on one network: what pods do on the first is looked at from the second."""

from __future__ import annotations

import pytest

from tests.integration.engine.harness import Machine
from tests.integration.pods.network import ANSWERS, ASKS
from tests.robots import RobotSpec, borrowed


@pytest.fixture(scope="package")
def two():
    with borrowed("walls", [RobotSpec("robot1"), RobotSpec("robot2")]) as fleet:
        yield fleet


@pytest.fixture(scope="module")
def robots(two):
    machines = [Machine(two, name) for name in ("robot1", "robot2")]
    machines[0].clean(engine=True)
    machines[1].execute("cat > /run/answers.py", ANSWERS.encode())
    machines[1].execute("cat > /run/asks.py", ASKS.encode())
    return machines


@pytest.fixture(scope="module")
def lan(robots):
    """The robot's address on the network."""
    return robots[0].fleet.address(robots[0].name)
