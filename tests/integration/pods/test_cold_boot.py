# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A robot whose plug was pulled, and that is switched on where there is no network, brings its pods up, with their walls."""

from __future__ import annotations

import json

from tests.integration.compile.jobs import without_groups
from tests.integration.engine.harness import compiled
from tests.integration.system.jobs import task
from tests.robots.host import wait_for

ROBOT = "robot1"
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


BOOT = {"name": "boot", "taskGroups": [pod("one"), pod("two", {"group": "one"})]}


def test_every_pod_is_reached_after_a_boot_without_network(robots):
    machine, fleet = robots[0], robots[0].fleet
    (plan,) = compiled(ROBOT, json.dumps(BOOT))
    assert machine.deploy(plan)["status"] == "committed"
    one, two = pods(fleet)
    hears(fleet, one, two)
    fleet.power_cut(ROBOT)
    fleet.cut_network(ROBOT)
    try:
        fleet.start(ROBOT)
        assert "eth0" not in fleet.console(ROBOT, "ls /sys/class/net")
        running = "systemctl list-units --plain --no-legend --state=running 'k8s4r-task-boot-*' | wc -l"
        wait_for(lambda: fleet.console(ROBOT, running).strip() == "2", 300, "not every task runs")
        others = "systemctl is-active 'k8s4r-pod-*' k8s4r-walls.timer | sort -u"
        wait_for(lambda: fleet.console(ROBOT, others, check=False).strip() == "active", 300, "not all pods are up")
        for each in (one, two):
            published = ASK.format("127.0.0.1", each["ports"][0]["port"])
            wait_for(lambda asked=published: "nobody" not in fleet.console(ROBOT, asked), 300, f"{each['name']} does not answer")
        hears(fleet, one, two)
        assert within(fleet, two, one).endswith("nobody")
    finally:
        fleet.restore_network(ROBOT)
        fleet.wait_ssh(ROBOT)
    hears(fleet, one, two)
    assert machine.deploy(without_groups(plan))["status"] == "committed"


def pods(fleet):
    """What the robot knows of the pods, in the order of their groups."""
    found = [json.loads(fleet.console(ROBOT, f"cat {path}")) for path in fleet.console(ROBOT, "ls /etc/k8s4r/pods/*").split()]
    return sorted(found, key=lambda each: each["group"])


def hears(fleet, pod, other):
    """A slow robot takes its time to answer."""
    wanted = f"{other['name']} {pod['address']}"
    wait_for(lambda: within(fleet, pod, other) == wanted, 600, f"{pod['name']} does not hear {other['name']}")


def within(fleet, pod, other):
    """What a program in a pod hears from another pod."""
    network = f"/run/netns/k8s4r-$(grep -lF '\"{pod['name']}\"' /etc/k8s4r/pods/* | xargs basename)"
    return fleet.console(ROBOT, f"nsenter --net={network} {ASK.format(other['address'], 8080)}").strip()
