# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""After an interrupted switch: back to the last good releases, by the next run or by the robot itself at boot."""

from __future__ import annotations

from ..judge import handover
from ..state import manifest as manifests
from .conclusion import conclude
from .groups import Switch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..state.journal import Journal
    from ..state.ledger import GroupRecord
    from ..state.robot import Robot
    from .perform import Progress


def roll_back_interrupted(robot: Robot, journal: Journal, progress: Progress, boot: bool = False) -> None:
    """Roll back every group that the switch had not finished, and leave its result."""
    manifest = robot.manifest(journal["release"])
    if manifest is None:
        # Nothing was changed before both were written, and the manifest is the first to be written, the last to go.
        robot.end_journal()
        return
    for job, group in manifests.groups(manifest):
        entry = journal["groups"].get(group["id"])
        if entry and entry["phase"] == "forward":
            entry["errors"] = [f"{group['name']}: the switch was interrupted; {_back_to(robot.ledger.group(job, group['id']))}"]
    switch = Switch(robot, manifest, journal, progress)
    for members in handover.bundles(manifest, robot.ledger, journal["spare"]):
        switch.recover(members, boot)
    conclude(robot, manifest, journal)


def _back_to(record: GroupRecord | None) -> str:
    return "the last good release was restored" if record else "what it had begun was removed, since there was no earlier release"
