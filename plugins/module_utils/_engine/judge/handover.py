# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which groups of one release hand something over to one another, and therefore go forward or back together."""

from __future__ import annotations

from ..pods.units import has_pods
from ..resources import kinds
from ..state.ledger import known
from ..system import ports

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ..plan import Port
    from ..state.ledger import GroupRecord, Ledger
    from ..state.manifest import Manifest, ManifestGroup, ManifestJob

    Member = t.Tuple[ManifestJob, ManifestGroup]
    Members = t.Sequence[Member]
    # The groups' records in the ledger, by their ids.
    Records = t.Mapping[str, t.Optional[GroupRecord]]


def bundles(manifest: Manifest, ledger: Ledger, spare: t.Container[str] = (), stays: t.Container[str] = ()) -> list[Members]:
    """The groups of a release in their order, each with those that it goes forward or back with.

    A group that goes is given up only for all that its job wants, so that job is one bundle. A group that takes a port which
    another one gives up could not give it back alone. Every other group is a bundle of its own. ``spare``: ids of groups of which
    nothing goes. ``stays``: of those that are left as they are, although their job does not want them any more (`staying`).
    """
    members = [(job, group) for job in manifest["jobs"] for group in job["groups"] if group["id"] not in stays]
    records = _records(members, ledger)
    links = _handed_over(members, records)
    for job in manifest["jobs"]:
        mine = [number for number, member in enumerate(members) if member[0] is job]
        if any(_goes(group, records) and group["id"] not in spare for group in (members[number][1] for number in mine)):
            links += [(mine[0], number) for number in mine]
    labels = list(range(len(members)))
    for first, second in links:
        labels = [labels[first] if label == labels[second] else label for label in labels]
    return [[member for number, member in enumerate(members) if labels[number] == label] for label in dict.fromkeys(labels)]


def staying(manifest: Manifest, ledger: Ledger, spare: t.Container[str]) -> set[str]:
    """The ids of the groups that stay here as a whole, although their job does not want them: until another robot has what they run.

    One whose port the release gives to another group cannot run on: of that one, only the files stay. Pods have their ports each for
    itself. Decided once, before the ledger changes: the journal has it.
    """
    members = [(job, group) for job in manifest["jobs"] for group in job["groups"]]
    records = _records(members, ledger)
    losing = {members[giver][1]["id"] for giver, _taker in _handed_over(members, records)}
    losing = {id for id in losing if not has_pods(known(records[id]))}
    return {group["id"] for _job, group in members if group["id"] in spare and not group["resources"] and group["id"] not in losing}


def listening(members: Members, ledger: Ledger) -> list[str]:
    """The units that must be down while ports change hands: of the groups concerned, those that listen now.

    A program that finds its new port still in use may never try again, and one that takes up changes as it runs would do so before
    the other has let go. That may also be another program of the same group.
    """
    records = _records(members, ledger)
    found: set[str] = set()
    handing = {number for pair in _handed_over(members, records) for number in pair}
    for number in {*handing, *(number for number, (_job, group) in enumerate(members) if _hands_on(group, records[group["id"]]))}:
        group = members[number][1]
        record = records[group["id"]]
        held = [*group["ports"], *(record["ports"] if record else ())]
        units = {*kinds.units(group["resources"]), *kinds.units(record["resources"] if record else ())}
        found |= ports.listening_units(held) & units
    return sorted(found)


def gives_up(group: ManifestGroup, record: GroupRecord, port: Port) -> bool:
    """Whether a group has this port and does not want it any more."""
    return not _has(group["ports"], port) and _has(record["ports"], port)


def _handed_over(members: Members, records: Records) -> list[tuple[int, int]]:
    """Pairs of members, by their numbers: the first gives up a port that the second wants."""
    return [
        (giver, taker)
        for giver, (_job, group) in enumerate(members)
        for record in [records[group["id"]]]
        for taker, (_other_job, other) in enumerate(members)
        if record and taker != giver and any(gives_up(group, record, port) for port in other["ports"])
    ]


def _hands_on(group: ManifestGroup, record: GroupRecord | None) -> bool:
    """Whether a unit of a group that goes on, as its proxy does, is to have a port that another one of its units has, or the reverse."""
    if not record:
        return False
    goes_on = set(kinds.units(record["resources"])).intersection(kinds.units(group["resources"]))
    pairs = [(new, old) for new in group["ports"] for old in record["ports"] if new.get("unit") != old.get("unit") and ports.meet(new, old)]
    return any(new.get("unit") in goes_on or old.get("unit") in goes_on for new, old in pairs)


def _records(members: Members, ledger: Ledger) -> Records:
    jobs = {(job["namespace"], job["name"]): job for job, _group in members}
    held = {id: record for job in jobs.values() for id, record in ledger.of(job)["groups"].items()}
    return {group["id"]: held.get(group["id"]) for _job, group in members}


def _goes(group: ManifestGroup, records: Records) -> bool:
    record = records[group["id"]]
    return bool(record and record["resources"]) and not group["resources"]


def _has(held: t.Iterable[Port], port: Port) -> bool:
    return any(ports.meet(each, port) for each in held)
