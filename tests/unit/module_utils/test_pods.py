# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the robot knows of its pods."""

from __future__ import annotations

import json
import os
import pathlib
import sys
import typing as t

import pytest

from ansible_collections.k8s4r.robot.plugins.module_utils._engine import plan
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.pods import addresses, files, names, trial
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.pods.across import links
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.pods.kernel import forwarding, settings
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.pods.six import family
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.state import formats

POD: dict[str, t.Any] = {
    "name": "fleet-web-0a1b2c3d-r0",
    "group": "default/fleet/web",
    "address": "172.26.64.7",
    "range": "172.26.64.0/20",
    "reach": ["default/fleet/api"],
    "ports": [{"address": "0.0.0.0", "port": 20345, "to": 8080, "protocol": "tcp"}],
    "hosts": {"db": "10.0.0.9"},
    "dns": {"servers": [], "searches": []},
}
SIX: dict[str, t.Any] = {"address6": "fd4b:9a12:7c30::ac1a:4007", "range6": "fd4b:9a12:7c30::/64"}


def put(directory: pathlib.Path, name: str, content: object) -> None:
    (directory / name).write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")


def test_pods_are_known_by_their_files(tmp_path: pathlib.Path) -> None:
    put(tmp_path, "b", POD)
    put(tmp_path, "a", POD)
    put(tmp_path, ".c", POD)
    assert files.described(str(tmp_path)) == {"a": POD, "b": POD}
    assert list(files.described(str(tmp_path))) == ["a", "b"]
    assert files.one("a", str(tmp_path)) == POD
    assert files.one("d", str(tmp_path)) is None
    assert files.described(str(tmp_path / "none")) == {}


@pytest.mark.parametrize(
    "damaged",
    [
        "",
        "{",
        "[]",
        {**POD, "address": None},
        {**POD, "ports": [{"port": 1}]},
        {**POD, "reach": 1},
        {k: POD[k] for k in POD if k != "dns"},
        {**POD, "address6": "fd00::1"},
        {**POD, **SIX, "range6": 1},
    ],
)
def test_a_damaged_file_keeps_no_other_pod_from_its_network(tmp_path: pathlib.Path, damaged: object) -> None:
    put(tmp_path, "a", POD)
    put(tmp_path, "b", damaged)
    assert files.described(str(tmp_path)) == {"a": POD}
    assert files.one("b", str(tmp_path)) is None


def test_a_file_says_of_which_version_it_is(tmp_path: pathlib.Path) -> None:
    """The first ones did not."""
    put(tmp_path, "former", POD)
    put(tmp_path, "own", {**POD, "version": formats.VERSION})
    put(tmp_path, "newer", {**POD, "version": formats.VERSION + 1})
    assert list(files.described(str(tmp_path))) == ["former", "own"]


def test_the_robot_has_the_first_address() -> None:
    assert [files.gateway(range) for range in ("172.26.64.0/20", "10.1.255.0/24", "10.9.8.7/16")] == [
        "172.26.64.1",
        "10.1.255.1",
        "10.9.0.1",
    ]


def test_a_link_has_a_name_that_the_kernel_takes() -> None:
    assert len(files.link("a" * 90)) == 15
    assert files.link("web-r0") != files.link("web-r1")


def test_names_are_the_pods_the_robots_and_the_jobs() -> None:
    pod: t.Any = {**POD, "hosts": {"robot1": "172.26.64.1", "db": "10.0.0.9", "cell": "172.26.64.7"}}
    assert names.hosts(pod, "robot1").splitlines() == [
        "127.0.0.1 localhost",
        "::1 localhost ip6-localhost ip6-loopback",
        "172.26.64.7 fleet-web-0a1b2c3d-r0 cell",
        "172.26.64.1 robot1",
        "10.0.0.9 db",
    ]
    # By what it calls itself, too, unless the job has another one of that name.
    assert "172.26.64.1 robot1 lab-pc\n" in names.hosts(pod, "lab-pc")
    assert "db" not in names.hosts(pod, "db").splitlines()[3]


@pytest.mark.parametrize(("mbits", "sound"), [(1, True), (plan.FASTEST, True), (plan.FASTEST + 1, False), (0, False), ("8", False)])
def test_a_limit_that_the_kernel_cannot_count_is_no_pods(mbits: object, sound: bool) -> None:
    assert (files.parsed(json.dumps({**POD, "mbits": mbits})) is not None) is sound


