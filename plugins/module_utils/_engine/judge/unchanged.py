# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The short answer: nothing to do for these jobs. Every run waits for it, so it imports and asks little.

The ledger holds the digests that the controller sends; what the ledger says is there is still there, as it should be;
and every unit that should run does.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ..plan import JobRequest
    from ..state.ledger import GroupRecord
    from ..state.robot import Robot


def unchanged(robot: Robot, jobs: t.Iterable[JobRequest], keep_data: bool = False) -> list[str] | None:
    """None where the robot is not what these jobs want of it; else what a person should know all the same, mostly nothing."""
    groups: list[GroupRecord] = []
    for wanted in jobs:
        record = robot.ledger.of(wanted)
        if record["state"] == "empty" and wanted.get("empty"):
            continue
        if record["state"] != "whole" or record["plan"] != wanted["digest"]:
            return None
        groups += record["groups"].values()
    if not groups:
        return []
    # Most runs of many jobs ask robots that hold nothing of them: those do not wait for these imports.
    from . import intact

    return intact.notices(robot, groups, keep_data)
