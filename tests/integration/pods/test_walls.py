# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Walls between pods: who reaches whom, and that a flush of everybody's rules opens nothing."""

from __future__ import annotations

import itertools

import pytest

from ansible_collections.k8s4r.robot.plugins.module_utils._engine.pods import files, guard
from tests.integration.pods import attacks
from tests.integration.pods.network import GATEWAY, TCP, UDP, Pods, asked

ONE, TWO, WEB, LAMP = "172.26.64.7", "172.26.64.8", "172.26.64.9", "172.26.64.10"
PODS = {"one": ONE, "two": TWO, "web": WEB, "lamp": LAMP}
# What listens on the robot: at its loopback, and at every address.
INNER, OUTER = (7000, 7001), (7002, 7003)
PORT = 20345
PUBLISHED = [
    {"address": "0.0.0.0", "port": PORT, "to": TCP, "protocol": "tcp"},
    {"address": "0.0.0.0", "port": PORT, "to": UDP, "protocol": "udp"},
]
FLUSH = "nft flush ruleset"
REPEATS = """
import socket
connection = socket.create_server(("", 9000)).accept()[0]
for _ in range(9):
    connection.sendall(connection.recv(9))
"""
TALKS = """
import os, socket, sys, time
s = socket.create_connection((sys.argv[1], 9000), 3)
s.settimeout(10)
s.sendall(b"a")
print(s.recv(9), flush=True)
s.settimeout(1.5)
open("/run/talks", "w").close()
while os.path.exists("/run/talks"):
    time.sleep(0.05)
s.sendall(b"b")
try:
    print(s.recv(9))
except OSError:
    print("nothing")
"""


# A connection of one pod; what another one says of it is heard by the next datagram.
SPEAKS = """
import os, socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("", 40000))
s.connect((sys.argv[1], int(sys.argv[2])))
s.send(b"a")
open("/run/speaks", "w").close()
while os.path.exists("/run/speaks"):
    time.sleep(0.05)
try:
    s.send(b"b")
    print("well")
except OSError as error:
    print(error.strerror)
"""
# ICMP errors about that connection: it needs smaller packets, and nobody is there.
LIES = """
import socket, struct, sys
to, victim, peer, port = sys.argv[1:]
def summed(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF
inner = struct.pack("!BBHHHBBH4s4s", 69, 0, 29, 0, 0, 64, 17, 0, socket.inet_aton(victim), socket.inet_aton(peer))
inner = inner[:10] + struct.pack("!H", summed(inner)) + inner[12:] + struct.pack("!HHHH", 40000, int(port), 9, 0)
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
for code, mtu in ((4, 600), (3, 0)):
    said = struct.pack("!BBHHH", 3, code, 0, 0, mtu) + inner
    s.sendto(said[:2] + struct.pack("!H", summed(said)) + said[4:], (to, 0))
"""


@pytest.fixture(scope="module")
def robot(robots):
    """Two pods of a group, one that these may reach, with a published port, and one for nobody else."""
    pods = Pods(robots[0])
    pods.file("one", "default/fleet/api", ONE)
    pods.file("two", "default/fleet/api", TWO)
    pods.file("web", "default/fleet/web", WEB, reach=["default/fleet/api"], ports=PUBLISHED)
    pods.file("lamp", "default/lamp/lamp", LAMP)
    pods.make(*PODS)
    pods.answer("answers-inner", "127.0.0.1", *INNER)
    pods.answer("answers-outer", "0.0.0.0", *OUTER)
    for port in (INNER[0], OUTER[0]):
        pods.machine.listens(port)
    yield pods
    pods.wipe()


@pytest.fixture
def pods(robot):
    """All as it was."""
    robot.ensure()
    return robot


def everything(*addresses):
    """Every port that something listens on, at each of these addresses."""
    ports = [("tcp", TCP), ("udp", UDP), ("tcp", PORT), ("udp", PORT)]
    ports += [(protocol, port) for each in (INNER, OUTER) for protocol, port in zip(("tcp", "udp"), each, strict=True)]
    return [(address, port, protocol) for address in addresses for protocol, port in ports]


def reached(pods, who, lan):
    """All that a pod reaches of what it can see: other pods, and the robot at each of its addresses. The loopback has its own ports."""
    asked_for = [
        each for each in everything(*PODS.values(), GATEWAY, lan, "127.0.0.1") if each[:2] not in (("127.0.0.1", TCP), ("127.0.0.1", UDP))
    ]
    return {question for question, answer in zip(asked_for, pods.ask(who, *asked_for), strict=True) if answer}


