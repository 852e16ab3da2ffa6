# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bare robots and a controller, for one lifecycle of a job."""

from __future__ import annotations

import contextlib

import pytest

from tests.integration.lifecycle.lifecycle import Lifecycle
from tests.robots import RobotSpec, borrowed


@pytest.fixture
def bare(tmp_path, monkeypatch):
    """Makes the robots ``robot1``, which will have the SPIRE server, and ``robot2``, and their lifecycle."""
    with contextlib.ExitStack() as stack:

        def make(prefix, deployment, **robot2):
            fleet = stack.enter_context(borrowed(prefix, [RobotSpec("robot1"), RobotSpec("robot2", **robot2)]))
            monkeypatch.setenv("K8S4R_HOME", str(tmp_path / "home"))
            monkeypatch.chdir(tmp_path)
            return Lifecycle(deployment(fleet, tmp_path), "robot1", "robot2")

        yield make


@pytest.fixture(scope="package")
def two():
    """Two robots, for the tests of an ingress: they are provisioned once."""
    with borrowed("ingress", [RobotSpec("robot1"), RobotSpec("robot2")]) as fleet:
        yield fleet
