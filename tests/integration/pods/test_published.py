# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ports of a robot that lead to a pod: from everywhere, and who is seen to ask."""

from __future__ import annotations

import pytest

from tests.integration.pods.network import GATEWAY, TCP, UDP, Pods, asked

WEB, OTHER = "172.26.64.9", "172.26.64.10"
PORT, NARROW, INNER = 20345, 20346, 20347


def port(number, to, protocol, address="0.0.0.0"):
    return {"address": address, "port": number, "to": to, "protocol": protocol}


@pytest.fixture(scope="module", autouse=True)
def pods(robots, lan):
    pods = Pods(robots[0])
    published = [port(PORT, TCP, "tcp"), port(PORT, UDP, "udp"), port(NARROW, TCP, "tcp", lan), port(INNER, TCP, "tcp", "127.0.0.1")]
    pods.file("web", "default/fleet/web", WEB, ports=published)
    pods.file("other", "default/lamp/lamp", OTHER)
    pods.make("web", "other")
    yield pods
    pods.wipe()


BOTH = ("tcp", "udp")


def test_from_another_machine_its_own_address_is_seen(robots, lan):
    address = robots[1].fleet.address(robots[1].name)
    assert asked(robots[1], [(lan, PORT, each) for each in BOTH]) == [address] * 2


def test_from_the_robots_loopback_and_from_its_own_address(pods, lan):
    assert pods.ask("", *[("127.0.0.1", PORT, each) for each in BOTH]) == [GATEWAY] * 2
    assert pods.ask("", *[(lan, PORT, each) for each in BOTH]) == [lan] * 2


def test_from_another_pod_and_from_the_pod_itself(pods, lan):
    """Docker's br_netfilter, which is loaded in a container robot, would take this for something between two ports of the bridge."""
    pods.machine.sh("test $(cat /proc/sys/net/bridge/bridge-nf-call-iptables) = 1")
    assert pods.ask("other", *[(lan, PORT, each) for each in BOTH]) == [OTHER] * 2
    assert pods.ask("web", *[(lan, PORT, each) for each in BOTH]) == [GATEWAY] * 2


def test_a_port_of_one_address_is_at_no_other(pods, robots, lan):
    questions = [(lan, NARROW, "tcp"), ("127.0.0.1", NARROW, "tcp"), (lan, INNER, "tcp"), ("127.0.0.1", INNER, "tcp")]
    assert [bool(answer) for answer in pods.ask("", *questions)] == [True, False, False, True]
    assert [bool(answer) for answer in asked(robots[1], [questions[0], questions[2]])] == [True, False]


def test_a_pod_reaches_the_network_from_the_robots_address(pods, robots, lan):
    other = robots[1]
    other.sh("systemd-run --quiet --collect --unit=answers-outside python3 /run/answers.py 0.0.0.0 8080 8081")
    other.listens(8080)
    address = other.fleet.address(other.name)
    assert pods.ask("other", (address, 8080, "tcp"), (address, 8081, "udp")) == [lan] * 2
    other.sh("systemctl stop answers-outside")


def test_the_robots_loopback_is_not_open_to_the_network(robots):
    """Only at the bridge does the kernel route to it, where a filter lets nothing in that was sent there."""
    assert robots[0].sh("grep -l 1 /proc/sys/net/ipv4/conf/*/route_localnet").split("/")[6:7] == ["k8s4r0"]
    assert robots[0].sh("grep -c 1 /proc/sys/net/ipv4/conf/*/route_localnet | grep -c ':1'").strip() == "1"


def test_who_goes_on_sending_is_sent_to_the_pod_that_a_port_leads_to_now(pods, robots, lan):
    """The kernel would send him to the former one as long as he sends."""
    send = (
        "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout({seconds}); s.bind(('', 7777));"
        f" s.sendto(b'?', ('{lan}', {PORT})); print(s.recv(100).decode())"
    )
    sends = f'python3 -c "{send}"'
    answered, silent = (sends.replace("{seconds}", each) for each in ("30", "3"))
    address = robots[1].fleet.address(robots[1].name)
    assert robots[1].sh(answered).strip() == address
    pods.file("web", "default/fleet/web", WEB)
    pods.file("other", "default/lamp/lamp", OTHER, ports=[port(PORT, UDP, "udp")])
    pods.ensure()
    assert robots[1].sh(answered).strip() == address
    pods.file("other", "default/lamp/lamp", OTHER)
    pods.ensure()
    assert robots[1].execute(silent).status == 1
    pods.file("other", "default/lamp/lamp", OTHER, ports=[port(PORT, UDP, "udp")])
    pods.ensure()
    assert robots[1].sh(answered).strip() == address