ROBOTS = "# by hand\nnameserver 127.0.0.53\noptions edns0\nsearch lan\n"


@pytest.mark.parametrize(
    ("robots", "real", "dns", "expected"),
    [
        ("nameserver 192.0.2.53\nnameserver 127.0.0.1\n", [], {}, "nameserver 192.0.2.53\n"),
        (ROBOTS, ["", "nameserver 192.0.2.54\n"], {}, "nameserver 192.0.2.54\nsearch lan\noptions edns0\n"),
        ("nameserver fd00::53\nnameserver 192.0.2.53\n", [], {}, "nameserver 192.0.2.53\n"),
        (
            ROBOTS,
            [],
            {"servers": ["192.0.2.9"], "searches": ["a.example", "b.example"]},
            "nameserver 192.0.2.9\nsearch a.example b.example\noptions edns0\n",
        ),
        ("nameserver ::1\n", [], {}, "# k8s4r: this robot names no server that a pod can reach\n"),
        (
            "nameserver 127.0.0.11\noptions ndots:0\n",
            [],
            {},
            "# k8s4r: this robot names no server that a pod can reach\noptions ndots:0\n",
        ),
    ],
)
def test_name_servers_are_those_that_a_pod_reaches(robots: str, real: list[str], dns: dict[str, list[str]], expected: str) -> None:
    pod: t.Any = {**POD, "dns": {"servers": [], "searches": [], **dns}}
    assert names.resolution(pod, robots, real) == expected


def test_with_ipv6_both_ends_have_their_names_at_both_addresses_and_servers_of_it_are_reached() -> None:
    pod: t.Any = {**POD, **SIX, "hosts": {"robot1": "172.26.64.1", "db": "10.0.0.9", "cell": "172.26.64.7"}}
    assert names.hosts(pod, "lab-pc").splitlines()[2:] == [
        "172.26.64.7 fleet-web-0a1b2c3d-r0 cell",
        "172.26.64.1 robot1 lab-pc",
        "10.0.0.9 db",
        "fd4b:9a12:7c30::ac1a:4007 fleet-web-0a1b2c3d-r0 cell",
        "fd4b:9a12:7c30::1 robot1 lab-pc",
    ]
    servers = "".join(f"nameserver {each}\n" for each in ("fe80::1%eth0", "::1", "2001:db8::53", "192.0.2.53"))
    assert names.resolution(pod, servers) == "nameserver 2001:db8::53\nnameserver 192.0.2.53\n"


def test_files_of_names_are_written_in_place(tmp_path: pathlib.Path) -> None:
    """Units have them mounted."""
    pod: t.Any = POD
    names.write("a", pod, str(tmp_path))
    hosts = tmp_path / "a" / "hosts"
    before, inode = hosts.read_text(), hosts.stat().st_ino
    names.write("a", {**pod, "hosts": {}}, str(tmp_path))
    assert "10.0.0.9" in before
    assert "10.0.0.9" not in hosts.read_text()
    assert hosts.stat().st_ino == inode


ROUTES = "Iface Destination Gateway Flags RefCnt Use Metric Mask\n"


def test_a_network_of_pods_meets_what_the_robot_reaches_elsewhere(tmp_path: pathlib.Path) -> None:
    manifest: t.Any = {"jobs": [{"groups": [{"id": "g", "resources": [{"kind": "file", "path": "/etc/k8s4r/pods/g-r0", "digest": "d"}]}]}]}
    text = json.dumps(POD).encode()

    def met(destination: str, mask: str, device: str = "docker0") -> list[str]:
        numbers = [f"{int.from_bytes(bytes(map(int, each.split('.'))), sys.byteorder):08X}" for each in (destination, mask)]
        (tmp_path / "route").write_text(f"{ROUTES}{device} {numbers[0]} 00000000 1 0 0 0 {numbers[1]} 0 0 0\n", encoding="ascii")
        return addresses.errors(manifest, lambda _digest: text, str(tmp_path / "route"))

    (error,) = met("172.26.0.0", "255.255.0.0")
    assert error == (
        "k8s4r_pod_cidr: 172.26.64.0/20 overlaps 172.26.0.0/16, which this robot reaches through docker0; "
        "set k8s4r_pod_cidr of this robot to a network that nobody uses, no other robot's pods either"
    )
    assert len(met("172.26.79.255", "255.255.255.255")) == 1
    assert met("172.26.80.0", "255.255.240.0") == met("0.0.0.0", "0.0.0.0") == met("172.26.64.0", "255.255.240.0", "k8s4r0") == []


