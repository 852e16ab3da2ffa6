# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the walls between pods, and their published ports, are written as: from numbers alone."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.k8s4r.robot.plugins.module_utils._engine.pods import files, guard, rules
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.pods.six import family

RANGE = "172.26.64.0/20"


def pod(address: str, group: str = "default/fleet/web", reach: t.Sequence[str] = (), **more: t.Any) -> t.Any:
    made = {"name": "web-r0", "group": group, "address": address, "range": RANGE, "reach": list(reach), "ports": [], "hosts": {}, "dns": {}}
    return {**made, **more}


def six(address: str, group: str = "default/fleet/web", **more: t.Any) -> t.Any:
    """With an address of IPv6, too."""
    both = {"range6": "fd4b::/64", "address6": f"fd4b::{files.number(address) >> 16:x}:{files.number(address) & 0xFFFF:x}"}
    return pod(address, group, **{**both, **more})


def port(number: t.Any, to: t.Any, protocol: str = "tcp", address: str = "0.0.0.0") -> dict[str, t.Any]:
    return {"address": address, "port": number, "to": to, "protocol": protocol}


def chains(text: str) -> dict[str, list[str]]:
    """The rules of each chain."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line.startswith("\tchain "):
            name = line.split()[1]
        elif line.startswith("\t\t"):
            found.setdefault(name, []).append(line.strip())
    return found


def test_a_robot_without_pods_has_no_table_and_no_rules_for_routing() -> None:
    assert rules.ruleset({}) == "table inet k8s4r\ndelete table inet k8s4r\n"
    assert rules.routing({}) == []


def test_the_table_is_made_anew_in_one_step() -> None:
    text = rules.ruleset({"a": pod("172.26.64.7")})
    assert text.startswith("table inet k8s4r\ndelete table inet k8s4r\ntable inet k8s4r {\n")
    assert text.count("table inet") == 3


def test_a_pod_is_reached_by_its_group_and_by_those_that_it_names() -> None:
    pods = {
        "a": pod("172.26.64.7", "default/fleet/web", reach=["default/fleet/api", "default/gone/gone"]),
        "b": pod("172.26.64.8", "default/fleet/api"),
        "c": pod("172.26.64.9", "default/fleet/api"),
        "d": pod("172.26.64.10", "default/lamp/lamp"),
    }
    found = chains(rules.ruleset(pods))
    ways = {
        "172.26.64.7": "{ 172.26.64.7, 172.26.64.8, 172.26.64.9 }",
        "172.26.64.8": "{ 172.26.64.8, 172.26.64.9 }",
        "172.26.64.9": "{ 172.26.64.8, 172.26.64.9 }",
        "172.26.64.10": "{ 172.26.64.10 }",
    }
    jumps = found["walls"][-1].partition("{ ")[2].rstrip(" }").split(", ")
    assert {jump.split(" : goto ")[0]: found[jump.split()[-1]] for jump in jumps} == {
        address: [f"ip saddr {senders} goto allow"] for address, senders in ways.items()
    }


def test_published_ports_lead_to_pods_and_a_narrow_one_comes_first() -> None:
    pods = {
        "a": pod("172.26.64.7", ports=[port(80, 8080), port(53, 5353, "udp")]),
        "b": pod("172.26.64.8", ports=[port(80, 8081, address="192.0.2.1"), port(81, 80, address="::")]),
    }
    found = chains(rules.ruleset(pods))
    assert found["publish"] == ["tcp dport vmap { 80 : goto tcp_80 }", "udp dport vmap { 53 : goto udp_53 }"]
    assert found["tcp_80"] == [
        "ip daddr 192.0.2.1 meta l4proto tcp dnat ip to 172.26.64.8:8081",
        "meta l4proto tcp dnat ip to 172.26.64.7:8080",
    ]
    assert found["udp_of_172_26_64_7_5353"] == ["meta l4proto udp ct original proto-dst { 53 } goto allow"]


def test_what_is_not_a_number_is_written_nowhere() -> None:
    """Who can write such a file is root already; but nothing that is not understood is read as root."""
    bad = [
        pod("172.26.64.7; flush ruleset"),
        pod("172.26.64.07x"),
        pod("10.0.0.1"),
        pod("172.26.64.7", range="172.26.64.0/20 }"),
        pod("172.26.64.7", range="0.0.0.0/0"),
        pod("172.26.64.7", ports=[port("80", 80)]),
        pod("172.26.64.7", ports=[port(80, 0)]),
        pod("172.26.64.7", ports=[port(True, 80)]),
        pod("172.26.64.7", ports=[port(80, 80, "sctp")]),
        pod("172.26.64.7", ports=[port(80, 80, address="{ }")]),
        pod("172.26.64.7", ports=[port(80, 80, address=":: }")]),
        six("172.26.64.7", address6="fd4b::ac1a:4008"),
        six("172.26.64.7", address6="fd4b::ac1a:4007 }"),
        six("172.26.64.7", range6="fd4b::/64; drop"),
        six("172.26.64.7", range6="fe80::/64", address6="fe80::ac1a:4007"),
        six("172.26.64.7", range6="::/16", address6="::ac1a:4007"),
        six("172.26.64.7", range6="fd4b::/97"),
        pod("172.26.64.7", address6="fd4b::ac1a:4007"),
    ]
    pods = {str(number): each for number, each in enumerate(bad)}
    assert rules.sound(pods) == {}
    good = {**pods, "good": pod("172.26.64.9", 'x"; flush ruleset', reach=["}"])}
    assert rules.sound(good) == {"good": good["good"]}
    text = rules.ruleset(rules.sound(good), uplinks=['eth0"', "eth1; drop", "wlan0"])
    assert "flush" not in text
    assert 'oifname { "wlan0" }' in text


def test_what_is_neither_from_a_pod_nor_to_one_stays_where_the_robot_forwards_for_pods_alone() -> None:
    pods = {"a": six("172.26.64.7")}
    links = ["br0", "eth0", 'wg0"; accept', "wlan0"]
    found = chains(rules.ruleset(pods, links, apart=(["ip6"], ["br0"], ["wlan0", "x y"])))
    assert found["between"][-1] == "ip6 daddr != ff00::/8 goto apart"
    assert not [rule for rule in found["between"] if "224.0.0.0" in rule], "of IPv4 it did so before"
    assert found["apart"][:4] == [
        'iifname { "wlan0" } accept',
        'oifname { "wlan0" } accept',
        'iifname "br0" oifname "br0" accept',
        'iifname { "br0", "eth0", "wlan0" } goto beyond',
    ]
    # A link that comes later is closed already.
    assert 'iifname "en*" goto beyond' in found["apart"]
    assert [rule.replace("oifname", "iifname").replace(" drop", " goto beyond") for rule in found["beyond"]] == found["apart"][3:]
    both = rules.ruleset(pods, links, apart=(["ip", "ip6"], [], []))
    assert chains(both)["between"][-2:] == ["ip daddr != 224.0.0.0/4 goto apart", "ip6 daddr != ff00::/8 goto apart"]
    assert "apart" not in rules.ruleset(pods, links)


def test_of_a_robot_that_forwards_for_others_after_its_last_pod_this_alone_remains() -> None:
    found = chains(rules.remains(["eth0"], (["ip"], [], [])))
    assert sorted(found) == ["apart", "between", "beyond"]
    assert found["between"][1:] == ["ip daddr != 224.0.0.0/4 goto apart"]


def test_networks_within_others_are_not_told_twice() -> None:
    pods = {"a": pod("10.0.1.7", range="10.0.1.0/24"), "b": pod("10.0.2.7", range="10.0.0.0/16"), "c": pod("172.26.64.7")}
    text = rules.ruleset(pods)
    assert "{ 10.0.0.0/16, 172.26.64.0/20 }" in text
    assert "10.0.1.0/24, " not in text
    assert [rule[:2] for rule in rules.routing(pods)] == [
        (pref, network) for network in ("10.0.0.0/16", "172.26.64.0/20") for pref in (1464, 1465, 1466)
    ]


def test_what_is_not_marked_finds_no_route_to_a_pod() -> None:
    assert rules.routing({"a": pod("172.26.64.7")}) == [
        (1464, RANGE, "iif lo", "lookup main"),
        (1465, RANGE, "fwmark 0x8000000/0x8000000", "lookup main"),
        (1466, RANGE, "", "prohibit"),
    ]


def run(line: str, packet: bytes) -> int:
    """The kernel's classic instructions, by bpf(4), for those that there are here."""
    text = line.partition('bytecode "')[2].partition('"')[0]
    _count, *program = [tuple(map(int, each.split())) for each in text.split(",")]
    place, accumulator = 0, 0
    while True:
        code, so, not_so, value = program[place]
        place += 1
        if code == 0x06:
            return value
        if code in (0x15, 0x25, 0x35):
            holds = {0x15: accumulator == value, 0x25: accumulator > value, 0x35: accumulator >= value}[code]
            place += so if holds else not_so
        elif value == 0xFFFFF030:
            accumulator = 0
        else:
            size = {0x30: 1, 0x28: 2, 0x20: 4}[code]
            # What is not there ends it.
            if len(packet) < value + size:
                return 0
            accumulator = int.from_bytes(packet[value : value + size], "big")


