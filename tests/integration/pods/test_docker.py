# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pods beside a real Docker that drops what is forwarded, of IPv4 and of IPv6: its chain for others' rules lets theirs pass."""

from __future__ import annotations

import pytest

from tests.integration.engine.harness import Machine
from tests.integration.pods.beyond import BEYOND, GONE, HERE, NO_LOOPBACK, OUTSIDE
from tests.integration.pods.network import TCP, UDP, Pods, asked, six
from tests.robots import RobotSpec, borrowed

ONE, TWO, LAMP = "172.26.64.7", "172.26.64.8", "172.26.64.10"
PODS = ("one", "two", "lamp")
PORT = 20345
PUBLISHED = [{"address": "::", "port": PORT, "to": to, "protocol": protocol} for to, protocol in ((TCP, "tcp"), (UDP, "udp"))]
TABLES = ("iptables", "ip6tables")
# Debian's Docker is older than 27, whose default this is; it takes the setting among its experiments. Either Docker has what is forwarded
# dropped where it is the first that forwards, for which it has to write to /proc/sys, which in a container is read-only.
DOCKER = """
mkdir -p /etc/docker; [ -e /dev/kmsg ] || mknod /dev/kmsg c 1 11
echo '{"storage-driver": "vfs", "experimental": true, "ip6tables": true}' > /etc/docker/daemon.json
mkdir -p /etc/systemd/system/docker.service.d
cat > /etc/systemd/system/docker.service.d/tests.conf <<'E'
[Service]
Environment=DOCKER_ALLOW_IPV6_ON_IPV4_INTERFACE=1
ExecStart=
ExecStart=unshare --mount sh -ec 'mount -t proc proc /proc; exec dockerd -H fd://'
E
unshare --mount sh -ec 'mount -t proc proc /proc; cd /proc/sys/net; echo 0 > ipv4/ip_forward; echo 0 > ipv6/conf/all/forwarding'
systemctl daemon-reload; systemctl start docker
"""
# Nothing of Docker, as before its first start.
WITHOUT = """
systemctl stop docker docker.socket containerd; nft flush ruleset; ip link delete docker0; rm -rf /var/lib/docker/network
unshare --mount sh -ec 'mount -t proc proc /proc; cd /proc/sys/net; echo 0 > ipv4/ip_forward; echo 0 > ipv6/conf/all/forwarding'
rm -f /run/k8s4r/pods/.forwarding*
"""
# Who has a link to Docker's bridge as its containers have, and somebody of IPv4 on another network of the robot.
CONTAINED, OUTSIDE_FOUR, HERE_FOUR = "172.17.0.9", "198.51.100.2", "198.51.100.1"
CONTAINER = f"""
ip netns add contained && ip link add name vethc type veth peer name eth0 netns contained && ip link set vethc master docker0 up
ip -n contained address add {CONTAINED}/16 dev eth0 && ip -n contained link set eth0 up && ip -n contained route add default via 172.17.0.1
ip netns add distant && ip link add name out1 type veth peer name eth0 netns distant && ip link set out1 up
ip address add {HERE_FOUR}/24 dev out1 && ip -n distant address add {OUTSIDE_FOUR}/24 dev eth0 && ip -n distant link set eth0 up
ip -n distant route add default via {HERE_FOUR}
"""


@pytest.fixture(scope="module")
def machine():
    with borrowed("beside", [RobotSpec("trixie", "trixie", labels={"role": "engines"})]) as fleet:
        yield Machine(fleet, "trixie")


@pytest.fixture(scope="module")
def pods(machine):
    """Two pods of a group, one with a published port, and one for nobody else; and somebody beyond the robot."""
    pods = Pods(machine)
    machine.sh(GONE + BEYOND)
    machine.sh(DOCKER)
    machine.until("docker info >/dev/null 2>&1")
    begin(pods)
    machine.sh(f"systemd-run --quiet --collect --unit=answers-beyond ip netns exec beyond python3 /run/answers.py :: {TCP} {UDP}")
    machine.until(f"ip netns exec beyond ss -ltn | grep -q ':{TCP} '")
    yield pods
    machine.sh(f"{GONE}; {NO_LOOPBACK}")
    pods.wipe()


def begin(pods):
    pods.file("one", "default/fleet/api", ONE, both=True)
    pods.file("two", "default/fleet/api", TWO, both=True, ports=PUBLISHED)
    pods.file("lamp", "default/lamp/lamp", LAMP, both=True)
    pods.make(*PODS, at=("0.0.0.0", "::"))


