# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes a server's registration entries those that are wanted, for the module `spire_entries` and for the action `entries`.

The options of both are those that the module documents; the action may have ``spared``, the ids of entries that are not deleted.
"""

from __future__ import annotations

import typing as t

from . import entries
from .server import Server, ServerError

if t.TYPE_CHECKING:
    Options = t.Mapping[str, t.Any]


def checked(options: Options) -> t.List[entries.Entry]:
    """Return the wanted entries in the common form. Raises ServerError with everything that is wrong with the options."""
    wanted = [entries.wanted(entry) for entry in options["entries"]]
    found = list(_mistakes(options, wanted))
    if found:
        raise ServerError("\n".join(found))
    return wanted


def registered(
    options: Options, wanted: t.Sequence[entries.Entry], present: t.Sequence[entries.Entry], server: t.Optional[Server]
) -> entries.Document:
    """Change a server that has the entries ``present``, and return what was changed, as the module returns it; without a ``server``,
    what would be. Raises ServerError.
    """
    change = _difference(options, wanted, present)
    if change.conflicts:
        lines = [
            f"{new['spiffe_id']}: the entry {old['entry_id']}, which this collection did not make, has the same parent and selectors"
            for new, old in change.conflicts
        ]
        raise ServerError("\n".join([*lines, "Delete it on the server, or leave this identity to whoever made it."]))
    if server:
        _perform(server, change)
    before, after = change.documents()
    return {
        "changed": not change.empty,
        "created": [entry["entry_id"] for entry in change.create],
        "updated": [entry["entry_id"] for entry in change.update],
        "deleted": [entry["entry_id"] for entry in change.delete],
        "superfluous": [entry["entry_id"] for entry in change.superfluous],
        "diff": {"before": before, "after": after},
    }


def _mistakes(options: Options, wanted: t.Sequence[entries.Entry]) -> t.Iterator[str]:
    scope, prefix = options["scope"], options["prefix"]
    for path in scope:
        if not path[:1] == "/" == path[-1:]:
            yield f"scope: {path!r} must begin and end with /"
    if options["state"] == "exact" and not scope:
        yield "scope: state exact needs a scope, because it deletes what is in it"
    if not prefix:
        yield "prefix: it must not be empty, or every entry of the server could be changed"
    if options["state"] != "absent":
        yield from entries.mistakes(wanted, scope, prefix)
        return
    for entry in wanted:
        if not entry["entry_id"].startswith(prefix):
            yield f"entries: {entry['entry_id']} does not begin with {prefix}"


def _difference(options: Options, wanted: t.Sequence[entries.Entry], present: t.Sequence[entries.Entry]) -> entries.Difference:
    """Return what has to be done on a server that has the entries ``present``."""
    if options["state"] == "absent":
        return entries.removal([entry["entry_id"] for entry in wanted], present)
    purge = options["state"] == "exact"
    return entries.Difference(wanted, present, options["scope"], options["prefix"], purge, options["parents"], options.get("spared", ()))


def _perform(server: Server, change: entries.Difference) -> None:
    """Make the changes: first delete what new entries replace, then create and update, then delete the rest."""
    first = {entry["entry_id"] for entry in change.superseded}
    server.delete(sorted(first))
    server.create(change.create)
    server.update(change.update)
    server.delete([entry["entry_id"] for entry in change.delete if entry["entry_id"] not in first])
