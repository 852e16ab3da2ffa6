# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Instances that move from one robot to another: what a robot gives up goes only after the robots that it moves to have it."""

from __future__ import annotations

import re
import typing as t

from .outcome import SETTLED

Data = t.Mapping[str, t.Any]
# As `compile` returns it: {"namespace/job/group": {robot: [index, ...]}}.
Placed = t.Mapping[str, t.Mapping[str, t.Sequence[int]]]

INSTANCE = re.compile(r"r(\d+) ")


class Move(t.TypedDict):
    """What of a group goes from a robot because it runs elsewhere: the group's name, and by instance the robot that is to run it."""

    group: str
    to: dict[int, str]


def moves(robot: str, goes: t.Mapping[str, Data], placed: Placed) -> dict[str, Move]:
    """By the group's id, what moves away from a robot. `goes` is the robot's own answer to what it would give up.

    What no robot runs any more does not move, it ends.
    """
    found: dict[str, Move] = {}
    for id, going in goes.items():
        homes = {index: name for name, held in placed.get(going["name"], {}).items() if name != robot for index in held}
        to = {index: homes[index] for index in instances(going["units"]) if index in homes}
        if to:
            found[id] = {"group": going["name"], "to": to}
    return found


def instances(units: t.Iterable[str]) -> list[int]:
    """The instances to which units belong, by what people call them: `r0 server`."""
    return sorted({int(match[1]) for name in units if (match := INSTANCE.match(name))})


def waiting(moving: t.Mapping[str, Move], ended: t.Callable[[str], str]) -> dict[str, str]:
    """By the group's id, why what moves away from a robot must stay for now; groups that can go are left out.

    `ended(robot)` is the status with which the run ended on a robot, empty where it has none.
    """
    found = {}
    for id, move in moving.items():
        late = {index: name for index, name in move["to"].items() if ended(name) not in SETTLED}
        if late:
            where = ", ".join(f"{name}, which is to run r{index}" for index, name in sorted(late.items()))
            found[id] = f"{move['group']} stays here: this run did not succeed on {where}; run again when it does"
    return found