def of_pods(*names):
    return {(PODS[name], port, protocol) for name in names for protocol, port in (("tcp", TCP), ("udp", UDP))}


def test_a_pod_reaches_its_own_group_and_those_that_say_so_before_a_flush_of_rules_and_nothing_more_after_it(pods, lan):
    published = {(address, PORT, protocol) for address in (lan, GATEWAY) for protocol in ("tcp", "udp")}
    own = {(address, port, protocol) for address in (lan, GATEWAY) for protocol, port in zip(("tcp", "udp"), OUTER, strict=True)}
    walls = {"one": ("one", "two", "web"), "two": ("one", "two", "web"), "web": ("web",), "lamp": ("lamp",)}
    # A robot that answers a packet takes the address of the way to who asks, which is another one where it was asked at its own.
    deaf = {(lan, OUTER[1], "udp")}
    before = {who: reached(pods, who, lan) for who in PODS}
    assert {who: found - own for who, found in before.items()} == {who: of_pods(*names) | published for who, names in walls.items()}
    assert all(own - deaf <= found for found in before.values())
    pods.machine.sh(FLUSH)
    after = {who: reached(pods, who, lan) for who in PODS}
    assert all(after[who] <= before[who] for who in PODS)
    assert all(not after[who] & of_pods(other) for who, other in itertools.permutations(PODS, 2))
    assert "table" in pods.ensure()
    assert {who: reached(pods, who, lan) for who in PODS} == before


@pytest.mark.parametrize("liar", ["one", "web"])
def test_no_pod_says_anything_of_anothers_connection(pods, liar):
    """Lamp's, to the robot: `one` is a pod that lamp does not let in, and so is `web`."""
    machine, where = pods.machine, f"{GATEWAY} {OUTER[1]}"
    for name, text in (("speaks", SPEAKS), ("lies", LIES)):
        machine.execute(f"cat > /root/{name}.py", text.encode())
    machine.sh("rm -f /run/speaks")
    machine.sh(
        "systemd-run -q --collect --unit speaks -p StandardOutput=truncate:/run/spoken -p NetworkNamespacePath=/run/netns/k8s4r-lamp "
        f"python3 /root/speaks.py {where}"
    )
    machine.until("test -e /run/speaks")
    for to in (LAMP, GATEWAY):
        machine.sh(f"ip netns exec k8s4r-{liar} python3 /root/lies.py {to} {LAMP} {where}")
    assert "mtu 600" not in machine.sh(f"ip netns exec k8s4r-lamp ip route get {GATEWAY}")
    machine.sh("rm /run/speaks")
    machine.until("! systemctl --quiet is-active speaks")
    assert machine.sh("cat /run/spoken") == "well\n"


def test_a_pod_still_says_that_nobody_listens(pods):
    """Of its own connections."""
    asks = (
        "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(5); s.connect((%r, 9)); s.send(b'a'); s.recv(9)"
    )
    for who, whom in (("one", TWO), ("one", WEB)):
        outcome = pods.machine.execute(f'ip netns exec k8s4r-{who} python3 -c "{asks % whom}"')
        assert "ConnectionRefusedError" in outcome.stderr, outcome


def test_a_robot_reaches_all_its_pods_with_rules_and_without(pods):
    questions = [*of_pods(*PODS)]
    assert pods.ask("", *questions) == [GATEWAY] * len(questions)
    pods.machine.sh(FLUSH)
    assert pods.ask("", *questions) == [GATEWAY] * len(questions)


def test_no_route_of_the_network_leads_to_a_pod_or_to_the_robots_address_among_them(pods, robots, lan):
    other = robots[1]
    other.sh(f"ip route replace 172.26.64.0/20 via {lan}")
    questions = everything(*PODS.values(), GATEWAY)
    assert asked(other, questions) == [""] * len(questions)
    pods.machine.sh(FLUSH)
    of_pods_alone = everything(*PODS.values())
    assert asked(other, of_pods_alone) == [""] * len(of_pods_alone)
    other.sh("ip route delete 172.26.64.0/20")


