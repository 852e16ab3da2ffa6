# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Registration entries: what the server has compared with what is wanted, as pure data.

An entry is a dictionary of the keys of :data:`DEFAULTS`, selectors as sorted (type, value) pairs; :func:`wanted` and
:func:`of_server` bring either side's notation into that form, so that equal entries are equal dictionaries.
"""

from __future__ import annotations

import re

# What SPIRE gives an entry when a key is left out. All of these are compared: an update replaces a whole entry, and one
# of ours that somebody made an administrator's must not stay so.
DEFAULTS = {
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

# pkg/server/datastore of SPIRE: other characters and longer names are refused.
ENTRY_ID = re.compile(r"[A-Za-z0-9_.-]{1,255}")

# A call may carry 4 MB; a thousand entries with every name at its limit stay under it.
BATCH = 1000


def wanted(entry):
    """Bring an entry of the module's option into the common form."""
    return _common({key: value for key, value in entry.items() if value is not None})


def of_server(entry):
    """Bring an entry as ``spire-server entry show -output json`` prints it into the common form."""
    known = {key: entry[key] for key in DEFAULTS if key in entry}
    known["entry_id"] = entry["id"]
    for key in ("spiffe_id", "parent_id"):
        known[key] = f"spiffe://{entry[key]['trust_domain']}{entry[key]['path']}"
    known["expires_at"] = int(entry.get("expires_at", 0))
    return _common(known)


def for_server(entry):
    """Return an entry of the common form as ``spire-server entry create -data`` reads it."""
    document = {key: list(value) if isinstance(value, tuple) else value for key, value in entry.items()}
    document["selectors"] = [{"type": kind, "value": value} for kind, value in entry["selectors"]]
    document["entry_expiry"] = document.pop("expires_at")
    document["federates_with"] = ["spiffe://" + domain for domain in entry["federates_with"]]
    return document


def mistakes(entries, scope, prefix):
    """Return what is wrong with the wanted entries, all of it, before any server is asked."""
    found = []
    ids, meanings = {}, {}
    for index, entry in enumerate(entries):
        where = f"entries[{index}]"
        name = entry["entry_id"]
        if not ENTRY_ID.fullmatch(name) or not name.startswith(prefix):
            found.append(f"{where}: entry_id {name!r} must begin with {prefix} and hold A-Z a-z 0-9 _ . - only, 255 at most")
        for key in ("spiffe_id", "parent_id"):
            if not entry[key].startswith("spiffe://"):
                found.append(f"{where}: {key} {entry[key]!r} must begin with spiffe://")
        if scope and not in_scope(entry, scope):
            found.append(f"{where}: {entry['spiffe_id']} is outside the scope, {', '.join(scope)}")
        if not entry["selectors"]:
            found.append(f"{where}: an entry without selectors is no one's")
        for seen, key, what in ((ids, name, "entry_id"), (meanings, meaning(entry), "SPIFFE ID, parent and selectors")):
            if seen.setdefault(key, index) != index:
                found.append(f"{where} has the same {what} as entries[{seen[key]}]")
    return found


def meaning(entry):
    """Return what SPIRE allows one entry of."""
    return entry["spiffe_id"], entry["parent_id"], entry["selectors"]


def in_scope(entry, scope):
    """Tell whether the path of an entry's SPIFFE ID begins with one of these prefixes."""
    rest = entry["spiffe_id"].partition("spiffe://")[2]
    return ("/" + rest.partition("/")[2]).startswith(tuple(scope))


class Difference:
    """What must be done for the server to have what is wanted: entries to create, update and delete, by their ids.

    ``conflicts`` names entries that are not ours and stand in the way. ``superfluous`` are ours in the scope that are not
    wanted, and only those of ``parents`` where these are named; ours are those whose id begins with ``prefix``. ``purge``
    deletes them.
    """

    def __init__(self, entries, present, scope=(), prefix="", purge=False, parents=()):
        have = {entry["entry_id"]: entry for entry in present}
        want = {entry["entry_id"]: entry for entry in entries}
        self.create = [entry for name, entry in want.items() if name not in have]
        self.update = [entry for name, entry in want.items() if name in have and have[name] != entry]
        ours = (entry for entry in present if entry["entry_id"].startswith(prefix) and in_scope(entry, scope))
        self.superfluous = [entry for entry in ours if entry["entry_id"] not in want and (not parents or entry["parent_id"] in parents)]
        self.delete = list(self.superfluous) if purge else []
        self.conflicts = []
        self._have = have
        self._find_conflicts(present, prefix)

    def _find_conflicts(self, present, prefix):
        """SPIRE keeps one entry of a meaning: of ours under an old id, ours gives way; a stranger's is the user's to judge."""
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
    def superseded(self):
        """Entries to delete before others can be created in their place."""
        coming = {meaning(entry) for entry in self.create + self.update}
        return [entry for entry in self.delete if meaning(entry) in coming]

    @property
    def empty(self):
        return not (self.create or self.update or self.delete)

    def documents(self):
        """Return (before, after): the entries concerned, by id, as a diff shows them."""
        before = {entry["entry_id"]: _shown(self._have[entry["entry_id"]]) for entry in self.update + self.delete}
        after = {entry["entry_id"]: _shown(entry) for entry in self.create + self.update}
        return before, after


def removal(ids, present):
    """Return the Difference that deletes those of these ids that the server has."""
    difference = Difference([], present)
    difference.delete = [entry for entry in present if entry["entry_id"] in set(ids)]
    return difference


def batches(items):
    """Cut a list into calls."""
    return [items[start : start + BATCH] for start in range(0, len(items), BATCH)]


def refusals(answer, batch, forgiven=()):
    """Return what the server refused of a batch: its commands exit 0 all the same. Codes are gRPC's."""
    results = answer.get("results", [])
    if len(results) != len(batch):
        return [f"the server answered for {len(results)} of {len(batch)} entries"]
    return [
        f"{name}: {result['status'].get('message', 'refused')} (code {result['status']['code']})"
        for name, result in zip(batch, results)
        if result["status"]["code"] not in (0, *forgiven)
    ]


def _common(entry):
    entry = {**DEFAULTS, **entry}
    entry["selectors"] = tuple(sorted({(selector["type"], selector["value"]) for selector in entry["selectors"]}))
    entry["federates_with"] = tuple(sorted(domain.replace("spiffe://", "", 1) for domain in entry["federates_with"]))
    # The first DNS name becomes the certificate's common name, so their order counts.
    entry["dns_names"] = tuple(entry["dns_names"])
    return entry


def _shown(entry):
    shown = {key: value for key, value in entry.items() if value != DEFAULTS[key] and key != "entry_id"}
    shown["selectors"] = [f"{kind}:{value}" for kind, value in entry["selectors"]]
    return {key: list(value) if isinstance(value, tuple) else value for key, value in shown.items()}
