# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pods with an address of IPv6: the walls are those of IPv4, nothing between neighbours gets out, and the robot stays a host."""

from __future__ import annotations

import itertools
import socket

import pytest

from ansible_collections.k8s4r.robot.plugins.module_utils._engine.pods import files, guard
from tests.integration.pods import attacks
from tests.integration.pods.beyond import BEYOND, GONE, HERE, NO_LOOPBACK, OUTSIDE
from tests.integration.pods.network import GATEWAY, GATEWAY6, RANGE6, TCP, UDP, Pods, asked, six

FOUR = {"one": "172.26.64.7", "two": "172.26.64.8", "web": "172.26.64.9", "lamp": "172.26.64.10"}
PODS = {name: six(address) for name, address in FOUR.items()}
ONE, LAMP = FOUR["one"], FOUR["lamp"]
INNER, OUTER = (7000, 7001), (7002, 7003)
PORT = 20345
PUBLISHED = [{"address": "::", "port": PORT, "to": to, "protocol": protocol} for to, protocol in ((TCP, "tcp"), (UDP, "udp"))]
FLUSH = "nft flush ruleset"
# A router announces itself to the link. Options: none; so the kernel makes a route, and no address.
ANNOUNCES = """
import socket, struct
s = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
link = socket.if_nametoindex("eth0")
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, link)
s.sendto(struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, {life}, 0, 0), ("ff02::1", 0, 0, link))
"""
# What there is of IPv6 on the robot, and whom it takes ways from.
SETTINGS = "cd /proc/sys/net/ipv6/conf; grep . all/forwarding default/forwarding */forwarding out0/accept_ra | grep -v k8s4r | sort -u"
HAS = (
    "ip -6 rule; ip -6 -brief address show dev k8s4r0; ip -6 neighbour show dev k8s4r0 nud permanent;"
    " cd /proc/sys/net/ipv6/conf/k8s4r0; grep . accept_ra accept_redirects accept_dad autoconf addr_gen_mode disable_ipv6;"
    " nft --stateless list table inet k8s4r"
)


def files_of(pods):
    pods.file("one", "default/fleet/api", FOUR["one"], both=True)
    pods.file("two", "default/fleet/api", FOUR["two"], both=True)
    pods.file("web", "default/fleet/web", FOUR["web"], reach=["default/fleet/api"], ports=PUBLISHED, both=True)
    pods.file("lamp", "default/lamp/lamp", FOUR["lamp"], both=True)


@pytest.fixture(scope="module")
def robot(robots):
    """Two pods of a group, one that these may reach, with a published port, and one for nobody else."""
    machine = robots[0]
    pods = Pods(machine)
    machine.sh(GONE + BEYOND)
    machine.execute("cat > /run/announces.py", ANNOUNCES.format(life=9000).encode())
    machine.execute("cat > /run/announces-again.py", ANNOUNCES.format(life=999).encode())
    machine.until("ip netns exec beyond python3 /run/announces.py && ip -6 route show default dev out0 | grep 'proto ra'")
    before = machine.sh(SETTINGS)
    files_of(pods)
    pods.make(*PODS, at=("0.0.0.0", "::"))
    pods.answer("answers-inner", "::1", *INNER)
    pods.answer("answers-outer", "::", *OUTER)
    machine.sh(f"systemd-run --quiet --collect --unit=answers-beyond ip netns exec beyond python3 /run/answers.py :: {TCP} {UDP}")
    for port in (INNER[0], OUTER[0]):
        machine.listens(port)
    machine.until(f"ip netns exec beyond ss -ltn | grep -q ':{TCP} '")
    pods.before = before
    yield pods
    machine.sh(f"{GONE}; {NO_LOOPBACK}")
    pods.wipe()


@pytest.fixture
def pods(robot):
    """All as it was."""
    robot.ensure()
    return robot


@pytest.fixture
def changed(pods):
    """For a test that writes files of pods: after it they say what they said before."""
    yield
    files_of(pods)


def beyond(pods, *questions):
    return asked(pods.machine, questions, "ip netns exec beyond ")


def everything(*addresses):
    """Every port that something listens on, at each of these addresses."""
    ports = [("tcp", TCP), ("udp", UDP), ("tcp", PORT), ("udp", PORT)]
    ports += [(protocol, port) for each in (INNER, OUTER) for protocol, port in zip(("tcp", "udp"), each, strict=True)]
    return [(address, port, protocol) for address in addresses for protocol, port in ports]


