# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A robot whose plug was pulled, and that is switched on where there is no network, brings its groups up, with proxies and pods."""

from __future__ import annotations

import pytest

from tests.integration.pods.booted import GROUPS, Pods
from tests.integration.system.jobs import job, task
from tests.integration.system.machines import VM
from tests.robots.host import wait_for

pytestmark = pytest.mark.vm

STAY = "import time\ntime.sleep(100000)"
BOOT = job(
    "boot",
    *GROUPS,
    initTasks=[task("settings", "open('settings', 'w').write('x')")],
    network={
        "upstreams": [
            {
                "name": "api",
                "localPort": 8080,
                "upstream": "api.dc.example:18080",
                "protocol": "http",
                "tls": {"mode": "spiffe", "spiffeId": "spiffe://fleet.example/ns/default/job/api/group/api"},
            }
        ]
    },
    tasks=[task("one", STAY), task("two", STAY)],
)


@pytest.mark.usefixtures("machine")
def test_every_task_runs_after_a_boot_without_network(deployment, fleet):
    deployment.deploy(BOOT).well()
    pods = Pods(fleet, VM)
    pods.hear()
    fleet.cut_network(VM)
    fleet.power_cut(VM)
    try:
        fleet.start(VM)
        running = "systemctl list-units --plain --no-legend --state=running 'k8s4r-task-boot-*' | wc -l"
        wait_for(lambda: fleet.console(VM, running, check=False).strip() == "4", 600, "not every task runs")
        others = "systemctl is-active 'k8s4r-proxy-*' 'k8s4r-init-*' | sort -u"
        wait_for(lambda: fleet.console(VM, others, check=False).strip() == "active", 600, "the proxy and the init task are not up")
        assert fleet.console(VM, "timeout 2 bash -c ': < /dev/tcp/server1/22' && echo reached || echo cut").strip() == "cut"
        pods.come_up()
    finally:
        fleet.restore_network(VM)
