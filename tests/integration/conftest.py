# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One container robot for tests that need no other one, clean before each; and what is said of a robot that broke down in a test."""

from __future__ import annotations

import typing as t

import pytest

from tests.integration.engine.harness import Machine
from tests.robots import RobotSpec, borrowed


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> t.Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that has failed on a robot whose process 1 is no more, or no longer answers, says what that said at last."""
    report = yield
    if report.failed:
        # Not every item has fixtures, and not every fixture is a robot.
        for machine in getattr(item, "funcargs", {}).values():
            if isinstance(machine, Machine) and not machine.fleet.answers(machine.name):
                report.sections.append((f"process 1 of {machine.name} does not answer", machine.fleet.last_words(machine.name)))
    return report


@pytest.fixture(scope="session")
def fleet():
    with borrowed("single", [RobotSpec("robot1")]) as fleet:
        yield fleet


@pytest.fixture
def machine(fleet):
    machine = Machine(fleet, "robot1")
    machine.clean()
    return machine