def reached(pods, who):
    """All that a pod reaches of what it can see, but at its own loopback."""
    questions = everything(*PODS.values(), GATEWAY6, HERE)
    return {question for question, answer in zip(questions, pods.ask(who, *questions), strict=True) if answer}


def of_pods(*names):
    return {(PODS[name], port, protocol) for name in names for protocol, port in (("tcp", TCP), ("udp", UDP))}


def test_the_robot_forwards_and_keeps_the_way_that_was_announced_to_it(pods):
    machine = pods.machine
    assert machine.sh("ip -6 route show default dev out0 | grep -c 'proto ra'").strip() == "1"
    assert machine.sh(SETTINGS) == pods.before.replace("all/forwarding:0", "all/forwarding:1")
    # What is announced from now on is heard, too.
    shorter = "ip -6 route show default dev out0 | grep -E 'expires [0-9]{1,3}sec'"
    machine.until(f"ip netns exec beyond python3 /run/announces-again.py && {shorter}")


def test_a_pod_reaches_its_own_group_and_those_that_say_so_before_a_flush_of_rules_and_nothing_more_after_it(pods):
    published = {(address, PORT, protocol) for address in (HERE, GATEWAY6) for protocol in ("tcp", "udp")}
    own = {(address, port, protocol) for address in (HERE, GATEWAY6) for protocol, port in zip(("tcp", "udp"), OUTER, strict=True)}
    walls = {"one": ("one", "two", "web"), "two": ("one", "two", "web"), "web": ("web",), "lamp": ("lamp",)}
    # A robot that answers a packet takes the address of the way to who asks, which is another one where it was asked at its own.
    deaf = {(HERE, OUTER[1], "udp")}
    before = {who: reached(pods, who) for who in PODS}
    assert {who: found - own for who, found in before.items()} == {who: of_pods(*names) | published for who, names in walls.items()}
    assert all(own - deaf <= found for found in before.values())
    pods.machine.sh(FLUSH)
    after = {who: reached(pods, who) for who in PODS}
    assert all(after[who] <= before[who] for who in PODS)
    assert all(not after[who] & of_pods(other) for who, other in itertools.permutations(PODS, 2))
    assert "table" in pods.ensure()
    assert all(reached(pods, who) == before[who] for who in ("one", "lamp"))


def test_who_asks_is_seen_as_with_ipv4(pods):
    both = ("tcp", "udp")
    assert pods.ask("", *of_pods(*PODS)) == [GATEWAY6] * 2 * len(PODS)
    assert pods.ask("one", (PODS["web"], TCP, "tcp"), (PODS["web"], UDP, "udp")) == [PODS["one"]] * 2
    assert beyond(pods, *[(HERE, PORT, each) for each in both]) == [OUTSIDE] * 2
    assert pods.ask("", *[(HERE, PORT, each) for each in both]) == [HERE] * 2
    assert pods.ask("lamp", *[(HERE, PORT, each) for each in both]) == [PODS["lamp"]] * 2
    assert pods.ask("web", *[(HERE, PORT, each) for each in both]) == [GATEWAY6] * 2
    # Out to the network under the robot's address.
    assert pods.ask("lamp", (OUTSIDE, TCP, "tcp"), (OUTSIDE, UDP, "udp")) == [HERE] * 2
    # IPv4 goes on beside it.
    assert pods.ask("", ("127.0.0.1", PORT, "tcp"), ("::1", PORT, "tcp")) == [GATEWAY, ""]


def test_no_route_of_the_network_leads_to_a_pod_or_to_the_robots_address_among_them(pods):
    pods.machine.sh(f"ip -n beyond route replace {RANGE6} via {HERE}")
    questions = everything(*PODS.values(), GATEWAY6)
    assert beyond(pods, *questions) == [""] * len(questions)
    pods.machine.sh(FLUSH)
    of_pods_alone = everything(*PODS.values())
    assert beyond(pods, *of_pods_alone) == [""] * len(of_pods_alone)
    pods.machine.sh(f"ip -n beyond route delete {RANGE6}")