def test_a_network_of_ipv6_meets_what_the_robot_reaches_elsewhere(tmp_path: pathlib.Path) -> None:
    manifest: t.Any = {"jobs": [{"groups": [{"id": "g", "resources": [{"kind": "file", "path": "/etc/k8s4r/pods/g-r0", "digest": "d"}]}]}]}
    text = json.dumps({**POD, **SIX}).encode()
    (tmp_path / "route").write_text(ROUTES, encoding="ascii")

    def met(base: str, length: int, device: str = "eth0") -> list[str]:
        row = f"{base} {length:02x} {'0' * 32} 00 {'0' * 32} 00000100 00000001 00000000 00000001 {device:>8}\n"
        (tmp_path / "route6").write_text(row, encoding="ascii")
        return addresses.errors(manifest, lambda _digest: text, str(tmp_path / "route"), str(tmp_path / "route6"))

    (error,) = met("fd4b9a127c30" + "0" * 20, 48)
    assert error == (
        "k8s4r_pod_cidr6: fd4b:9a12:7c30::/64 overlaps fd4b:9a12:7c30::/48, which this robot reaches through eth0; "
        "set k8s4r_pod_cidr6 of this robot to a network that nobody uses"
    )
    assert len(met("fd4b9a127c30" + "0" * 19 + "1", 128)) == 1
    assert met("fd4b9a127c300001" + "0" * 16, 64) == met("0" * 32, 0) == met("fd4b9a127c30" + "0" * 20, 64, "k8s4r0") == []


def switches(conf: pathlib.Path, what: str) -> dict[str, str]:
    return {each.name: (each / what).read_text().strip() for each in conf.iterdir() if (each / what).exists()}


