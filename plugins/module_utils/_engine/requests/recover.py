# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Back to the last good releases after an interrupted switch, by the robot itself at boot."""

from __future__ import annotations

from ..change import recovery
from ..change.perform import silence
from ..resources import kinds
from ..state import formats, results
from ..state.lock import Lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..say.answers import Answer
    from ..state.robot import Robot


# Seconds. A run that comes so early may have the lock for a moment; one that works may wait for units that start after this program.
PATIENCE = 30.0


def at_boot(robot: Robot) -> Answer:
    """Called by k8s4r-recover.service before any group starts: no unit of ours runs, and none may be waited for.

    Only the journal, its manifest and the ledgers of that manifest's jobs must be there to be read; nothing else on the robot may be
    in the way. The answer's ``did`` is what was done, one text per group. ``failed`` where a group could not be rolled back.
    """
    robot.make()
    kinds.hurry()
    with Lock(robot.runtime, "the robot itself", "rolling back an interrupted switch", patience=PATIENCE):
        try:
            releases = recovery.roll_back(robot, progress=silence, boot=True)
        except formats.Unread as error:
            text = "so the interrupted switch is not rolled back, and its groups may be of two releases; the next run tries again"
            return {"status": "failed", "errors": [f"{error.what}, {text}"]}
        found = {release: results.load(robot, release) or {} for release in releases}
    # Of a group that was rolled back, its error is what was done.
    texts = [text for result in found.values() for text in result.get("errors", [])]
    if any(result.get("status") == "failed" for result in found.values()):
        return {"status": "failed", "errors": texts}
    ended = [f"the switch to release {release} had reached its end; what it left is removed" for release in found]
    return {"status": "ok", "did": texts or ended or ["no switch was interrupted"]}
