# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal of a switch: there from before its first touch until its result is known."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    # phase        final  what is true then
    # forward      no     steps towards the new release are under way
    # commit       no     the new release runs, as do all that go with it; what it needs no more is given up. Where the ledger cannot be
    #                     written, the journal stays, and the next run tries again
    # back         no     steps back to the last good release are under way
    # committed    yes    the new release runs, and the ledger has it
    # rolled-back  yes    the last good release runs again, or nothing where there was none
    # failed       yes    all files are of one release, but a unit of it does not run, or leftovers are not removed yet
    # stays        yes    it shall go, and runs on until another robot has what it runs
    # stuck        no     rolling back failed, if only for what somebody else has for us; the journal stays, and the next run tries again
    Phase = t.Literal["forward", "commit", "back", "committed", "rolled-back", "failed", "stays", "stuck"]

    class Entry(t.TypedDict):
        phase: Phase
        errors: list[str]

    class _Journal(t.TypedDict):
        release: str
        began: float  # seconds since the epoch
        groups: dict[str, Entry]
        changes: list[str]
        spare: list[str]  # ids of the groups of which nothing goes

    class Journal(_Journal, total=False):
        notices: list[str]  # what a person should know of units that have begun, or go on, all the same
        hold: list[str]  # paths of the files that stay as they are, and whose turn comes with a release of their own
        behind: list[Journal]  # switches before it that are stuck
        about: list[str]  # of one of these: the ids of the groups that are left of it
        overtaken: list[str]  # releases before it that were stuck with groups of its own: what is there of them goes


def under_way(journal: Journal | None) -> list[str]:
    """The releases whose switch has not come to its end, in the order in which they are rolled back."""
    return [each["release"] for each in all_of(journal)]


def referred_to(journal: Journal | None) -> list[str]:
    """The releases whose manifests are needed until then."""
    return [release for each in all_of(journal) for release in (each["release"], *each.get("overtaken", ()))]


def all_of(journal: Journal | None) -> list[Journal]:
    """The journal, and those that are stuck behind it."""
    return [journal, *journal.get("behind", ())] if journal else []


def staying(journal: Journal) -> set[str]:
    """The ids of the groups that its switch leaves as they are."""
    return {id for id, entry in journal["groups"].items() if entry["phase"] == "stays"}


FINAL = ("committed", "rolled-back", "failed", "stays")
