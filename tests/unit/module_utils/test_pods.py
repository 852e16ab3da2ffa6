# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the robot knows of its pods."""

from __future__ import annotations

import json
import pathlib
import sys
import typing as t

import pytest

from ansible_collections.k8s4r.robot.plugins.module_utils._engine.pods import addresses, files, names
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
    ["", "{", "[]", {**POD, "address": None}, {**POD, "ports": [{"port": 1}]}, {**POD, "reach": 1}, {k: POD[k] for k in POD if k != "dns"}],
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
    ],
)
def test_name_servers_are_those_that_a_pod_reaches(robots: str, real: list[str], dns: dict[str, list[str]], expected: str) -> None:
    pod: t.Any = {**POD, "dns": {"servers": [], "searches": [], **dns}}
    assert names.resolution(pod, robots, real) == expected


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
        "set k8s4r_pod_cidr of this robot to a network that nobody uses, such as 10.213.64.0/20"
    )
    assert len(met("172.26.79.255", "255.255.255.255")) == 1
    assert met("172.26.80.0", "255.255.240.0") == met("0.0.0.0", "0.0.0.0") == met("172.26.64.0", "255.255.240.0", "k8s4r0") == []