def passes(pods):
    """Who is seen by whom of what is forwarded: from beyond to a published port, to beyond, and between pods, of each family."""
    from_beyond = asked(pods.machine, [(HERE, PORT, "tcp"), (HERE, PORT, "udp")], "ip netns exec beyond ")
    to_beyond = pods.ask("lamp", (OUTSIDE, TCP, "tcp"), (OUTSIDE, UDP, "udp"))
    four = pods.ask("one", (TWO, TCP, "tcp"), (TWO, UDP, "udp"), (LAMP, TCP, "tcp"))
    return [*from_beyond, *to_beyond, *four, *pods.ask("one", (six(TWO), TCP, "tcp"), (six(TWO), UDP, "udp"), (six(LAMP), TCP, "tcp"))]


ALL = [OUTSIDE, OUTSIDE, HERE, HERE, ONE, ONE, "", six(ONE), six(ONE), ""]


def rules(machine, tables):
    return machine.sh(f"{tables} --list-rules DOCKER-USER").count("0x4000000/0x4000000 -j ACCEPT")


def test_what_pods_send_and_are_sent_passes_beside_docker(pods):
    machine = pods.machine
    for tables in TABLES:
        forward = machine.sh(f"{tables} --list-rules FORWARD")
        assert "-P FORWARD DROP\n" in forward, forward
        assert "-A FORWARD -j DOCKER-USER\n" in forward, forward
    pods.ensure()
    assert [rules(machine, tables) for tables in TABLES] == [1, 1]
    assert passes(pods) == ALL
    assert pods.ensure() == ""


@pytest.mark.parametrize(("tables", "family"), [("iptables", slice(4, 6)), ("ip6tables", slice(7, 9))])
def test_without_the_rule_docker_drops_it_and_it_comes_back(pods, tables, family):
    pods.ensure()
    pods.machine.sh(f"{tables} --flush DOCKER-USER")
    assert passes(pods)[family] == ["", ""]
    assert "DOCKER-USER" in pods.ensure()
    assert passes(pods) == ALL


def test_docker_that_starts_again_lets_it_pass(pods):
    pods.machine.sh("systemctl restart docker")
    pods.machine.until("docker info >/dev/null 2>&1")
    pods.ensure()
    assert passes(pods) == ALL
    assert [rules(pods.machine, tables) for tables in TABLES] == [1, 1]


def test_the_rule_goes_with_the_last_pod(pods):
    machine = pods.machine
    pods.ensure()
    for id in PODS:
        machine.sh(f"systemctl stop 'answers-{id}-*'; ip netns delete k8s4r-{id}; rm /etc/k8s4r/pods/{id}")
    try:
        pods.ensure()
        assert [rules(machine, tables) for tables in TABLES] == [0, 0]
    finally:
        begin(pods)
    assert passes(pods) == ALL


def test_docker_that_comes_after_the_pods_has_its_ways_and_the_robot_is_no_router(pods):
    """It finds a robot that forwards, and so drops nothing by itself."""
    machine = pods.machine
    for id in PODS:
        machine.sh(f"systemctl stop 'answers-{id}-*'; ip netns delete k8s4r-{id}")
    machine.sh("ip link delete k8s4r0")
    machine.sh(WITHOUT)
    begin(pods)
    machine.sh("systemctl start docker")
    machine.until("docker info >/dev/null 2>&1")
    assert "-P FORWARD ACCEPT\n" in machine.sh("iptables --list-rules FORWARD")
    machine.sh(CONTAINER)
    for name in ("distant", "contained"):
        machine.sh(f"systemd-run --quiet --collect --unit=answers-{name} ip netns exec {name} python3 /run/answers.py 0.0.0.0 {TCP} {UDP}")
        machine.until(f"ip netns exec {name} ss -ltn | grep -q ':{TCP} '")
    pods.ensure()
    elsewhere = machine.fleet.address(machine.name).rpartition(".")[0] + ".1"
    out = "ip route get {} | grep -q 'dev eth0'"
    machine.sh(out.format(elsewhere))
    assert asked(machine, [(OUTSIDE_FOUR, TCP, "tcp"), (OUTSIDE_FOUR, UDP, "udp")], "ip netns exec contained ") == [HERE_FOUR] * 2
    assert passes(pods) == ALL
    # From the one network to the other, nothing: of what the robot sends out there, it would see that it was there.
    watched = "nft add table ip seen; nft add chain ip seen c '{ type filter hook postrouting priority 0; }'; nft add rule ip seen c"
    machine.sh(f"{watched} ip saddr {OUTSIDE_FOUR} oifname eth0 counter")
    assert asked(machine, [(elsewhere, TCP, "udp")], "ip netns exec distant ") == [""]
    assert "packets 0 " in machine.sh("nft list table ip seen")
    machine.sh("nft flush chain inet k8s4r apart")
    asked(machine, [(elsewhere, TCP, "udp")], "ip netns exec distant ")
    assert "packets 0 " not in machine.sh("nft list table ip seen")
    pods.ensure()
    machine.sh("nft delete table ip seen; ip netns delete contained; ip netns delete distant")
