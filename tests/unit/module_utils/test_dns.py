# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the robot's own DNS server is told."""

from __future__ import annotations

import json
import pathlib
import socket
import types
import typing as t

import pytest

from ansible_collections.k8s4r.robot.plugins.module_utils._engine import plan
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.dns import records, units
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.judge import verify
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.pods import names

POD: dict[str, t.Any] = {
    "name": "fleet-web-0a1b2c3d-r0",
    "group": "default/fleet/web",
    "address": "172.26.64.7",
    "range": "172.26.64.0/20",
    "reach": [],
    "ports": [],
    "hosts": {},
    "dns": {"servers": [], "searches": [], "domain": "k8s4r.internal"},
}
WITHOUT: dict[str, t.Any] = {**POD, "name": "other-r0", "address": "172.26.64.8", "dns": {"servers": [], "searches": []}}
SERVICE: dict[str, t.Any] = {
    "version": plan.KEPT_VERSION,
    "domain": "k8s4r.internal",
    "name": "http.api.shop.svc",
    "port": 7000,
    "loopback": False,
    "endpoints": [{"address": "192.0.2.2"}, {"address": "2001:db8::2"}],
}


def described(directory: pathlib.Path, pods: dict[str, t.Any], services: dict[str, t.Any]) -> t.Any:
    for room, contents in (("pods", pods), ("names", services)):
        (directory / room).mkdir(parents=True)
        for name, content in contents.items():
            (directory / room / name).write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return records.described(str(directory / "pods"), str(directory / "names"))


def test_pods_and_services_have_names_and_services_ports(tmp_path: pathlib.Path) -> None:
    moved = {**SERVICE, "endpoints": [{"address": "192.0.2.3"}, {"address": "192.0.2.2"}]}
    known = described(tmp_path, {"a": POD, "b": WITHOUT}, {"front.s": SERVICE, "shop.s": moved, ".t": {**SERVICE, "port": 1}})
    full = "http.api.shop.svc.k8s4r.internal"
    assert records.hosts(known).splitlines() == [
        "172.26.64.7 fleet-web-0a1b2c3d-r0.pod.k8s4r.internal",
        *(f"{address} {full}" for address in ("192.0.2.2", "2001:db8::2", "192.0.2.3")),
    ]
    lines = records.configuration(known, records.listens(known)).splitlines()
    assert [line for line in lines if line.startswith("srv-host")] == [f"srv-host={full},{full},7000"]
    assert [line for line in lines if line.startswith("listen")] == ["listen-address=172.26.64.1"]
    assert {"local=/pod.k8s4r.internal/", "local=/svc.k8s4r.internal/", "no-hosts", "bind-dynamic"} < set(lines)


def test_nobody_else_is_asked_for_a_pod_or_a_service_whatever_there_is_of_either(tmp_path: pathlib.Path) -> None:
    own = ["local=/pod.k8s4r.internal/", "local=/svc.k8s4r.internal/"]
    for place, (pods, services) in enumerate([({"a": POD}, {}), ({}, {"s": {**SERVICE, "loopback": True}})]):
        lines = records.configuration(described(tmp_path / str(place), pods, services), []).splitlines()
        assert [line for line in lines if line.startswith("local=")] == own


def test_a_pod_with_ipv6_is_answered_for_with_both_addresses(tmp_path: pathlib.Path) -> None:
    pod = {**POD, "address6": "fd4b:9a12:7c30::ac1a:4007", "range6": "fd4b:9a12:7c30::/64"}
    damaged = {**pod, "address6": "fd00::1 a"}
    known = described(tmp_path, {"a": pod, "b": damaged}, {})
    name = "fleet-web-0a1b2c3d-r0.pod.k8s4r.internal"
    assert records.hosts(known) == f"172.26.64.7 {name}\nfd4b:9a12:7c30::ac1a:4007 {name}\n"
    assert records.listens(known) == ["172.26.64.1"]


