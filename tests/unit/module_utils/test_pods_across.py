# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pods of other robots: where this one has routes to, and what it says of those where it has none."""

from __future__ import annotations

import json
import os
import pathlib
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.k8s4r.robot.plugins.module_utils._engine import plan
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.judge import verify
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.pods.across import links, robots, routes, told
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.pods.files import network, number
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.pods.six import family

SHARED = [("eth0", number("192.0.2.1"), 24), ("wlan0", number("198.51.100.1"), 16), ("eth1", number("192.0.2.129"), 26)]


def other(name: str, whole: str, *addresses: str) -> t.Any:
    return name, network(whole), tuple(map(number, addresses))


def told_of(**others: tuple[str, ...]) -> str:
    known = {name: {"range": whole, "addresses": addresses} for name, (whole, *addresses) in others.items()}
    return json.dumps({"version": plan.KEPT_VERSION, "robots": known})


def test_a_route_leads_through_the_other_robot_on_a_link_that_both_are_on() -> None:
    found, without = routes.chosen(
        [
            other("a", "10.1.0.0/20", "203.0.113.9", "192.0.2.7"),
            # On two networks at once: as the kernel, by the narrower one.
            other("b", "10.2.0.0/20", "192.0.2.130"),
            other("c", "10.3.0.0/20", "203.0.113.9", "203.0.113.10"),
            other("d", "10.4.0.0/20", "198.51.7.7"),
            other("e", "10.5.0.0/20", "192.0.2.8"),
            other("itself", "10.6.0.0/20", "192.0.2.1"),
        ],
        SHARED,
        [("docker0", number("10.5.8.0"), number("10.5.8.255")), ("k8s4r0", number("10.4.0.0"), number("10.4.15.255"))],
    )
    assert found == [
        (network("10.1.0.0/20"), number("192.0.2.7"), "eth0"),
        (network("10.2.0.0/20"), number("192.0.2.130"), "eth1"),
        (network("10.4.0.0/20"), number("198.51.7.7"), "wlan0"),
    ]
    assert without == {
        "c": "shares no link with c (203.0.113.9, 203.0.113.10)",
        "e": "reaches 10.5.0.0/20, the pods of e, through docker0 already",
    }


def test_what_is_in_the_table_is_changed_to_what_there_should_be() -> None:
    wanted = routes.words([(network("10.1.0.0/20"), number("192.0.2.7"), "eth0")])
    last = "metric 4278198272"
    more = "table 1464 protocol kernel"
    new = [f"route replace 10.1.0.0/20 via 192.0.2.7 dev eth0 {more}", f"route replace unreachable 10.1.0.0/20 {last} {more}"]
    assert routes.changes(wanted, []) == new
    assert routes.changes(wanted, wanted) == []
    moved = [("10.1.0.0/20", "via 192.0.2.8 dev eth0"), wanted[1]]
    assert routes.changes(wanted, moved) == new[:1]
    gone = ["route del 10.1.0.0/20 via 192.0.2.7 dev eth0 table 1464", f"route del unreachable 10.1.0.0/20 {last} table 1464"]
    assert routes.changes([], wanted) == gone


def test_a_robot_whose_range_has_changed_has_pods_in_both(tmp_path: pathlib.Path) -> None:
    """Those of a job that was not deployed since then are where they were, and the robot is where it is now."""
    for age, (name, text) in enumerate(
        {"newer": told_of(a=("10.9.0.0/20", "192.0.2.70")), "older": told_of(a=("10.1.0.0/20", "192.0.2.7"))}.items()
    ):
        (tmp_path / name).write_text(text)
        os.utime(tmp_path / name, (99 - age, 99 - age))
    assert robots.described(directory=str(tmp_path)) == [
        other("a", "10.9.0.0/20", "192.0.2.70"),
        other("a", "10.1.0.0/20", "192.0.2.70"),
    ]


def test_of_two_files_the_newer_one_is_right(tmp_path: pathlib.Path) -> None:
    files = {
        "older": told_of(a=("10.1.0.0/20", "192.0.2.7"), b=("10.2.0.0/20", "192.0.2.8"), c=("10.3.0.0/20", "192.0.2.9")),
        "newer": told_of(a=("10.1.0.0/20", "192.0.2.70"), d=("10.2.8.0/24", "192.0.2.10")),
        "damaged": "{",
        "odd": json.dumps({"version": plan.KEPT_VERSION, "robots": {"a": {"range": "10.1.0.0/20", "addresses": [1]}}}),
        "of tomorrow": json.dumps({"version": plan.KEPT_VERSION + 1, "robots": {}}),
        ".on-its-way": told_of(e=("10.9.0.0/20", "192.0.2.9")),
    }
    for age, (name, text) in enumerate(reversed(files.items())):
        (tmp_path / name).write_text(text)
        os.utime(tmp_path / name, (9 - age, 9 - age) if name != "newer" else (99, 99))
    assert robots.described(directory=str(tmp_path)) == [
        other("a", "10.1.0.0/20", "192.0.2.70"),
        other("d", "10.2.8.0/24", "192.0.2.10"),
        other("c", "10.3.0.0/20", "192.0.2.9"),
    ]
    assert robots.described(directory=str(tmp_path / "none")) == []


