# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps of a switch, and the turns that groups which go together have with them. perform.py knows what each step does."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ...plan import Resource
    from ...system.observe import State

    Verb = t.Literal[
        "halt",
        "extend",
        "make",
        "reload",
        "stop",
        "close",
        "clear",
        "down",
        "start",
        "refresh",
        "healthy",
        "commit",
        "remove",
        "unload",
        "discard",
        "pruned",
    ]
    Turns = t.Tuple[t.Tuple[Verb, ...], ...]

    class _Step(t.TypedDict):
        do: Verb
        text: str  # what a person reads; empty where there is nothing to report

    class Step(_Step, total=False):
        resource: Resource  # of make, extend, close, remove and discard
        now: State | None  # of make, close, remove and discard: what is there before it
        units: list[str]  # of halt, stop, clear, down, start, refresh and healthy
        files: list[str]  # of refresh: those that have changed
        done: list[str]  # of clear and down: the files that say of a unit that it has run
        known: list[str]  # of clear: units of which systemd may remember failures
        leftovers: list[Resource]  # of commit and pruned


# The turns of groups that go together: first all files, then all stops, since a program that goes may hold what another one wants,
# then all starts. The ways to pods that were stopped are closed before that. After the commit, units go before their data, and data before
# its owner.
UNTIL_COMMIT: Turns = (
    ("halt",),
    ("extend", "make", "reload"),
    ("stop",),
    ("close",),
    ("clear", "down"),
    ("start",),
    ("refresh",),
    ("healthy",),
)
FROM_COMMIT: Turns = (("commit",), ("remove",), ("unload",), ("discard",), ("pruned",))
# Once more: a boot may have begun to start what goes.
RESUMED: Turns = (("stop",), ("close",), *FROM_COMMIT)


def in_turn(found: t.Sequence[t.Sequence[Step]], turns: Turns) -> list[tuple[int, Step]]:
    """The steps of some turns of groups that go together, each with its group's number."""
    return [(number, step) for verbs in turns for number, steps in enumerate(found) for step in steps if step["do"] in verbs]
