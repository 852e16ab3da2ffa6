# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Registration entries on a real server, and what processes on a robot get of them."""

from __future__ import annotations

import json
import time

import pytest

from tests.integration.provision import harness

pytestmark = pytest.mark.robots

DOMAIN = "spiffe://fleet.example"
SCOPE = ["/ns/test/job/"]


def entry(name, unit="probe.service", user="nobody", robot="robot2", **more):
    return {
        "entry_id": f"k8s4r.{name}",
        "spiffe_id": f"{DOMAIN}/ns/test/job/{name}/group/g",
        "parent_id": f"{DOMAIN}/spire/agent/x509pop/{robot}",
        "selectors": [{"type": "systemd", "value": f"id:{unit}"}, {"type": "unix", "value": f"user:{user}"}],
        **more,
    }


def on_server(fleet):
    """The entries of these tests' identities, whoever made them."""
    shown = fleet.ssh("robot1", f"{harness.SERVER} entry show -output json -socketPath {harness.SERVER_SOCKET}")
    return {one["id"]: one for one in json.loads(shown)["entries"] if one["spiffe_id"]["path"].startswith(SCOPE[0])}


@pytest.fixture
def clean(ansible, provisioned):
    """No entries of ours, before and after."""
    ansible.entries(entries=[], state="exact", scope=SCOPE).well()
    yield provisioned
    ansible.entries(entries=[], state="exact", scope=SCOPE).well()


def test_the_right_unit_and_user_and_nobody_else_gets_the_identity_within_3_seconds(ansible, clean):
    took = []

    def asked():
        began = time.monotonic()
        found = harness.identities(clean, "robot2", "probe.service", "nobody")
        took.append(time.monotonic() - began)
        return found

    assert asked() == []
    ansible.entries(entries=[entry("web", dns_names=["robot2"])]).well()
    written = time.monotonic()
    # On a busy machine, to ask takes longer than to be told.
    while not (got := asked()) and time.monotonic() < written + 3 + 2 * max(took):
        time.sleep(0.1)
    assert got == [f"{DOMAIN}/ns/test/job/web/group/g"]
    assert harness.identities(clean, "robot2", "other.service", "nobody") == []
    assert harness.identities(clean, "robot2", "probe.service", "games") == []
    assert harness.identities(clean, "robot1", "probe.service", "nobody") == []


def test_check_then_create_update_delete_then_nothing(ansible, clean):
    first, second = entry("a"), entry("b")
    assert ansible.entries("--check", "--diff", entries=[first]).well().changed["robot1"] == 1
    assert on_server(clean) == {}
    assert ansible.entries(entries=[first, second]).well().changed["robot1"] == 1
    assert ansible.entries(entries=[first, second]).well().changed["robot1"] == 0
    changed = entry("a", x509_svid_ttl=120, dns_names=["robot2", "a"], hint="h")
    assert ansible.entries(entries=[changed], state="exact", scope=SCOPE).well().changed["robot1"] == 1
    held = on_server(clean)
    assert list(held) == ["k8s4r.a"]
    assert (held["k8s4r.a"]["x509_svid_ttl"], held["k8s4r.a"]["dns_names"]) == (120, ["robot2", "a"])
    assert ansible.entries(entries=[changed], state="exact", scope=SCOPE).well().changed["robot1"] == 0
    assert ansible.entries(entries=[{"entry_id": "k8s4r.a"}], state="absent").well().changed["robot1"] == 1
    assert ansible.entries(entries=[{"entry_id": "k8s4r.a"}], state="absent").well().changed["robot1"] == 0


@pytest.fixture
def theirs(clean):
    """An entry that another tool made in our scope."""
    server = f"-socketPath {harness.SERVER_SOCKET} -entryID theirs"
    meaning = f"-spiffeID {DOMAIN}/ns/test/job/x/group/g -parentID {DOMAIN}/spire/agent/x509pop/robot2 -selector unix:uid:7"
    clean.ssh("robot1", f"{harness.SERVER} entry create {server} {meaning}")
    yield clean
    clean.ssh("robot1", f"{harness.SERVER} entry delete {server}")


def test_somebody_elses_entries_are_left_alone(ansible, theirs):
    ansible.entries(entries=[], state="exact", scope=SCOPE).well()
    assert list(on_server(theirs)) == ["theirs"]
    same = entry("x", selectors=[{"type": "unix", "value": "uid:7"}])
    ansible.entries(entries=[same]).refused("the entry theirs, which this collection did not make, has the same parent and selectors")


def test_more_entries_than_a_call_takes(ansible, clean):
    many = [entry(f"many-{number}", unit=f"u{number}.service") for number in range(2300)]
    options = {"state": "exact", "scope": SCOPE}
    ansible.entries(entries=many, **options).well()
    assert len(on_server(clean)) == 2300
    assert ansible.entries(entries=many, **options).well().changed["robot1"] == 0
    ansible.entries(entries=[{**one, "x509_svid_ttl": 600} for one in many[:1500]], **options).well()
    held = on_server(clean)
    assert (len(held), {one["x509_svid_ttl"] for one in held.values()}) == (1500, {600})


def test_what_the_server_refuses_is_said(ansible, clean):
    unknown = entry("fed", federates_with=["spiffe://unknown.example"])
    ansible.entries(entries=[entry("good"), unknown]).refused("the SPIRE server refused to create 1 entry: k8s4r.fed:", "code 13")
    assert list(on_server(clean)) == ["k8s4r.good"]


def test_a_server_that_does_not_answer_is_named(ansible, provisioned):
    assert provisioned
    ansible.entries(entries=[], socket="/run/nowhere.sock").refused("the SPIRE server does not answer at /run/nowhere.sock")