@pytest.mark.parametrize("flush", [False, True])
def test_what_is_sent_for_another_or_to_the_robots_loopback_gets_nowhere(pods, lan, flush):
    """By a root in the pod who writes packets of his own: the robot and the other pods see none of them."""
    if flush:
        pods.machine.sh(FLUSH)
    robots_own = guard.hardware(GATEWAY)
    forged = {
        "another pod": attacks.packet(robots_own, ONE, LAMP, GATEWAY, OUTER[1]),
        "somebody of the network": attacks.packet(robots_own, ONE, lan.rpartition(".")[0] + ".200", GATEWAY, OUTER[1]),
        "the robot": attacks.packet(robots_own, ONE, GATEWAY, WEB, UDP),
        "the loopback": attacks.packet(robots_own, ONE, ONE, "127.0.0.1", INNER[1]),
        "from the loopback": attacks.packet(robots_own, ONE, "127.0.0.1", GATEWAY, OUTER[1]),
        "the bridge's other side": attacks.packet(guard.hardware(LAMP), ONE, ONE, LAMP, UDP),
        "a broadcast": attacks.packet("ff:ff:ff:ff:ff:ff", ONE, ONE, LAMP, UDP),
        "IPv6": attacks.packet6("33:33:00:00:00:01", ONE, "fe80::1", "ff02::1"),
        "a VLAN": attacks.packet(robots_own, ONE, LAMP, GATEWAY, OUTER[1], tag=True),
        "ARP": attacks.claim(ONE, LAMP),
        "another pod's Ethernet": attacks.claim(LAMP, ONE),
    }
    seen = attacks.seen(pods, "one", "lamp", list(forged.values()))
    assert seen == {"robot": [], "pod": []}
    assert pods.ask("", (LAMP, TCP, "tcp")) == [GATEWAY]


def test_what_tells_of_forged_packets_sees_them_where_nothing_stops_them(pods):
    """So the test above finds what there is to find."""
    pods.machine.sh(f"{FLUSH}; tc qdisc delete dev {files.link('one')} clsact; tc qdisc delete dev k8s4r0 clsact")
    robots_own = guard.hardware(GATEWAY)
    forged = [attacks.packet(robots_own, ONE, LAMP, GATEWAY, OUTER[1]), attacks.packet(robots_own, ONE, ONE, "127.0.0.1", INNER[1])]
    seen = attacks.seen(pods, "one", "lamp", forged)
    assert len(seen["robot"]) == 2
    said = pods.ensure()
    assert f"filter of {files.link('one')}" in said
    assert "filter of k8s4r0" in said
    assert attacks.seen(pods, "one", "lamp", forged) == {"robot": [], "pod": []}


def test_a_filter_that_is_taken_out_of_its_place_is_back_and_the_bridge_has_the_address_of_its_pods_alone(pods):
    """Of a range that the robot had before, an address may have stayed."""
    link = files.link("one")
    inside = "tc filter show dev {0} ingress | sed s/index.*//; ip -4 -brief address show dev k8s4r0"
    before = pods.machine.sh(inside.format(link))
    pods.machine.sh(f"tc filter delete dev {link} ingress pref 2")
    pods.machine.sh(f"ip address add 10.213.64.1/20 dev k8s4r0; ip address delete {GATEWAY}/20 dev k8s4r0")
    said = pods.ensure()
    assert f"filter of {link}" in said
    assert "10.213.64.1/20" in said
    assert "filter of k8s4r0" not in said
    assert pods.machine.sh(inside.format(link)) == before
    assert pods.ensure() == ""


def test_a_wall_that_is_put_up_stops_what_runs(pods):
    """The side that opened a connection is asked each time."""
    run = "systemd-run --quiet --collect --property=StandardOutput=truncate:/run/said"
    for name, program in (("repeats", REPEATS), ("talks", TALKS)):
        pods.machine.execute(f"cat > /run/{name}.py", program.encode())
    pods.machine.sh(f"{run} --unit=answers-repeats ip netns exec k8s4r-web python3 /run/repeats.py")
    pods.machine.until("ip netns exec k8s4r-web ss -ltn | grep -q ':9000 '")
    pods.machine.sh(f"{run} --unit=answers-talks ip netns exec k8s4r-one python3 /run/talks.py {WEB}")
    pods.machine.until("test -e /run/talks")
    pods.file("web", "default/fleet/web", WEB, ports=PUBLISHED)
    pods.ensure()
    pods.machine.sh("rm /run/talks")
    pods.machine.until("test $(wc -l < /run/said) = 2")
    assert pods.machine.sh("cat /run/said").splitlines() == ["b'a'", "nothing"]
    pods.file("web", "default/fleet/web", WEB, reach=["default/fleet/api"], ports=PUBLISHED)
    pods.ensure()
    assert pods.ask("one", (WEB, TCP, "tcp")) == [ONE]
