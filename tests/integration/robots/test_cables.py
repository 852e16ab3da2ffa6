# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The network cables of virtual machines."""

from __future__ import annotations

import json

import pytest

from tests.robots.host import run
from tests.robots.virtual import machine

pytestmark = pytest.mark.robots

BRIDGE, CABLE = "k4x-cables", "k4x-cable"


@pytest.fixture
def bridge():
    run("ip", "link", "add", BRIDGE, "type", "bridge")
    yield BRIDGE
    for name in (CABLE, BRIDGE):
        run("ip", "link", "delete", name, check=False)


def test_a_cable_that_a_crash_left_leads_to_the_new_network(bridge):
    run("ip", "tuntap", "add", CABLE, "mode", "tap")
    machine.plug(CABLE, bridge)
    (shown,) = json.loads(run("ip", "-json", "link", "show", CABLE))
    assert shown["master"] == bridge
    assert "UP" in shown["flags"]
