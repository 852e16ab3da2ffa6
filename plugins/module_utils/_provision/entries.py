# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compares the registration entries that a server has with those that it should have. Asks no server itself.

:func:`wanted` and :func:`of_server` bring the notations of the module and of the server into one form, :class:`Entry`, so
that entries with the same meaning are equal.
"""

from __future__ import annotations

import re
import typing as t

if t.TYPE_CHECKING:
    T = t.TypeVar("T")

    # An object of JSON, or of the options of a module.
    Document = t.Dict[str, t.Any]
    # SPIFFE ID, parent ID and selectors.
    Meaning = t.Tuple[str, str, t.Tuple[t.Tuple[str, str], ...]]

    class Entry(t.TypedDict):
        """A registration entry: every key that SPIRE has, with what it means when it is left out."""

        entry_id: str
        spiffe_id: str
        parent_id: str
        # (type, value), sorted
        selectors: t.Tuple[t.Tuple[str, str], ...]
        # seconds; 0 for the server's default
        x509_svid_ttl: int
        jwt_svid_ttl: int
        dns_names: t.Tuple[str, ...]
        # names of trust domains, without spiffe://, sorted
        federates_with: t.Tuple[str, ...]
        hint: str
        admin: bool
        downstream: bool
        store_svid: bool
        # seconds since the epoch; 0 for never
        expires_at: int


# SPIRE's defaults. Every key is compared, because an update replaces a whole entry: if somebody gave one of our entries the
# rights of an administrator, the next run must take them away.
DEFAULTS: Entry = {
    "entry_id": "",
    "spiffe_id": "",
    "parent_id": "",
    "selectors": (),
    "x509_svid_ttl": 0,
    "jwt_svid_ttl": 0,
    "dns_names": (),
    "federates_with": (),
    "hint": "",
    "admin": False,
    "downstream": False,
    "store_svid": False,
    "expires_at": 0,
}

# SPIRE, pkg/server/datastore: it refuses other characters and longer ids.
ENTRY_ID = re.compile(r"[A-Za-z0-9_.-]{1,255}")

# A call may carry 4 MB. A thousand entries stay below that, even with every name at its limit.
BATCH = 1000

# Status codes of gRPC.
NOT_FOUND, ALREADY_EXISTS = 5, 6


def wanted(entry: Document) -> Entry:
    """Return an entry of the module's option ``entries`` in the common form."""
    return _common({key: value for key, value in entry.items() if value is not None})


def of_server(entry: Document) -> Entry:
    """Return an entry as ``spire-server entry show -output json`` prints it in the common form."""
    known = {key: entry[key] for key in DEFAULTS if key in entry}
    known["entry_id"] = entry["id"]
    for key in ("spiffe_id", "parent_id"):
        known[key] = f"spiffe://{entry[key]['trust_domain']}{entry[key]['path']}"
    known["expires_at"] = int(entry.get("expires_at", 0))
    return _common(known)


def for_server(entry: Entry) -> Document:
    """Return an entry as ``spire-server entry create -data`` reads it."""
    document: Document = {key: list(value) if isinstance(value, tuple) else value for key, value in entry.items()}
    document["selectors"] = [{"type": kind, "value": value} for kind, value in entry["selectors"]]
    document["entry_expiry"] = document.pop("expires_at")
    document["federates_with"] = ["spiffe://" + domain for domain in entry["federates_with"]]
    return document


def mistakes(entries: t.Sequence[Entry], scope: t.Sequence[str], prefix: str) -> t.List[str]:
    """Return everything that is wrong with the wanted entries, before a server is asked."""
    found = []
    ids: t.Dict[str, int] = {}
    meanings: t.Dict[Meaning, int] = {}
    for index, entry in enumerate(entries):
        where = f"entries[{index}]"
        name, spiffe_id, parent_id = entry["entry_id"], entry["spiffe_id"], entry["parent_id"]
        if not ENTRY_ID.fullmatch(name) or not name.startswith(prefix):
            found.append(f"{where}: entry_id {name!r} must begin with {prefix} and have at most 255 characters, of A-Z a-z 0-9 _ . - only")
        for key, value in (("spiffe_id", spiffe_id), ("parent_id", parent_id)):
            if not value.startswith("spiffe://"):
                found.append(f"{where}: {key} {value!r} must begin with spiffe://")
        if scope and not in_scope(entry, scope):
            found.append(f"{where}: {spiffe_id} is outside the scope, {', '.join(scope)}")
        if not entry["selectors"]:
            found.append(f"{where}: an entry needs at least one selector")
        first = ids.setdefault(name, index)
        if first != index:
            found.append(f"{where} has the same entry_id as entries[{first}]")
        first = meanings.setdefault(meaning(entry), index)
        if first != index:
            found.append(f"{where} has the same SPIFFE ID, parent and selectors as entries[{first}]")
    return found


def meaning(entry: Entry) -> Meaning:
    """Return the part of an entry that must be unique on a server."""
    return entry["spiffe_id"], entry["parent_id"], entry["selectors"]