NETWORKS = st.builds(lambda base, length: (base >> 32 - length << 32 - length, length), st.integers(0, 2**16 - 1), st.integers(17, 30))


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), NETWORKS, st.just((1,)))))
def test_of_two_robots_the_first_with_an_address_has_it(others: list[t.Any]) -> None:
    wanted: list[t.Any] = []
    for name, whole, addresses in others:
        if not any(family.FOUR.overlap(whole, had[1]) for had in wanted):
            wanted.append((name, whole, next((had[2] for had in wanted if had[0] == name), addresses)))
    found: list[t.Any] = []
    robots.add(found, others[: len(others) // 2])
    robots.add(found, others[len(others) // 2 :])
    assert found == wanted


@pytest.fixture
def on_a_link(monkeypatch: pytest.MonkeyPatch) -> None:
    of_six = [("eth0", family.number("2001:db8::1"), 64)]
    monkeypatch.setattr(links, "shared", lambda of: SHARED if of is family.FOUR else of_six)
    monkeypatch.setattr(links, "leading", lambda _of: [])


@pytest.mark.usefixtures("on_a_link")
def test_who_may_talk_and_cannot_is_told_with_the_reason() -> None:
    pod = {
        "name": "web-r0", "group": "default/a/web", "address": "10.1.0.7", "range": "10.1.0.0/20", "reach": [], "ports": [], "hosts": {},
        "dns": {}, "elsewhere": {"default/a/api": ["10.2.0.9", "10.3.0.9"], "default/a/web": ["10.3.0.10"]},
    }  # fmt: skip
    known = told_of(
        r1=("10.1.0.0/20", "203.0.113.1"), r2=("10.2.0.0/20", "192.0.2.7"), r3=("10.3.0.0/20", "203.0.113.9"), r4=("10.4.0.0/20",)
    )
    contents = {"pod": json.dumps(pod).encode(), "routes": known.encode()}
    places = {"pod": "/etc/k8s4r/pods/web-r0", "routes": "/etc/k8s4r/routes/web"}
    resources = [{"kind": "file", "path": path, "digest": digest} for digest, path in places.items()]
    manifest: t.Any = {"jobs": [{"groups": [{"id": "web", "name": "default/a/web", "resources": resources}]}]}
    (text,) = told.unreached(manifest, contents.__getitem__)
    assert text == (
        "this robot shares no link with r3 (203.0.113.9): its pods and the pods of default/a/api, default/a/web there cannot reach each "
        "other"
    )


@pytest.mark.usefixtures("on_a_link")
def test_who_may_talk_over_ipv4_alone_is_told_so() -> None:
    pod = {
        "name": "web-r0", "group": "default/a/web", "address": "10.1.0.7", "range": "10.1.0.0/20", "reach": [], "ports": [], "hosts": {},
        "dns": {}, "address6": "fd00:1::a01:7", "range6": "fd00:1::/64", "elsewhere": {"default/a/api": ["10.2.0.9", "10.3.0.9"]},
        "elsewhere6": {"default/a/api": ["fd00:2::a02:9", "fd00:3::a03:9"]},
    }  # fmt: skip
    known = {
        "r1": {"range": "10.1.0.0/20", "addresses": ["192.0.2.1"], "range6": "fd00:1::/64", "addresses6": ["2001:db8::1"]},
        "r2": {"range": "10.2.0.0/20", "addresses": ["192.0.2.7"], "range6": "fd00:2::/64", "addresses6": ["2001:db8:1::7"]},
        # Not by IPv4 either, which is said once.
        "r3": {"range": "10.3.0.0/20", "addresses": ["203.0.113.9"], "range6": "fd00:3::/64", "addresses6": ["2001:db8:1::9"]},
    }
    contents = {"pod": json.dumps(pod).encode(), "routes": json.dumps({"version": plan.KEPT_VERSION, "robots": known}).encode()}
    places = {"pod": "/etc/k8s4r/pods/web-r0", "routes": "/etc/k8s4r/routes/web"}
    resources = [{"kind": "file", "path": path, "digest": digest} for digest, path in places.items()]
    manifest: t.Any = {"jobs": [{"groups": [{"id": "web", "name": "default/a/web", "resources": resources}]}]}
    assert told.unreached(manifest, contents.__getitem__) == [
        "this robot shares no link with r3 (203.0.113.9): its pods and the pods of default/a/api there cannot reach each other",
        "this robot shares no link with r2 (2001:db8:1::7): its pods and the pods of default/a/api there cannot reach each other over IPv6",
    ]


def test_routes_of_ipv6_are_those_of_ipv4() -> None:
    others = [("a", family.network("fd00:2::/64"), (family.number("2001:db8::2"),)), ("b", family.network("fd00:3::/64"), ())]
    shared = [("eth0", family.number("2001:db8::1"), 64)]
    ways, without = routes.chosen(others, shared, [], family.SIX)
    assert (ways, without) == ([(others[0][1], others[0][2][0], "eth0")], {"b": "shares no link with b ()"})
    taken = [("wg0", *family.SIX.bounds(family.network("fd00:2::/48")))]
    assert routes.chosen(others[:1], shared, taken, family.SIX)[1] == {"a": "reaches fd00:2::/64, the pods of a, through wg0 already"}
    more = "table 1464 protocol kernel"
    assert routes.changes(routes.words(ways, family.SIX), []) == [
        f"route replace fd00:2::/64 via 2001:db8::2 dev eth0 {more}",
        f"route replace unreachable fd00:2::/64 metric 4278198272 {more}",
    ]


@pytest.mark.usefixtures("on_a_link")
def test_a_robot_that_a_group_needs_is_on_a_link_of_this_one() -> None:
    def lacking(name: str) -> list[str]:
        expects = [{"what": "link", "name": name, "where": "a.yml: reach[0]"}]
        return verify.lacking([t.cast("t.Any", {"resources": [], "programs": [], "expects": expects})])

    assert lacking("r2 10.2.0.0/20 192.0.2.7") == []
    (error,) = lacking("r3 10.3.0.0/20 203.0.113.9")
    assert error.startswith("a.yml: reach[0]: this robot shares no link with r3 (203.0.113.9); give both a k8s4r_address in one network")
