# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what older engines left on a robot to what this one would have left: one function for each version and kind."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    Document = dict[str, t.Any]


def to_this_version(kind: str, document: Document, version: int) -> Document:
    for upgrades in _UPGRADES[version - 1 :]:
        upgrade = upgrades.get(kind)
        document = upgrade(document) if upgrade else document
    return document


def _ledger_from_1(record: Document) -> Document:
    """A digest or null was there for what a state and a plan are for now."""
    digest = record.pop("digest")
    return {**record, "state": "partial" if digest is None else "whole", "plan": digest or ""}


def _manifest_from_1(manifest: Document) -> Document:
    for job in manifest["jobs"]:
        digest, held = job["before"], bool(job["base"])
        if not isinstance(digest, (str, type(None))):
            raise ValueError("the state of a job was its digest or null")
        job["before"] = {"state": "whole" if digest else "partial" if held else "empty", "plan": digest or ""}
    return manifest


def _result_from_1(result: Document) -> Document:
    """A plan that was prepared had one status, whatever came of it."""
    if result["status"] != "prepared":
        return result
    del result["changed"]
    status = "staged" if result["release"] else "lacking" if result["missing"] else "recorded"
    return {**result, "status": status}


def _ledger_from_2(record: Document) -> Document:
    """Nobody said what this machine is called."""
    return {**record, "robot": ""}


def _journal_from_2(journal: Document) -> Document:
    """Every group gave up at once what it did not want any more."""
    return {**journal, "spare": []}


# The first member leads from version 1 to 2. A kind that is not named stayed as it was.
_UPGRADES: t.Sequence[t.Mapping[str, t.Callable[[Document], Document]]] = (
    {"ledger": _ledger_from_1, "manifest": _manifest_from_1, "result": _result_from_1},
    {"ledger": _ledger_from_2, "journal": _journal_from_2},
)
