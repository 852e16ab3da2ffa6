# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What must be on the robot before a switch may begin: the unit that rolls an interrupted one back at boot, and its engine.

The unit names the engine by a link, which every release moves to the engine that staged it, so the unit file need not
change with an upgrade.
"""

from __future__ import annotations

import os

from ..plan import ROOT_SLICE
from ..system import files, own

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..state.robot import Robot


def content(python: str, engine: str, journal: str) -> str:
    """The unit file. Every unit in a slice is ordered after the slice, so one line puts it before all groups."""
    return "\n".join(
        [
            "[Unit]",
            "Description=k8s4r: go back to the last good release after an interrupted switch",
            # The journal or its copy.
            f"ConditionPathExistsGlob={journal}*",
            # Mounts that may fail, or come from the network, are not there at that time by themselves.
            f"RequiresMountsFor={os.path.dirname(journal)}",
            f"Before={ROOT_SLICE}",
            "",
            "[Service]",
            "Type=oneshot",
            f"ExecStart={python} -I -S {engine} recover",
            "",
            "[Install]",
            "WantedBy=multi-user.target",
            "",
        ]
    )


def use(robot: Robot) -> str:
    """Make this engine the one that the engine's own units run; the link to it."""
    current = robot.state + "/engine/current"
    digest = os.path.basename(os.path.realpath(own.engine_home()))
    if not os.path.islink(current) or os.readlink(current) != digest:
        files.link(current, digest)
    return current


def ensure(robot: Robot) -> None:
    """Make this engine the one that rolls an interrupted switch back."""
    own.put({own.RECOVERY: content(own.python(), use(robot), robot.journal_path)}, own.RECOVERY)
