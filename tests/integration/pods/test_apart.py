# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A robot between two networks: what its pods need makes it no router for anybody else, of IPv4 or of IPv6."""

from __future__ import annotations

import pytest

from tests.integration.pods.network import TCP, UDP, Pods, asked

# By a network: the link to it, the robot's addresses there, and those of somebody on it. One link is called as the kernel would.
NETWORKS = {
    "outer": ("out0", "198.51.100.1", "2001:db8:51::1", "198.51.100.2", "2001:db8:51::2"),
    "inner": ("eth9", "203.0.113.1", "2001:db8:113::1", "203.0.113.2", "2001:db8:113::2"),
}
FOUR, SIX = "ipv4/ip_forward", "ipv6/conf/all/forwarding"
PORT = 20345
PUBLISHED = [{"address": "::", "port": PORT, "to": TCP, "protocol": "tcp"}]
GONE = (
    "systemctl stop 'answers-*' 2>/dev/null; rm -rf /etc/k8s4r/pods /run/k8s4r/walls /run/k8s4r/pods;"
    " for n in outer inner; do ip netns delete $n 2>/dev/null; done;"
    " for l in out0 eth9 br7; do ip link delete $l 2>/dev/null; done; true"
)
# Two of one network, with a bridge of the robot between them.
BRIDGED = """
ip link add br7 type bridge && ip link set br7 up
for n in outer inner; do
  ip link add name b-$n type veth peer name eth1 netns $n && ip link set b-$n master br7 up && ip -n $n link set eth1 up
done
ip -n outer address add 192.0.2.1/24 dev eth1 && ip -n inner address add 192.0.2.2/24 dev eth1
"""


def tell(machine, **settings):
    """Settings of the kernel: in a container, /proc/sys is read-only until it is mounted anew."""
    lines = "; ".join(f"echo {value} > /proc/sys/net/{name}" for name, value in settings.items())
    machine.sh(f"unshare --mount sh -ec 'mount -t proc proc /proc; {lines}'")


def forwards(machine, four, six):
    tell(machine, **{FOUR: four, SIX: six})


@pytest.fixture(scope="module")
def robot(robots):
    machine = robots[0]
    pods = Pods(machine)
    machine.sh(GONE)
    forwards(machine, 0, 0)
    for name, (link, four, six, their_four, their_six) in NETWORKS.items():
        machine.sh(f"ip netns add {name} && ip link add name {link} type veth peer name eth0 netns {name}")
        tell(machine, **{f"ipv6/conf/{link}/disable_ipv6": 0})
        inside = "cd /proc/sys/net/ipv6/conf; echo 0 > eth0/disable_ipv6; echo 0 > eth0/accept_dad"
        machine.sh(f"ip netns exec {name} unshare --mount sh -ec 'mount -t proc proc /proc; {inside}'")
        machine.sh(f"ip link set {link} up; ip address add {four}/24 dev {link}; ip address add {six}/64 dev {link} nodad")
        machine.sh(
            f"ip -n {name} link set eth0 up; ip -n {name} address add {their_four}/24 dev eth0;"
            f" ip -n {name} address add {their_six}/64 dev eth0 nodad;"
            f" ip -n {name} route add default via {four}; ip -n {name} route add default via {six}"
        )
        for number, at in enumerate(("0.0.0.0", "::")):
            front = f"systemd-run --quiet --collect --unit=answers-{name}-{number} ip netns exec {name}"
            machine.sh(f"{front} python3 /run/answers.py {at} {TCP} {UDP}")
        machine.until(f"[ $(ip netns exec {name} ss -Hltn | grep -c ':{TCP} ') = 2 ]")
    # An address of IPv6 may be used a moment after it is there.
    forwards(machine, 1, 1)
    ask = f"socket.create_connection(('{NETWORKS['inner'][4]}', {TCP}), 1)"
    machine.until(f'ip netns exec outer python3 -c "import socket; {ask}" 2>/dev/null')
    yield pods
    machine.sh(GONE)
    tell(machine, **{FOUR: 1, SIX: 0, "ipv6/conf/lo/disable_ipv6": 1})
    pods.wipe()


@pytest.fixture
def pods(robot):
    """A robot that forwards nothing, without pods."""
    machine = robot.machine
    machine.sh("systemctl stop 'answers-web-*' 2>/dev/null; rm -rf /etc/k8s4r/pods; true")
    down(robot)
    robot.ensure()
    forwards(machine, 0, 0)
    machine.sh("rm -f /run/k8s4r/pods/.forwarding*; nft flush ruleset; ip link delete br7 2>/dev/null; true")
    return robot


def down(pods):
    pods.machine.script("sys.argv[1:] = ['down', 'web']\nfrom k8s4r_engine.pods import program\nprogram.main()")


def write(pods):
    pods.file("web", "default/fleet/web", "172.26.64.9", both=True, ports=PUBLISHED)


def up(pods):
    write(pods)
    pods.make("web", at=("0.0.0.0", "::"))


def of(name, port=TCP):
    """Somebody there, by each family."""
    _link, _four, _six, four, six = NETWORKS[name]
    return [(four, port, "tcp"), (six, port, "tcp")]


