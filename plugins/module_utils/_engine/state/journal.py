# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal of a switch: there from before its first touch until its result is known."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    # Under way: forward, back. Whole: committed, rolled-back; and failed, though a unit of the last good release does not run
    # or something is left over. Not whole: stuck, for the way back failed; the journal stays for the next run to try again.
    Phase = t.Literal["forward", "back", "committed", "rolled-back", "failed", "stuck"]

    class Entry(t.TypedDict):
        phase: Phase
        errors: list[str]

    class Journal(t.TypedDict):
        release: str
        began: float  # seconds since the epoch
        groups: dict[str, Entry]
        changes: list[str]


WHOLE = ("committed", "rolled-back", "failed")
