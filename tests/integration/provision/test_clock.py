# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A robot whose clock is wrong, for which it needs a kernel of its own."""

from __future__ import annotations

import pytest

from tests.integration.provision.harness import Ansible
from tests.robots import Fleet, RobotSpec

pytestmark = [pytest.mark.robots, pytest.mark.vm]


@pytest.fixture(scope="module")
def clocks():
    fleet = Fleet("clocks")
    fleet.up([RobotSpec("robot1"), RobotSpec("robot2", kind="vm")])
    yield fleet
    fleet.down()


@pytest.mark.parametrize(("seconds", "words"), [(3600, "s ahead of"), (-3600, "s behind")])
def test_a_wrong_clock_is_refused_before_anything_is_installed(clocks, seconds, words):
    clocks.ssh("robot2", f"date -s @$(($(date +%s) + {seconds}))")
    try:
        run = Ansible(clocks).agent("robot2")
        run.refused("robot2: its clock is 3", words, "that of the SPIRE server robot1", "Set it right, with timedatectl or chrony")
        assert clocks.ssh("robot2", "ls -d /etc/spire 2>/dev/null", check=False) == ""
    finally:
        clocks.ssh("robot2", f"date -s @$(($(date +%s) - {seconds}))")