def between(pods):
    """From each network to the other, by each family: who is seen."""
    inwards = asked(pods.machine, [*of("inner"), (NETWORKS["inner"][3], UDP, "udp")], "ip netns exec outer ")
    outwards = asked(pods.machine, [*of("outer"), (NETWORKS["outer"][3], UDP, "udp")], "ip netns exec inner ")
    return [*inwards, *outwards]


OUTER, INNER = NETWORKS["outer"][3:], NETWORKS["inner"][3:]
OPEN, CLOSED = [*OUTER, OUTER[0], *INNER, INNER[0]], [""] * 6


def settings(pods):
    return pods.machine.sh(f"cd /proc/sys/net; cat {FOUR} {SIX}").split()


def own(pods):
    """What pods and published ports are for: from both networks, and to them, by each family."""
    answers = [asked(pods.machine, [(each, PORT, "tcp") for each in NETWORKS[name][1:3]], f"ip netns exec {name} ") for name in NETWORKS]
    return [*answers, pods.ask("web", *of("outer"), *of("inner"))]


PASSES = [[*OUTER], [*INNER], [*NETWORKS["outer"][1:3], *NETWORKS["inner"][1:3]]]


def test_a_pod_makes_no_router_of_its_robot(pods):
    machine = pods.machine
    forwards(machine, 1, 1)
    assert between(pods) == OPEN, "nothing else is between the two"
    forwards(machine, 0, 0)
    assert between(pods) == CLOSED
    up(pods)
    assert (settings(pods), between(pods), own(pods)) == (["1", "1"], CLOSED, PASSES)
    machine.sh("nft flush ruleset")
    assert between(pods) == OPEN
    assert "table" in pods.ensure()
    assert (between(pods), own(pods)) == (CLOSED, PASSES)
    assert pods.ensure() == ""


def test_the_rules_are_there_before_the_robot_forwards(pods):
    """As at a boot, when the walls come before every pod."""
    write(pods)
    pods.ensure()
    assert settings(pods) == ["0", "0"]
    forwards(pods.machine, 1, 1)
    assert between(pods) == CLOSED


def test_families_are_told_apart(pods):
    """The robot is a router of IPv4 and says so; of IPv6 it is none."""
    forwards(pods.machine, 1, 0)
    up(pods)
    assert (settings(pods), own(pods)) == (["1", "1"], PASSES)
    assert between(pods) == [OUTER[0], "", OUTER[0], INNER[0], "", INNER[0]]


def test_what_a_robot_forwarded_before_it_goes_on_to_forward(pods):
    forwards(pods.machine, 1, 1)
    up(pods)
    assert (between(pods), own(pods)) == (OPEN, PASSES)


def test_who_has_switched_it_off_has_no_router_when_it_comes_back(pods):
    """What a robot forwarded before its pods is somebody's no longer."""
    forwards(pods.machine, 1, 1)
    up(pods)
    forwards(pods.machine, 0, 0)
    assert FOUR in pods.ensure()
    assert (settings(pods), between(pods), own(pods)) == (["1", "1"], CLOSED, PASSES)


def test_beside_somebodys_bridge_it_holds_when_a_pod_restarts_and_after_the_last_one(pods):
    """Where others have come meanwhile, the robot goes on to forward: what is in their bridges is theirs, and the rest stays apart."""
    machine = pods.machine
    up(pods)
    machine.sh("ip link add br7 type bridge")
    machine.sh("systemctl stop 'answers-web-*'")
    down(pods)
    assert (settings(pods), between(pods)) == (["1", "1"], CLOSED)
    up(pods)
    assert (settings(pods), between(pods), own(pods)) == (["1", "1"], CLOSED, PASSES)
    machine.sh("systemctl stop 'answers-web-*'; rm /etc/k8s4r/pods/web")
    down(pods)
    pods.ensure()
    assert (settings(pods), between(pods)) == (["1", "1"], CLOSED)
    assert sorted(machine.sh("nft list table inet k8s4r | grep -o 'chain .* {'").split()[1::3]) == ["apart", "between", "beyond"]
    assert pods.ensure() == ""
    machine.sh("ip link delete br7")
    down(pods)


def test_what_crosses_a_bridge_of_the_robot_is_not_routed(pods):
    """Where br_netfilter is loaded, as Docker has it, firewalls see that, too, as if it came from the bridge and went to it."""
    machine = pods.machine
    machine.sh("test $(cat /proc/sys/net/bridge/bridge-nf-call-iptables) = 1")
    machine.sh(BRIDGED)
    up(pods)
    link = (
        "from k8s4r_engine.pods import walls\nfrom k8s4r_engine.pods.across import links\n"
        "known = links.uplinks()\nlinks.uplinks = lambda: [*known, 'br7']\n"
    )
    question = [("192.0.2.2", TCP, "tcp")]
    assert machine.script(f"{link}links.switches = lambda: []\nwalls.ensure()").status == 0
    assert asked(machine, question, "ip netns exec outer ") == [""]
    assert machine.script(f"{link}walls.ensure()").status == 0
    assert asked(machine, question, "ip netns exec outer ") == ["192.0.2.1"]
    assert between(pods) == CLOSED