def ip(source: str, destination: str, kind: str = "0800") -> bytes:
    addresses = b"".join(files.number(each).to_bytes(4, "big") for each in (source, destination))
    return bytes(12) + bytes.fromhex(kind) + bytes(12) + addresses


def arp(ethernet: str, inner: str, address: str) -> bytes:
    mac, said = (bytes.fromhex(guard.hardware(each).replace(":", "")) for each in (ethernet, inner))
    return bytes(6) + mac + bytes.fromhex("08060001080006040001") + said + files.number(address).to_bytes(4, "big")


OWN, OTHER, ROBOT = "172.26.64.7", "172.26.64.8", "172.26.64.1"


@pytest.mark.parametrize(
    ("packet", "passes"),
    [
        (ip(OWN, "192.0.2.1"), True),
        (ip(OTHER, "192.0.2.1"), False),
        (ip(ROBOT, "192.0.2.1"), False),
        (ip(OWN, "127.0.0.1"), False),
        (ip(OWN, "192.0.2.1", "86dd"), False),
        (b"", False),
    ],
)
def test_a_link_lets_packets_of_its_pod_alone_through(packet: bytes, passes: bool) -> None:
    assert bool(run(guard.at_pod("k8s4r1", OWN)[1], packet)) == passes


@pytest.mark.parametrize(
    ("packet", "passes"),
    [(arp(OWN, OWN, OWN), True), (arp(OWN, OWN, OTHER), False), (arp(OTHER, OWN, OWN), False), (arp(OWN, OTHER, OWN), False)],
)
def test_a_link_lets_questions_of_its_pod_alone_through(packet: bytes, passes: bool) -> None:
    found = run(guard.at_pod("k8s4r1", OWN)[2], packet)
    assert found == (guard.PASS if passes else guard.DROP)