def test_a_robot_that_forwards_ipv6_for_its_pods_stays_a_host_on_its_links(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here no kernel moves all switches with one; that it hears of routers meanwhile is seen by the order."""
    conf = tmp_path / "net/ipv6/conf"
    for name, forwards, listens in (("all", 0, 1), ("default", 0, 1), ("eth0", 0, 1), ("wlan0", 0, 2), ("can0", 0, 0), ("tap0", 1, 1)):
        (conf / name).mkdir(parents=True)
        (conf / name / "forwarding").write_text(f"{forwards}\n")
        (conf / name / "accept_ra").write_text(f"{listens}\n")
    done: list[tuple[str, str]] = []
    write = settings.in_turn

    def in_turn(wanted: t.Sequence[tuple[str, str]]) -> None:
        done.extend(wanted)
        write(wanted)

    monkeypatch.setattr(settings, "SETTINGS", str(tmp_path / "net"))
    monkeypatch.setattr(settings, "in_turn", in_turn)
    monkeypatch.setattr(forwarding, "_DEVICES", str(conf))
    monkeypatch.setattr(forwarding, "FORWARDED_SIX", str(tmp_path / "forwarded"))
    before = {what: switches(conf, what) for what in ("forwarding", "accept_ra")}
    assert forwarding.begin_six() == ["ipv6/conf/all/forwarding"]
    assert forwarding.begin_six() == []
    assert {what: switches(conf, what) for what in before} == {**before, "forwarding": {**before["forwarding"], "all": "1"}}
    each = "ipv6/conf"
    assert done == [
        (f"{each}/eth0/accept_ra", "2"),
        (f"{each}/all/forwarding", "1"),
        *((f"{each}/{name}/forwarding", "0") for name in ("can0", "default", "eth0", "wlan0")),
        (f"{each}/eth0/accept_ra", "1"),
    ]
    done.clear()
    assert forwarding.end_six() == ["ipv6/conf/all/forwarding"]
    assert forwarding.end_six() == []
    assert {what: switches(conf, what) for what in before} == before
    assert done == [
        (f"{each}/eth0/accept_ra", "2"),
        (f"{each}/all/forwarding", "0"),
        (f"{each}/tap0/forwarding", "1"),
        (f"{each}/eth0/accept_ra", "1"),
    ]


def test_who_forwarded_before_goes_on(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ipv6/conf/all").mkdir(parents=True)
    (tmp_path / "ipv6/conf/all/forwarding").write_text("1\n")
    monkeypatch.setattr(settings, "SETTINGS", str(tmp_path))
    monkeypatch.setattr(forwarding, "FORWARDED_SIX", str(tmp_path / "forwarded"))
    assert forwarding.begin_six() == forwarding.end_six() == []
    assert (tmp_path / "ipv6/conf/all/forwarding").read_text() == "1\n"


def test_who_began_to_forward_is_known_as_long_as_others_need_it(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pod that is restarted beside somebody else's bridge, which came later, must not make a router of its robot."""
    for setting in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
        (tmp_path / setting).parent.mkdir(parents=True)
        (tmp_path / setting).write_text("0\n")
    (tmp_path / "devices/docker0/bridge").mkdir(parents=True)
    monkeypatch.setattr(settings, "SETTINGS", str(tmp_path))
    monkeypatch.setattr(forwarding, "_DEVICES", str(tmp_path / "devices"))
    monkeypatch.setattr(forwarding, "FORWARDED", str(tmp_path / "four"))
    monkeypatch.setattr(forwarding, "FORWARDED_SIX", str(tmp_path / "six"))
    # Before it is switched on, so that walls are there first.
    assert (forwarding.ours(six=True), forwarding.ours(six=False), forwarding.left()) == (["ip", "ip6"], ["ip"], [])
    assert [*forwarding.begin(), *forwarding.begin_six()] == ["ipv4/ip_forward", "ipv6/conf/all/forwarding"]
    forwarding.end()
    assert [(tmp_path / each).read_text().strip() for each in ("ipv4/ip_forward", "ipv6/conf/all/forwarding")] == ["1", "1"]
    assert forwarding.ours(six=False) == forwarding.left() == ["ip", "ip6"]
    (tmp_path / "devices/docker0/bridge").rmdir()
    forwarding.end()
    assert [(tmp_path / each).read_text().strip() for each in ("ipv4/ip_forward", "ipv6/conf/all/forwarding")] == ["0", "0"]
    assert forwarding.left() == []


def test_a_robot_that_forwarded_before_is_a_router_of_its_own_accord(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ipv4").mkdir()
    (tmp_path / "ipv4/ip_forward").write_text("1\n")
    monkeypatch.setattr(settings, "SETTINGS", str(tmp_path))
    monkeypatch.setattr(forwarding, "FORWARDED", str(tmp_path / "four"))
    monkeypatch.setattr(forwarding, "FORWARDED_SIX", str(tmp_path / "six"))
    assert forwarding.begin() == forwarding.ours(six=True) == forwarding.left() == []


def test_links_that_networkmanager_shares_are_known_while_it_serves_them(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = pathlib.Path("/proc/self/comm").read_text().strip()
    monkeypatch.setattr(links, "_LENT", str(tmp_path))
    monkeypatch.setattr(links, "_SERVER", own)
    (tmp_path / "nm-dnsmasq-wlan0.pid").write_text(f"{os.getpid()}\n")
    (tmp_path / "nm-dnsmasq-wlan1.pid").write_text("99999999\n")
    (tmp_path / "nm-dnsmasq-wlan2.pid").write_text("")
    (tmp_path / "nm-dnsmasq-wlan3.pid").write_text("1\n")
    assert links.lent() == ["wlan0"]


def test_bridges_with_a_device_are_links_of_the_robot(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for each in ("lo", "eth0/device", "eth0/brport", "wlan0/device", "br0/bridge", "br0/brif/eth0", "docker0/bridge", "docker0/brif/veth1"):
        (tmp_path / each).mkdir(parents=True)
    (tmp_path / "k8s4r0/bridge").mkdir(parents=True)
    monkeypatch.setattr(links, "LINKS", str(tmp_path))
    assert (links.uplinks(), links.switches()) == (["br0", "wlan0"], ["br0"])


def test_a_robot_without_ipv6_is_refused_with_a_way_out(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(family, "LISTED", str(tmp_path / "none"))
    assert trial.lacks(str(tmp_path), "ipv6") == (
        "a pod with IPv6 needs a robot with IPv6, and this robot's kernel has it turned off; make sure that it has it,"
        " or set k8s4r_pod_cidr6 of this robot to an empty text"
    )