def forgeries():
    """By their names: what a root in the first pod writes."""
    robots_own, mine = guard.hardware(GATEWAY), PODS["one"]
    port = OUTER[1]
    hop_by_hop = b"\x11\x00\x01\x04\x00\x00\x00\x00"
    to_pod = b"\x11\x02\x04\x01\x00\x00\x00\x00" + socket.inet_pton(socket.AF_INET6, PODS["lamp"])
    found = {
        "another pod": (PODS["lamp"], GATEWAY6),
        "somebody of the network": (OUTSIDE, GATEWAY6),
        "the robot": (GATEWAY6, PODS["web"]),
        "the loopback": (mine, "::1"),
        "the loopback of IPv4": (mine, "::ffff:127.0.0.1"),
        "from the loopback": ("::1", GATEWAY6),
        "from nobody": ("::", GATEWAY6),
        "from the link": ("fe80::1", GATEWAY6),
        "to the link": (mine, "fe80::1"),
        "to all of the link": (mine, "ff02::1"),
        "to all": (mine, "ff0e::1"),
    }
    packets = {name: attacks.packet6(robots_own, ONE, *ends, port) for name, ends in found.items()}
    packets |= {
        "to all neighbours": attacks.packet6("33:33:00:00:00:01", ONE, mine, "ff02::1", port),
        "the bridge's other side": attacks.packet6(guard.hardware(LAMP), ONE, mine, PODS["lamp"], UDP),
        "a broadcast": attacks.packet6("ff:ff:ff:ff:ff:ff", ONE, mine, PODS["lamp"], UDP),
        "options": attacks.packet6(robots_own, ONE, mine, GATEWAY6, port, hop_by_hop, 0),
        "a way": attacks.packet6(robots_own, ONE, mine, GATEWAY6, port, to_pod, 43),
    }
    return packets


def claims():
    """Answers of a neighbour, and a router's: the first pod says that it is another, and the way to everywhere."""
    robots_own, mine = guard.hardware(GATEWAY), PODS["one"]
    hop_by_hop = b"\x3a\x00\x01\x04\x00\x00\x00\x00"
    return [
        attacks.claim6(robots_own, ONE, mine, GATEWAY6, PODS["lamp"]),
        attacks.claim6(robots_own, ONE, mine, GATEWAY6, PODS["lamp"], front=hop_by_hop),
        attacks.claim6(robots_own, ONE, PODS["lamp"], GATEWAY6, PODS["lamp"]),
        attacks.claim6("33:33:00:00:00:01", ONE, mine, "ff02::1", PODS["lamp"]),
        attacks.claim6(robots_own, ONE, PODS["lamp"], GATEWAY6, GATEWAY6, kind=135),
        attacks.claim6(robots_own, ONE, "fe80::1", GATEWAY6, OUTSIDE, kind=134),
        attacks.claim6(robots_own, ONE, "fe80::1", GATEWAY6, OUTSIDE, kind=137),
    ]


@pytest.mark.parametrize("flush", [False, True])
def test_what_is_sent_for_another_or_to_the_robots_loopback_gets_nowhere(pods, flush):
    """By a root in the pod who writes packets of his own: the robot and the other pods see none of them."""
    if flush:
        pods.machine.sh(FLUSH)
    neighbours = "ip -6 neighbour show dev k8s4r0; ip -6 route show default | sed 's/expires.*//'"
    before = pods.machine.sh(neighbours)
    assert attacks.seen(pods, "one", "lamp", [*forgeries().values(), *claims()]) == {"robot": [], "pod": []}
    assert pods.machine.sh(neighbours) == before
    assert pods.ask("", (PODS["lamp"], TCP, "tcp")) == [GATEWAY6]


