# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One container robot for everything that may go wrong with a robot itself, clean before each test."""

from __future__ import annotations

import contextlib

import pytest

from tests.integration.engine.harness import Machine
from tests.robots import RobotSpec, borrowed


@pytest.fixture(scope="session")
def fleet():
    with borrowed("harm", [RobotSpec("robot1")]) as fleet:
        yield fleet


@pytest.fixture
def machine(fleet):
    machine = Machine(fleet, "robot1")
    machine.clean()
    return machine


@pytest.fixture
def mounted(machine):
    """Puts another file system over a directory until the test ends: `mounted(directory, command)`, a mount command without its target."""
    with contextlib.ExitStack() as stack:

        def mount(directory: str, command: str) -> None:
            machine.sh(f"mkdir -p {directory}; {command} {directory}")
            stack.callback(machine.sh, f"systemctl stop 'k8s4r-*' --all 2>/dev/null; umount --lazy {directory}")

        yield mount