def test_an_ip_packet_is_no_question() -> None:
    assert run(guard.at_pod("k8s4r1", OWN)[2], ip(OTHER, "192.0.2.1") + bytes(20)) == guard.DROP


@pytest.mark.parametrize(
    ("packet", "passes"),
    [
        (ip(OWN, ROBOT), True),
        (ip(OWN, "127.0.0.1"), False),
        (ip("127.0.0.1", ROBOT), False),
        (ip(OWN, "127.0.0.1", "0806"), True),
    ],
)
def test_the_bridge_lets_nothing_in_for_the_loopback(packet: bytes, passes: bool) -> None:
    assert run(guard.at_bridge()[1], packet) == (guard.PASS if passes else guard.DROP)


def test_pods_of_other_robots_come_from_where_a_route_leads_to_them_and_go_there_as_themselves() -> None:
    pods = {
        "a": pod("172.26.64.7", elsewhere={"default/fleet/api": ["10.2.0.9", "10.3.0.9"], "default/fleet/web": ["10.2.0.8"]}),
        "b": pod("172.26.64.8", elsewhere={"default/fleet/api": ["10.3.0.9"]}),
    }
    across = [(files.number("10.2.0.0"), 20)]
    found = chains(rules.ruleset(pods, across=across))
    others = 'iifname != { "lo", "k8s4r0" }'
    assert found["entrance"][-1] == f"{others} ip saddr {{ 10.2.0.0/20 }} fib saddr . iif oif missing drop"
    assert found["walls"][-1] == f"{others} ip daddr vmap {{ 172.26.64.7 : goto across_1 }}"
    # Nobody knows the way to 10.3.0.9: so it could be anybody.
    assert found["across_1"] == ["ip saddr { 10.2.0.8, 10.2.0.9 } goto allow"]
    assert found["leaves"][-1] == 'oifname != "k8s4r0" ip saddr { 172.26.64.0/20 } ip daddr != { 10.2.0.0/20 } masquerade'
    assert rules.routing(pods, across)[-1] == (1467, "10.2.0.0/20", "", "lookup 1464")
    assert "across" not in rules.ruleset(pods)
    assert "10.2.0.0" not in rules.ruleset(pods)


