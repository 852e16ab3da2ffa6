# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two container robots, clean before each test, and the playbooks run from outside as a person runs them."""

from __future__ import annotations

import pytest

from tests.integration.deploy.harness import Deployment
from tests.robots import RobotSpec, borrowed


@pytest.fixture(scope="package")
def fleet():
    with borrowed("deploy", [RobotSpec("robot1"), RobotSpec("robot2")]) as fleet:
        yield fleet


@pytest.fixture(scope="package")
def controller_home(tmp_path_factory):
    """One controller for all tests: it knows the robots after the first of them."""
    return tmp_path_factory.mktemp("controller")


@pytest.fixture
def deployment(fleet, controller_home, tmp_path, monkeypatch):
    monkeypatch.setenv("K8S4R_HOME", str(controller_home))
    monkeypatch.chdir(tmp_path)
    deployment = Deployment(fleet, tmp_path)
    deployment.clean()
    return deployment
