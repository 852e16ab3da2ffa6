# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two pods, of which one may reach the other, on a robot that boots."""

from __future__ import annotations

import json
import typing as t

from tests.integration.system.jobs import task
from tests.robots import Fleet
from tests.robots.host import wait_for

SECONDS = 600
"""An emulated robot takes its time."""
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


def pod(name: str, *reach: dict[str, str]) -> dict[str, t.Any]:
    network = {"type": "none", "mode": "group", "ports": [{"label": "web", "static": PORTS[name], "to": 8080}], "reach": list(reach)}
    return {"name": name, "network": network, "tasks": [task("answers", ANSWERS)]}


GROUPS = (pod("one"), pod("two", {"group": "one"}))


class Pods:
    """Those two, as the robot itself sees them: it may have no network."""

    def __init__(self, fleet: Fleet, robot: str) -> None:
        self.console = lambda command: fleet.console(robot, command, check=False).strip()
        found = [json.loads(self.console(f"cat {path}")) for path in self.console("ls /etc/k8s4r/pods/*").split()]
        self.one, self.two = sorted(found, key=lambda each: each["group"])

    def hear(self) -> None:
        """Wait until the one that may reach the other does, under its own address."""
        wanted = f"{self.two['name']} {self.one['address']}"
        wait_for(lambda: self._within(self.one, self.two) == wanted, SECONDS, f"{self.one['name']} does not hear {self.two['name']}")

    def come_up(self) -> None:
        """Wait until both are up, answer at their published ports, and reach each other as they may."""
        units = "systemctl is-active 'k8s4r-pod-*' k8s4r-walls.timer | sort -u"
        wait_for(lambda: self.console(units) == "active", SECONDS, "not all pods are up")
        for each in (self.one, self.two):
            published = ASK.format("127.0.0.1", each["ports"][0]["port"])
            answers = f"{each['name']} "
            wait_for(lambda asked=published, said=answers: said in self.console(asked), SECONDS, f"{each['name']} does not answer")
        self.hear()
        assert self._within(self.two, self.one).endswith("nobody")

    def _within(self, pod: dict[str, t.Any], other: dict[str, t.Any]) -> str:
        """What a program in a pod hears from another pod."""
        network = f"/run/netns/k8s4r-$(grep -lF '\"{pod['name']}\"' /etc/k8s4r/pods/* | xargs basename)"
        return self.console(f"nsenter --net={network} {ASK.format(other['address'], 8080)}")