def test_pods_of_other_robots_come_by_ipv6_as_they_do_by_ipv4() -> None:
    elsewhere = {"default/fleet/api": ["fd00:2::a02:9", "fd00:3::a03:9"]}
    pods = {"a": six("172.26.64.7", elsewhere={"default/fleet/api": ["10.2.0.9"]}, elsewhere6=elsewhere)}
    across, across_six = [(files.number("10.2.0.0"), 20)], [family.network("fd00:2::/64")]
    found = chains(rules.ruleset(pods, across=across, across_six=across_six))
    others = 'iifname != { "lo", "k8s4r0" }'
    assert found["entrance"][-1] == f"{others} ip6 saddr {{ fd00:2::/64 }} fib saddr . iif oif missing drop"
    assert f"{others} ip6 daddr vmap {{ fd4b::ac1a:4007 : goto across6_1 }}" in found["walls"]
    assert found["across6_1"] == ["ip6 saddr { fd00:2::a02:9 } goto allow"]
    assert found["across_1"] == ["ip saddr { 10.2.0.9 } goto allow"]
    assert found["leaves"][-1] == 'oifname != "k8s4r0" ip6 saddr { fd4b::/64 } ip6 daddr != { fd00:2::/64 } masquerade'
    assert rules.routing(pods, across_six, family.SIX)[-1] == (1467, "fd00:2::/64", "", "lookup 1464")
    assert "across6" not in rules.ruleset(pods, across=across)


@pytest.mark.parametrize("elsewhere", [{"default/fleet/api": ["fd00:2::9 } drop"]}, {"default/fleet/api": ["10.2.0.9"]}, [], {"a": "b"}])
def test_a_pod_with_an_odd_ipv6_address_of_another_gets_no_network(elsewhere: t.Any) -> None:
    assert rules.sound({"a": six("172.26.64.7", elsewhere6=elsewhere)}) == {}


@pytest.mark.parametrize("elsewhere", [{"default/fleet/api": ["10.2.0.9; drop"]}, {"default/fleet/api": [7]}, []])
def test_a_pod_with_an_odd_address_of_another_gets_no_network(elsewhere: t.Any) -> None:
    assert rules.sound({"a": pod("172.26.64.7", elsewhere=elsewhere)}) == {}


def test_the_walls_of_ipv6_are_those_of_ipv4() -> None:
    """The same text, once the addresses are those of IPv4."""
    pods = {
        "a": six("172.26.64.7", reach=["default/fleet/api"], ports=[port(80, 8080, address="::"), port(81, 9, "udp", "::")]),
        "b": six("172.26.64.8", "default/fleet/api"),
        "c": six("172.26.64.9", "default/lamp/lamp"),
    }
    found = chains(rules.ruleset(pods))
    four = chains(rules.ruleset(family.without_six(pods)))
    turned = [("ip6 ", "ip "), ("fd4b::/64", RANGE), ("from6_", "from_"), ("[fd4b::1]", "172.26.64.1"), ("fd4b::1 ", "172.26.64.1 ")]
    turned += [("fd4b__ac1a_400", "172_26_64_"), ("[fd4b::ac1a:4007]", "172.26.64.7"), ("fd4b::ac1a:400", "172.26.64.")]

    def as_four(text: str) -> str:
        for one, other in turned:
            text = text.replace(one, other)
        return text.replace("snat ip to fd4b::1", "snat ip to 172.26.64.1")

    for name, own in four.items():
        of_six = [as_four(rule) for rule in found.get(name.replace("from_", "from6_"), []) if "ip6" in rule or "fd4b" in rule]
        of_four = [rule for rule in own if "ip " in rule and "127.0.0" not in rule]
        assert {rule for rule in of_six if "return" not in rule} == set(of_four), name
    for name in found.keys() - four.keys():
        assert [as_four(rule) for rule in found[name]] == four[as_four(name)], name
    assert found["publish"][0] == "ip6 daddr { ::1, fe80::/10 } return"
    here = 'iifname "k8s4r0"'
    assert f"{here} meta nfproto ipv6 drop" in four["entrance"]
    assert found["entrance"][1:3] == [
        f"{here} icmpv6 type {{ nd-router-solicit, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert, nd-redirect }} drop",
        f"{here} exthdr rt exists drop",
    ]
    assert 'oifname "k8s4r0" icmpv6 type nd-redirect drop' in found["redirects"]
    assert [(pref, does) for pref, _to, _asked, does in rules.routing(pods, of=family.SIX)] == [
        (pref, does) for pref, _to, _asked, does in rules.routing(pods)
    ]
    assert {to for _pref, to, _asked, _does in rules.routing(pods, of=family.SIX)} == {"fd4b::/64"}


