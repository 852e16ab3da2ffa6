# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Places of the robot that a task sees."""

from ...declare.keys import key
from ...declare.record import record
from ..vocabulary import PLACE


@record
class Volume:
    """A directory or file of the robot, and the path at which the task sees it."""

    source: str = key("Path on the robot.", pattern=PLACE, expected="an absolute path without a colon")
    target: str = key("Path at which the task sees it.", pattern=PLACE, expected="an absolute path without a colon")
    read_only: bool = key("The task cannot change it.", default=False)