def test_pods_of_other_robots_have_names_as_the_robots_own_pods_of_their_group_know_them(tmp_path: pathlib.Path) -> None:
    def pod(name: str, group: str, **others: t.Any) -> dict[str, t.Any]:
        return {**POD, "name": name, "group": group, "address": f"172.26.64.{len(name)}", "dns": {**POD["dns"], "pods": others}}

    far = {"api-r1": ["172.26.80.7"], "web-r0": ["172.26.80.8"]}
    web = pod(
        "web-r0", "web", web={"web-r1": ["172.26.80.9"]}, api={"api-r1": ["172.26.96.7"]}, all={"all-r0": ["172.26.80.5", "172.26.96.5"]}
    )
    known = described(tmp_path / "1", {"a": web, "b": pod("lamp", "lamp", web=far)}, {})
    assert [line.replace(".pod.k8s4r.internal", "") for line in records.hosts(known).splitlines()] == [
        *("172.26.64.6 web-r0", "172.26.64.4 lamp", "172.26.80.5 all-r0", "172.26.96.5 all-r0", "172.26.96.7 api-r1", "172.26.80.9 web-r1")
    ]
    # Its own address is not another's, whatever a file has of its group.
    gone = described(tmp_path / "2", {"a": pod("web-r0", "web"), "b": pod("lamp", "lamp", web=far)}, {})
    assert "172.26.80" not in records.hosts(gone)


@pytest.mark.parametrize("others", [[], {"g": []}, {"g": {"a b": []}}, {"g": {"a": ["172.26.80.7 b"]}}, {"g": {"a": [7]}}, {"g": {"a": 7}}])
def test_a_pod_whose_file_has_odd_names_of_others_has_none_and_keeps_no_other_from_its_name(tmp_path: pathlib.Path, others: t.Any) -> None:
    odd = {**POD, "name": "odd-r0", "dns": {**POD["dns"], "pods": others}}
    assert list(described(tmp_path, {"a": odd, "b": POD}, {})["pods"]) == ["b"]


def test_there_is_a_server_where_somebody_is_answered(tmp_path: pathlib.Path) -> None:
    assert records.listens(described(tmp_path / "1", {"b": WITHOUT}, {"s": SERVICE})) == []
    assert records.listens(described(tmp_path / "2", {}, {"s": {**SERVICE, "loopback": True}})) == ["127.0.0.153"]
    assert records.listens(described(tmp_path / "3", {"a": POD}, {"s": {**SERVICE, "loopback": True}})) == ["172.26.64.1", "127.0.0.153"]
    asked = {**POD, "dns": {**POD["dns"], "loopback": True}}
    assert records.listens(described(tmp_path / "4", {"a": asked}, {})) == ["172.26.64.1", "127.0.0.153"]
    assert records.described(str(tmp_path / "none"), str(tmp_path / "none")) == {"pods": {}, "services": {}}


@pytest.mark.parametrize(
    "damaged",
    [
        *("", "{", "[]", "null", {}, {**SERVICE, "port": "7000"}, {**SERVICE, "port": 0}, {**SERVICE, "loopback": None}),
        {**SERVICE, "name": "a\naddress=/#/192.0.2.66"},
        {**SERVICE, "domain": "a/b"},
        {**SERVICE, "endpoints": [{"address": "192.0.2.2 a"}]},
        {**SERVICE, "endpoints": [{}]},
        {**SERVICE, "version": plan.KEPT_VERSION + 1},
    ],
)
def test_a_damaged_file_keeps_no_other_from_its_name_and_says_nothing_else(tmp_path: pathlib.Path, damaged: t.Any) -> None:
    assert list(described(tmp_path, {}, {"a": damaged, "b": SERVICE})["services"]) == ["b"]


def test_what_is_new_is_known_before_it_starts_and_what_changes_after_that(tmp_path: pathlib.Path) -> None:
    now = described(tmp_path, {"a": POD}, {"front.s": SERVICE})
    moved = {**SERVICE, "endpoints": [{"address": "192.0.2.9"}]}
    other = {**SERVICE, "name": "http.web.shop.svc"}
    new = {**POD, "name": "new-r0", "address": "172.26.64.9"}
    files = {
        f"{plan.PODS}/a": {**POD, "address": "172.26.64.10"},
        f"{plan.PODS}/c": new,
        f"{plan.NAMES}/front.s": moved,
        f"{plan.NAMES}/shop.s": moved,
        f"{plan.NAMES}/shop.t": other,
    }
    resources: t.Any = [{"kind": "file", "path": path, "digest": path} for path in files]
    coming = records.coming(resources, lambda digest: json.dumps(files[digest]).encode())
    assert records.together(now, coming) == {"pods": {"a": POD, "c": new}, "services": {"front.s": SERVICE, "shop.t": other}}


