# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A robot whose plug was pulled, and that is switched on where there is no network, brings its groups up, with proxies and pods."""

from __future__ import annotations

import json

import pytest

from tests.integration.system.jobs import job, task
from tests.integration.system.machines import VM
from tests.robots.host import wait_for

pytestmark = pytest.mark.vm

STAY = "import time\ntime.sleep(100000)"
ANSWERS = """
import os, socket
listener = socket.create_server(("", 8080))
while True:
    connection, who = listener.accept()
    connection.sendall(f"{os.environ['POD_NAME']} {who[0]}".encode())
    connection.close()
"""
PORTS = {"one": 20345, "two": 20346}
# What a pod answers: its name, and the address of who asks.
ASK = "timeout 5 bash -c 'cat < /dev/tcp/{}/{}' 2>&1 || echo nobody"


def pod(name, *reach):
    network = {"type": "none", "mode": "group", "ports": [{"label": "web", "static": PORTS[name], "to": 8080}], "reach": list(reach)}
    return {"name": name, "network": network, "tasks": [task("answers", ANSWERS)]}


BOOT = job(
    "boot",
    pod("one"),
    pod("two", {"group": "one"}),
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
    one, two = pods(fleet)
    hears(fleet, one, two)
    fleet.cut_network(VM)
    fleet.power_cut(VM)
    try:
        fleet.start(VM)
        running = "systemctl list-units --plain --no-legend --state=running 'k8s4r-task-boot-*' | wc -l"
        wait_for(lambda: fleet.console(VM, running).strip() == "4", 600, "not every task runs")
        others = "systemctl is-active 'k8s4r-proxy-*' 'k8s4r-init-*' 'k8s4r-pod-*' k8s4r-walls.timer | sort -u"
        wait_for(lambda: fleet.console(VM, others).strip() == "active", 600, "not all proxies, pods and init tasks are up")
        assert fleet.console(VM, "timeout 2 bash -c ': < /dev/tcp/server1/22' && echo reached || echo cut").strip() == "cut"
        for each in (one, two):
            published = ASK.format("127.0.0.1", each["ports"][0]["port"])
            wait_for(lambda asked=published: "nobody" not in fleet.console(VM, asked), 600, f"{each['name']} does not answer")
        hears(fleet, one, two)
        assert within(fleet, two, one).endswith("nobody")
    finally:
        fleet.restore_network(VM)


def pods(fleet):
    """What the robot knows of the pods, in the order of their groups."""
    found = [json.loads(fleet.console(VM, f"cat {path}")) for path in fleet.console(VM, "ls /etc/k8s4r/pods/*").split()]
    return sorted(found, key=lambda each: each["group"])


def hears(fleet, pod, other):
    """A slow robot takes its time to answer."""
    wanted = f"{other['name']} {pod['address']}"
    wait_for(lambda: within(fleet, pod, other) == wanted, 600, f"{pod['name']} does not hear {other['name']}")


def within(fleet, pod, other):
    """What a program in a pod hears from another pod."""
    network = f"/run/netns/k8s4r-$(grep -lF '\"{pod['name']}\"' /etc/k8s4r/pods/* | xargs basename)"
    return fleet.console(VM, f"nsenter --net={network} {ASK.format(other['address'], 8080)}").strip()
