# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""After an interrupted switch: back to the last good releases, by the next run or by the robot itself at boot."""

from __future__ import annotations

from ..state import manifest as manifests
from ..state.journal import FINAL
from .conclusion import conclude
from .groups import Switch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..state.journal import Journal
    from ..state.robot import Robot
    from .perform import Progress

RESTORED = "the last good release was restored"
REMOVED = "what it had begun was removed, since there was no earlier release"


def roll_back_interrupted(robot: Robot, journal: Journal, progress: Progress, boot: bool = False) -> None:
    """Roll back every group that the switch had not finished, and leave its result."""
    manifest = robot.manifest(journal["release"])
    if manifest is None:
        # Nothing was changed before both were written, and the manifest is the first to be written, the last to go.
        robot.end_journal()
        return
    switch = Switch(robot, manifest, journal, progress)
    for job, group in manifests.groups(manifest):
        entry = journal["groups"].get(group["id"])
        if entry is None:
            # The switch had not come to this group: it is still at its last good release.
            entry = {"phase": "rolled-back", "errors": []}
        elif entry["phase"] not in FINAL:
            text = f"{group['name']}: the switch was interrupted; {RESTORED if robot.ledger.group(job, group['id']) else REMOVED}"
            entry = switch.roll_back(job, group, entry["errors"] or [text], boot)
        journal["groups"][group["id"]] = entry
    # The conclusion reads in it whether a group is stuck.
    robot.write_journal(journal)
    conclude(robot, manifest, journal)
