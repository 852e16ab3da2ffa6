# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A robot whose plug was pulled, and that is switched on where there is no network, brings its pods up, with their walls."""

from __future__ import annotations

import json

from tests.integration.compile.jobs import without_groups
from tests.integration.engine.harness import compiled
from tests.integration.pods.booted import GROUPS, Pods
from tests.robots.host import wait_for

ROBOT = "robot1"


def test_every_pod_is_reached_after_a_boot_without_network(robots):
    machine, fleet = robots[0], robots[0].fleet
    (plan,) = compiled(ROBOT, json.dumps({"name": "boot", "taskGroups": GROUPS}))
    assert machine.deploy(plan)["status"] == "committed"
    pods = Pods(fleet, ROBOT)
    pods.hear()
    fleet.power_cut(ROBOT)
    fleet.cut_network(ROBOT)
    try:
        fleet.start(ROBOT)
        assert "eth0" not in fleet.console(ROBOT, "ls /sys/class/net")
        running = "systemctl list-units --plain --no-legend --state=running 'k8s4r-task-boot-*' | wc -l"
        wait_for(lambda: fleet.console(ROBOT, running).strip() == "2", 300, "not every task runs")
        pods.come_up()
    finally:
        fleet.restore_network(ROBOT)
        fleet.wait_ssh(ROBOT)
    pods.hear()
    assert machine.deploy(without_groups(plan))["status"] == "committed"
