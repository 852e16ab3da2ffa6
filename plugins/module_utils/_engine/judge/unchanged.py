# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The short answer: nothing to do for these jobs. Every run waits for it, so it imports and asks little.

The ledger has the digests that the controller sends; what the ledger names is still there, as it should be; and every
unit that should run does.
"""

from __future__ import annotations

from ..state import formats

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ..state.ledger import GroupRecord
    from ..state.manifest import JobRequest
    from ..state.robot import Robot
    from .intact import Compared


def answer(robot: Robot, jobs: t.Iterable[JobRequest], keep_data: bool = False) -> Compared:
    """``unchanged``, with warnings; ``plan-needed`` if the robot is not what these jobs want of it."""
    groups: list[GroupRecord] = []
    for wanted in jobs:
        try:
            record, damage = robot.ledger.load(wanted)
        except formats.Damaged:
            return {"status": "plan-needed"}
        if damage:
            # With the plan, it is written anew.
            return {"status": "plan-needed"}
        if record["state"] == "empty" and wanted.get("empty"):
            continue
        if record["state"] != "whole" or record["plan"] != wanted["digest"]:
            return {"status": "plan-needed"}
        groups += record["groups"].values()
    if not groups:
        return {"status": "unchanged"}
    # Most runs of many jobs ask robots that have nothing of them: those do not wait for these imports.
    from . import intact

    return intact.answer(robot, groups, keep_data)