def test_a_server_is_told_once_what_it_must_read_also_by_the_next_switch_after_one_that_was_killed(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its files are there by then, as they should be; whether it has read them is another matter."""
    asked: list[str] = []

    def ask(argv: list[str], **_options: object) -> tuple[int, str]:
        asked.append(argv[1])
        return 0, ""

    def killed(_argv: list[str], **_options: object) -> tuple[int, str]:
        raise KeyboardInterrupt

    for name in ("DIRECTORY", "HOSTS", "CONFIGURATION"):
        monkeypatch.setattr(records, name, str(tmp_path / name.lower()) if name == "DIRECTORY" else str(tmp_path / "directory" / name))
    monkeypatch.setattr(units, "_READ", str(tmp_path / "read"))
    monkeypatch.setattr(units.own, "put", lambda _texts, _enabled, runs: not runs)

    def have(*endpoints: str, port: int = 7000, by: t.Any = ask) -> None:
        service: t.Any = {**SERVICE, "port": port, "endpoints": [{"address": each} for each in endpoints]}
        monkeypatch.setattr(units.systemd, "ask", by)
        assert units._have({"pods": {}, "services": {"s": service}}, []) == ""

    have("192.0.2.2")
    have("192.0.2.2")
    have("192.0.2.3")
    have("192.0.2.3", port=7001)
    assert asked == ["restart", "start", "reload-or-restart", "restart"]
    with pytest.raises(KeyboardInterrupt):
        have("192.0.2.4", port=7001, by=killed)
    have("192.0.2.4", port=7001)
    with pytest.raises(KeyboardInterrupt):
        have("192.0.2.4", port=7002, by=killed)
    have("192.0.2.4", port=7002)
    have("192.0.2.4", port=7002)
    assert asked[4:] == ["reload-or-restart", "restart", "start"]


def test_pods_that_get_another_range_are_answered_there_before_they_start(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And those that run are, where they are now."""
    now = described(tmp_path, {"a": POD}, {})
    coming: t.Any = {"pods": {"a": {**POD, "address": "10.9.0.7", "range": "10.9.0.0/20"}}, "services": {}}
    had = []
    monkeypatch.setattr(records, "described", lambda: now)
    monkeypatch.setattr(records, "coming", lambda _resources, _read: coming)
    monkeypatch.setattr(units, "_have", lambda known, listens: had.append((records.hosts(known), listens)) or "")
    robot: t.Any = types.SimpleNamespace(store=types.SimpleNamespace(read=None))
    units.ensure(robot, [])
    assert had == [(records.hosts(now), ["10.9.0.1", "172.26.64.1"])]
    # In whichever order: each other text restarts the server.
    assert records.configuration(now, had[0][1]) == records.configuration(now, had[0][1][::-1])


def test_a_pod_asks_its_robot_unless_its_job_says_otherwise() -> None:
    pod: t.Any = POD
    assert names.resolution(pod, "nameserver 192.0.2.53\nsearch lan\n") == "nameserver 172.26.64.1\nsearch lan\n"
    own: t.Any = {**POD, "dns": {**POD["dns"], "servers": ["192.0.2.54"]}}
    assert names.resolution(own, "nameserver 192.0.2.53\n") == "nameserver 192.0.2.54\n"


def test_port_53_must_be_free() -> None:
    """One test for both protocols: at the same time, each would be in the other's way."""
    group: t.Any = {"name": "a/b/c", "resources": [], "programs": [], "expects": [plan.expected("names", plan.LOOPBACK_DNS, "k8s4r_dns")]}
    for kind, said in ((socket.SOCK_STREAM, ""), (socket.SOCK_DGRAM, "UDP ")):
        assert verify.lacking([group]) == []
        with socket.socket(socket.AF_INET, kind) as other:
            other.bind((plan.LOOPBACK_DNS, 53))
            if kind == socket.SOCK_STREAM:
                other.listen()
            (found,) = verify.lacking([group])
        assert found.startswith(f"k8s4r_dns: {said}port 53 on 127.0.0.153 is taken by ")
        assert found.endswith("; make it listen on other addresses only, or remove k8s4r_dns from this robot")