def test_what_tells_of_forged_packets_sees_them_where_nothing_stops_them_and_neighbours_are_still_who_they_were(pods):
    """So the test above finds what there is to find. And a claim changes nothing even there."""
    machine = pods.machine
    one = files.link("one")
    machine.sh(f"{FLUSH}; tc qdisc delete dev {one} clsact")
    known = machine.sh("ip -6 neighbour show dev k8s4r0 nud permanent")
    sent = [forgeries()["another pod"], forgeries()["from the link"], *claims()]
    assert len(attacks.seen(pods, "one", "lamp", sent)["robot"]) == 2
    assert machine.sh("ip -6 neighbour show dev k8s4r0 nud permanent") == known
    # Of one that the robot has asked for, it would.
    machine.sh(f"ip -6 neighbour replace {PODS['lamp']} lladdr {guard.hardware(LAMP)} dev k8s4r0 nud stale")
    attacks.seen(pods, "one", "lamp", claims())
    assert guard.hardware(ONE) in machine.sh(f"ip -6 neighbour show {PODS['lamp']} dev k8s4r0")
    assert f"filter of {one}" in pods.ensure()
    assert machine.sh("ip -6 neighbour show dev k8s4r0 nud permanent") == known
    assert attacks.seen(pods, "one", "lamp", sent) == {"robot": [], "pod": []}


def test_what_is_taken_away_is_put_back_and_a_second_look_finds_nothing(pods):
    machine = pods.machine
    before = machine.sh(HAS)
    machine.sh(
        f"ip -6 address delete {GATEWAY6}/64 dev k8s4r0; ip -6 address add fd00:bad::1/64 dev k8s4r0; ip -6 rule delete pref 1466;"
        f" ip -6 neighbour replace {PODS['one']} lladdr {guard.hardware(LAMP)} dev k8s4r0 nud permanent"
    )
    conf = "cd /proc/sys/net/ipv6/conf; echo 0 > all/forwarding; echo 1 > k8s4r0/accept_ra; echo 1 > k8s4r0/accept_redirects"
    machine.sh(f"unshare --mount sh -ec 'mount -t proc proc /proc; {conf}'")
    said = pods.ensure()
    for each in ("fd00:bad::1", f"neighbour replace {PODS['one']}", "pref 1466", "all/forwarding", "accept_ra", "accept_redirects"):
        assert each in said
    assert machine.sh(HAS) == before
    assert pods.ensure() == ""
    # The bridge is brought down and up again, and its addresses go meanwhile.
    machine.sh("ip link set k8s4r0 down; ip link set k8s4r0 up")
    pods.ensure()
    assert machine.sh(HAS) == before
    assert beyond(pods, (HERE, PORT, "tcp")) == [OUTSIDE]


@pytest.mark.usefixtures("changed")
def test_who_goes_on_sending_is_sent_to_the_pod_that_a_port_leads_to_now(pods):
    """The kernel would send him to the former one as long as he sends."""
    send = (
        "import socket; s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); s.settimeout({seconds}); s.bind(('::', 7777));"
        f" s.sendto(b'?', ('{HERE}', {PORT})); print(s.recv(100).decode())"
    )
    sends = f'ip netns exec beyond python3 -c "{send}"'
    answered, silent = (sends.replace("{seconds}", each) for each in ("30", "3"))
    assert pods.machine.sh(answered).strip() == OUTSIDE
    pods.file("web", "default/fleet/web", FOUR["web"], reach=["default/fleet/api"], both=True)
    pods.file("lamp", "default/lamp/lamp", LAMP, ports=PUBLISHED, both=True)
    pods.ensure()
    assert pods.machine.sh(answered).strip() == OUTSIDE
    pods.file("lamp", "default/lamp/lamp", LAMP, both=True)
    pods.ensure()
    assert pods.machine.execute(silent).status == 1


@pytest.mark.usefixtures("changed")
def test_a_pod_whose_robot_has_ipv6_no_longer_goes_on_with_ipv4_and_the_robot_forwards_no_more(pods):
    """Nothing of IPv6 is left."""
    machine = pods.machine
    for name, group in (("one", "fleet/api"), ("two", "fleet/api"), ("web", "fleet/web"), ("lamp", "lamp/lamp")):
        pods.file(name, f"default/{group}", FOUR[name])
    pods.ensure()
    assert (
        machine.sh("ip -6 rule | grep -c 146; ip -6 -brief address show dev k8s4r0; ip -6 neighbour show dev k8s4r0 nud permanent; true")
        == "0\n"
    )
    assert machine.sh(SETTINGS) == pods.before
    assert machine.sh("ip -6 route show default dev out0 | grep -c 'proto ra'").strip() == "1"
    assert pods.ask("one", (FOUR["two"], TCP, "tcp"), (PODS["two"], TCP, "tcp"), (OUTSIDE, TCP, "tcp")) == [ONE, "", ""]
    assert pods.ensure() == ""