def test_a_pod_without_ipv6_beside_one_with_it_gets_none_through() -> None:
    pods = {"a": six("172.26.64.7"), "b": pod("172.26.64.8", ports=[port(80, 80, address="::")])}
    text = rules.ruleset(pods)
    assert 'iifname "k8s4r0" ip6 saddr != { fd4b::ac1a:4007 } drop' in text
    assert "ac1a:4008" not in text
    assert "dnat" not in text
    assert rules.routing({"b": pods["b"]}, of=family.SIX) == []


OWN_SIX = "fd4b::ac1a:4007"


def ip6(source: str, destination: str, header: int = 17, kind: int = 0, ethernet: str = "86dd") -> bytes:
    addresses = b"".join(family.number(each).to_bytes(16, "big") for each in (source, destination))
    return bytes(12) + bytes.fromhex(ethernet) + bytes([0x60, 0, 0, 0, 0, 8, header, 64]) + addresses + bytes([kind]) + bytes(7)


@pytest.mark.parametrize(
    ("packet", "passes"),
    [
        (ip(OWN, "192.0.2.1"), True),
        (ip(OTHER, "192.0.2.1"), False),
        (ip(OWN, "127.0.0.1"), False),
        (ip6(OWN_SIX, "2001:db8::1"), True),
        (ip6(OWN_SIX, "fd4b::1", 6), True),
        (ip6(OWN_SIX, "64:ff9b::192.0.2.1", 44), True),
        # An echo, and what routers say of a packet that is too big.
        (ip6(OWN_SIX, "2001:db8::1", 58, 128), True),
        (ip6(OWN_SIX, "2001:db8::1", 58, 2), True),
        *((ip6(OWN_SIX, "fd4b::1", 58, kind), False) for kind in range(133, 138)),
        (ip6(OWN_SIX, "fd4b::1", 58, 138), True),
        *((ip6(OWN_SIX, "fd4b::1", header), False) for header in (0, 43, 60)),
        *((ip6(OWN_SIX, to), False) for to in ("::1", "::", "::ffff:127.0.0.1", "::7f00:1", "fe80::1", "ff02::1", "ff05::2")),
        *((ip6(source, "fd4b::1"), False) for source in ("fd4b::ac1a:4008", "fd4b::1", "fe80::1", "::", "::1", "1d4b::ac1a:4007")),
        (ip6(OWN_SIX, "2001:db8::1", ethernet="0800"), False),
        (ip6(OWN_SIX, "2001:db8::1", 58, 128)[:54], False),
        (b"", False),
    ],
)
def test_a_link_lets_packets_of_both_addresses_of_its_pod_alone_through(packet: bytes, passes: bool) -> None:
    assert bool(run(guard.at_pod("k8s4r1", OWN, OWN_SIX)[1], packet)) == passes


def test_a_link_without_ipv6_lets_none_through() -> None:
    assert not run(guard.at_pod("k8s4r1", OWN)[1], ip6(OWN_SIX, "2001:db8::1"))
    assert run(guard.at_pod("k8s4r1", OWN, OWN_SIX)[2], ip6(OWN_SIX, "2001:db8::1", 58, 135)) == guard.DROP
