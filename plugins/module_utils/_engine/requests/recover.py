# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Back to the last good releases after an interrupted switch, by the robot itself at boot."""

from __future__ import annotations

from ..change import recovery
from ..change.perform import silence
from ..state.lock import Lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..state.robot import Robot


def at_boot(robot: Robot) -> None:
    """Called by k8s4r-recover.service before any group starts: no unit of ours runs, and none may be waited for."""
    robot.refuse_newer_formats()
    robot.make()
    with Lock(robot.runtime, "the robot itself", "rolling back an interrupted switch"):
        journal = robot.journal()
        if journal:
            recovery.roll_back_interrupted(robot, journal, progress=silence, boot=True)
