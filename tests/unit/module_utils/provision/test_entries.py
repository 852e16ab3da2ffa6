# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Registration entries compared, without a server."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.k8s4r.robot.plugins.module_utils._provision import entries

SCOPE = ["/ns/default/job/web/"]
PREFIX = "k8s4r."


def entry(name="k8s4r.1", group="front", **changes):
    """A wanted entry in the common form."""
    wish = {
        "entry_id": name,
        "spiffe_id": f"spiffe://fleet.example/ns/default/job/web/group/{group}",
        "parent_id": "spiffe://fleet.example/spire/agent/x509pop/robot1",
        "selectors": [{"type": "unix", "value": "user:b"}, {"type": "systemd", "value": "id:a.service"}],
    }
    return entries.wanted({**wish, **changes})


def as_server_prints(wanted):
    """The same entry as the server shows it."""

    def split(name):
        domain, _slash, path = name[len("spiffe://") :].partition("/")
        return {"trust_domain": domain, "path": "/" + path}

    shown = {**entries.for_server(wanted), "id": wanted["entry_id"], "expires_at": "0", "created_at": "1795171655", "revision_number": "3"}
    shown["selectors"] = list(reversed(shown["selectors"]))
    shown["federates_with"] = list(wanted["federates_with"])
    return {**shown, "spiffe_id": split(wanted["spiffe_id"]), "parent_id": split(wanted["parent_id"])}


def difference(wanted, present, purge=False):
    return entries.Difference(wanted, present, SCOPE, PREFIX, purge)


def ids(found):
    return [one["entry_id"] for one in found]


def test_what_is_superfluous_is_named_and_deleted_on_request_alone():
    others = [entry("k8s4r.2", "back"), entry("theirs", "x")]
    told, done = (difference([entry()], [entry(), *others], purge=purge) for purge in (False, True))
    assert ids(told.superfluous) == ids(done.superfluous) == ids(done.delete) == ["k8s4r.2"]
    assert told.empty
    assert not done.empty


def test_both_notations_are_one_form():
    wanted = entry(dns_names=["b", "a"], federates_with=["spiffe://y.example", "x.example"], x509_svid_ttl=60, hint="h")
    assert entries.of_server(as_server_prints(wanted)) == wanted
    assert difference([wanted], [entries.of_server(as_server_prints(wanted))], purge=True).empty


@pytest.mark.parametrize(
    "change",
    [{"x509_svid_ttl": 60}, {"dns_names": ["robot1"]}, {"federates_with": ["x.example"]}, {"hint": "h"}, {"group": "back"}],
)
def test_whatever_differs_is_an_update(change):
    found = difference([entry(**change)], [entry()])
    assert (ids(found.create), ids(found.update), ids(found.delete)) == ([], ["k8s4r.1"], [])
    before, after = found.documents()
    assert before != after


def test_what_somebody_made_an_administrators_is_put_back():
    assert ids(difference([entry()], [entry(admin=True)]).update) == ["k8s4r.1"]


def test_purge_takes_only_ours_in_the_scope():
    present = [
        entry("k8s4r.old", "old"),
        entry("theirs", "theirs"),
        entry("k8s4r.other", spiffe_id="spiffe://fleet.example/ns/default/job/web2/group/front"),
        entry("k8s4r.domain", spiffe_id="spiffe://other.example/ns/prod/ns/default/job/web/group/front"),
    ]
    assert ids(difference([], present, purge=True).delete) == ["k8s4r.old"]
    assert difference([], present).empty


def test_ours_under_another_id_gives_way_first():
    found = difference([entry("k8s4r.new")], [entry("k8s4r.old")])
    assert (ids(found.create), ids(found.delete), ids(found.superseded)) == (["k8s4r.new"], ["k8s4r.old"], ["k8s4r.old"])


def test_a_strangers_same_entry_is_a_conflict():
    found = difference([entry()], [entry("theirs")])
    assert [(new["entry_id"], old["entry_id"]) for new, old in found.conflicts] == [("k8s4r.1", "theirs")]
    assert found.delete == []


def test_every_mistake_at_once():
    wrong = [
        entry("other.1"),
        entry("k8s4r.a b", "b"),
        entry("k8s4r.2", selectors=[]),
        entry("k8s4r.2", "c", spiffe_id="https://x", parent_id=""),
        entry("k8s4r.3"),
    ]
    found = "\n".join(entries.mistakes(wrong, SCOPE, PREFIX))
    for part in (
        "entries[0]: entry_id 'other.1' must begin with k8s4r.",
        "entries[1]: entry_id 'k8s4r.a b'",
        "entries[2]: an entry needs at least one selector",
        "entries[3]: spiffe_id 'https://x'",
        "entries[3]: parent_id ''",
        "entries[3]: https://x is outside the scope",
        "entries[3] has the same entry_id as entries[2]",
        "entries[4] has the same SPIFFE ID, parent and selectors as entries[0]",
    ):
        assert part in found
    assert entries.mistakes([entry()], SCOPE, PREFIX) == []


def test_every_status_is_read():
    answer = {"results": [{"status": {"code": 0}}, {"status": {"code": 6, "message": "similar entry already exists"}}]}
    assert entries.refusals(answer, ["a", "b"]) == ["b: similar entry already exists (code 6)"]
    assert entries.refusals(answer, ["a", "b"], accepted=(6,)) == []
    assert entries.refusals({}, ["a"]) == ["the server answered for 0 of 1 entries"]


def test_batches():
    assert [len(batch) for batch in entries.batches(list(range(2001)))] == [1000, 1000, 1]
    assert entries.batches([]) == []


names = st.integers(0, 6).map(lambda number: f"k8s4r.{number}") | st.integers(0, 6).map(lambda number: f"their.{number}")
anyones = st.lists(st.builds(entry, names, st.sampled_from("abcd")), unique_by=lambda one: one["entry_id"]).map(
    lambda found: list({entries.meaning(one): one for one in found}.values())
)
ours = anyones.map(lambda found: [one for one in found if one["entry_id"].startswith(PREFIX)])


@given(ours, anyones, st.booleans())
def test_afterwards_there_is_nothing_left_to_do(wanted, present, purge):
    change = difference(wanted, present, purge)
    if change.conflicts:
        return
    after = {one["entry_id"]: one for one in present}
    for one in change.delete:
        assert one["entry_id"].startswith(PREFIX)
        del after[one["entry_id"]]
    after.update({one["entry_id"]: one for one in change.create + change.update})
    assert {one["entry_id"] for one in wanted} <= set(after)
    assert len({entries.meaning(one) for one in after.values()}) == len(after)
    assert difference(wanted, list(after.values()), purge).empty
