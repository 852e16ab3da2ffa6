# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a group may run, and what happens when a task ends, a robot fails or a version is replaced."""

from __future__ import annotations

from ..declare.keys import Seconds, key
from ..declare.record import record
from .vocabulary import DelayFunction, Operand, RestartMode


@record
class Constraint:
    """A condition on a robot; a robot that fails it gets no instance of the group."""

    l_target: str = key("What is compared, `${attr.<name>}`, `${meta.<key>}`, `${node.class}` or text.", aliases=("ltarget",))
    operand: Operand = key("How it is compared.", default=Operand.EQUAL)
    r_target: str = key("What it is compared with.", default="", aliases=("rtarget",))


@record
class RestartPolicy:
    """What happens when a task ends though it should run; the attempts count within one interval."""

    attempts: int | None = key("Restarts allowed within one interval.", default=None, minimum=0, maximum=1000)
    interval: Seconds | None = key("Length of the window in which attempts count; it starts with the first one.", default=None, minimum=1)
    delay: Seconds | None = key("Pause before a restart.", default=None, minimum=0)
    mode: RestartMode | None = key("When the attempts are used up: `fail` stops, `delay` waits until the interval ends.", default=None)


@record
class ReschedulePolicy:
    """How a failed instance moves to another robot."""

    attempts: int | None = key("Moves allowed within one interval.", default=None, minimum=0)
    interval: Seconds | None = key("Length of the window in which attempts count.", default=None, minimum=0)
    delay: Seconds | None = key("Pause before a move.", default=None, minimum=0)
    delay_function: DelayFunction | None = key("How the pause grows.", default=None)
    max_delay: Seconds | None = key("Longest pause.", default=None, minimum=0)
    unlimited: bool | None = key("No limit of attempts.", default=None)


@record
class Update:
    """How a new version replaces the old one over the robots."""

    max_parallel: int | None = key("Instances replaced at a time.", default=None, minimum=0)
    canary: int | None = key("New instances tried first.", default=None, minimum=0)
    min_healthy_time: Seconds | None = key("How long an instance must be healthy.", default=None, minimum=0)
    healthy_deadline: Seconds | None = key("Time within which it must become healthy.", default=None, minimum=0)
    auto_revert: bool | None = key("Back to the last good version on failure.", default=None)
