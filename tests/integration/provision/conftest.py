# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two bare robots, the first with the SPIRE server, the second the oldest that we support, and what the runs that provision them said."""

from __future__ import annotations

import pytest

from tests.integration.provision.harness import Ansible
from tests.robots import RobotSpec, borrowed


@pytest.fixture(scope="package")
def fleet():
    with borrowed("provision", [RobotSpec("robot1"), RobotSpec("robot2", "bullseye")], {"spire_server_join_tokens": True}) as fleet:
        yield fleet


@pytest.fixture(scope="package")
def ansible(fleet):
    return Ansible(fleet)


@pytest.fixture(scope="package")
def bare_check(ansible):
    """A check of the bare robots, and what it left on them: must be seen before they are provisioned."""
    run = ansible.provision("--check", "--diff")
    left = [
        ansible.fleet.ssh(robot, "ls -d /opt/k8s4r /etc/spire /var/lib/spire 2>/dev/null", check=False) for robot in ("robot1", "robot2")
    ]
    return run, left


@pytest.fixture(scope="package")
def first_run(ansible, bare_check):
    assert bare_check
    return ansible.provision()


@pytest.fixture
def provisioned(fleet, first_run):
    """The fleet after its first provisioning."""
    first_run.well()
    return fleet