def in_scope(entry: Entry, scope: t.Sequence[str]) -> bool:
    """Return whether the path of an entry's SPIFFE ID begins with one of these prefixes."""
    rest = entry["spiffe_id"].partition("spiffe://")[2]
    return ("/" + rest.partition("/")[2]).startswith(tuple(scope))


class Difference:
    """The entries to create, update and delete, so that the server has those that are wanted.

    An entry is ours when its id begins with ``prefix``. ``superfluous`` are the entries of ours in the scope that are neither
    wanted nor, by their ids, ``spared``, and only those with one of these ``parents`` if there are any; ``purge`` deletes them.
    ``conflicts`` are pairs of a wanted entry and one that is not ours but has the same meaning, so that the server would refuse the
    former.
    """

    def __init__(
        self,
        entries: t.Sequence[Entry],
        present: t.Sequence[Entry],
        scope: t.Sequence[str] = (),
        prefix: str = "",
        purge: bool = False,
        parents: t.Sequence[str] = (),
        spared: t.Container[str] = (),
    ) -> None:
        have = {entry["entry_id"]: entry for entry in present}
        want = {entry["entry_id"]: entry for entry in entries}
        self.create = [entry for name, entry in want.items() if name not in have]
        self.update = [entry for name, entry in want.items() if name in have and have[name] != entry]
        ours = (
            entry
            for entry in present
            if entry["entry_id"].startswith(prefix) and in_scope(entry, scope) and entry["entry_id"] not in spared
        )
        self.superfluous = [entry for entry in ours if entry["entry_id"] not in want and (not parents or entry["parent_id"] in parents)]
        self.delete = list(self.superfluous) if purge else []
        self.conflicts: t.List[t.Tuple[Entry, Entry]] = []
        self._have = have
        self._find_conflicts(present, prefix)

    def _find_conflicts(self, present: t.Sequence[Entry], prefix: str) -> None:
        """SPIRE keeps one entry of each meaning. An entry of ours with an old id is replaced; another's is for the user to judge."""
        by_meaning = {meaning(entry): entry for entry in present}
        leaving = {entry["entry_id"] for entry in self.delete}
        for entry in self.create + self.update:
            other = by_meaning.get(meaning(entry))
            if other is None or other["entry_id"] in {entry["entry_id"]} | leaving:
                continue
            if other["entry_id"].startswith(prefix) and prefix:
                self.delete.append(other)
                leaving.add(other["entry_id"])
            else:
                self.conflicts.append((entry, other))

    @property
    def superseded(self) -> t.List[Entry]:
        """The entries that must be deleted before others with the same meaning can be created."""
        coming = {meaning(entry) for entry in self.create + self.update}
        return [entry for entry in self.delete if meaning(entry) in coming]

    @property
    def empty(self) -> bool:
        """Whether nothing has to be done."""
        return not (self.create or self.update or self.delete)

    def documents(self) -> t.Tuple[t.Dict[str, Document], t.Dict[str, Document]]:
        """Return the entries that differ, before and after, by id, as a diff shows them."""
        before = {entry["entry_id"]: _shown(self._have[entry["entry_id"]]) for entry in self.update + self.delete}
        after = {entry["entry_id"]: _shown(entry) for entry in self.create + self.update}
        return before, after


def removal(ids: t.Iterable[str], present: t.Sequence[Entry]) -> Difference:
    """Return the Difference that deletes the entries with these ids, as far as the server has them."""
    difference = Difference([], present)
    difference.delete = [entry for entry in present if entry["entry_id"] in set(ids)]
    return difference


def batches(items: t.Sequence[T]) -> t.List[t.Sequence[T]]:
    """Divide a list into the parts that one call each can carry."""
    return [items[start : start + BATCH] for start in range(0, len(items), BATCH)]


def refusals(answer: Document, batch: t.Sequence[str], accepted: t.Sequence[int] = ()) -> t.List[str]:
    """Return what the server refused of a batch, given by the ids of its entries. Its commands exit 0 all the same.

    ``accepted`` are status codes of gRPC that count as success.
    """
    results = answer.get("results", [])
    if len(results) != len(batch):
        return [f"the server answered for {len(results)} of {len(batch)} entries"]
    return [
        f"{name}: {result['status'].get('message', 'refused')} (code {result['status']['code']})"
        for name, result in zip(batch, results)
        if result["status"]["code"] not in (0, *accepted)
    ]


def _common(entry: Document) -> Entry:
    given: Document = {**DEFAULTS, **entry}
    given["selectors"] = tuple(sorted({(selector["type"], selector["value"]) for selector in given["selectors"]}))
    given["federates_with"] = tuple(sorted(domain.replace("spiffe://", "", 1) for domain in given["federates_with"]))
    # The first DNS name becomes the certificate's common name, so their order counts.
    given["dns_names"] = tuple(given["dns_names"])
    return t.cast("Entry", given)


def _shown(entry: Entry) -> Document:
    defaults: t.Mapping[str, object] = DEFAULTS
    shown: Document = {key: value for key, value in entry.items() if value != defaults[key] and key != "entry_id"}
    shown["selectors"] = [f"{kind}:{value}" for kind, value in entry["selectors"]]
    return {key: list(value) if isinstance(value, tuple) else value for key, value in shown.items()}
