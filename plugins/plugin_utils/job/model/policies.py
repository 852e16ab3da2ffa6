# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a group may run, and what happens when a task ends, a robot fails or a new version replaces the old one."""

import typing as t

from ..declare.keys import Seconds, Support, key
from ..declare.record import record
from .vocabulary import DelayFunction, JobType, Operand, RestartMode


@record
class Constraint:
    """A condition on robots. A robot that does not meet it gets no instance of the group."""

    l_target: str = key(
        "What to compare: `${attr.<name>}`, `${meta.<label>}`, `${node.unique.name}`, `${node.datacenter}`, `${node.class}`, or text. This "
        "or `rTarget` has one of these names in it.",
        aliases=("ltarget",),
        names_kept=True,
    )
    operand: Operand = key("How to compare them.", default=Operand.EQUAL)
    r_target: str = key("What to compare it with: text, or the same names.", default="", aliases=("rtarget",), names_kept=True)


class Restarts(t.NamedTuple):
    """A restartPolicy with every key filled in. Times are in seconds."""

    attempts: int
    interval: Seconds
    delay: Seconds
    mode: RestartMode


@record
class RestartPolicy:
    """What happens when a task ends that should keep running. Restarts are counted within one interval."""

    attempts: int | None = key("Restarts allowed within one interval. Default: 2, in a batch job 3.", default=None, minimum=0, maximum=1000)
    interval: Seconds | None = key(
        "How long restarts are counted, from the first one; not less than `attempts` times `delay`. Default: 30m, in a batch job 24h.",
        default=None,
        minimum=1,
    )
    delay: Seconds | None = key("Pause before a restart. Default: 15s.", default=None, minimum=0)
    mode: RestartMode | None = key(
        "After the last attempt, `fail` gives up; `delay` waits until the interval ends and starts over. Default: `fail`.", default=None
    )

    def complete(self, of: JobType) -> Restarts:
        """Keys that are left out get Nomad's defaults for the type of job."""
        attempts, interval = (3, Seconds(86400)) if of is JobType.BATCH else (2, Seconds(1800))
        return Restarts(
            attempts=attempts if self.attempts is None else self.attempts,
            interval=interval if self.interval is None else self.interval,
            delay=Seconds(15) if self.delay is None else self.delay,
            mode=self.mode or RestartMode.FAIL,
        )


@record
class ReschedulePolicy:
    """How a failed instance moves to another robot."""

    attempts: int | None = key("Moves allowed within one interval.", default=None, minimum=0)
    interval: Seconds | None = key("How long moves are counted.", default=None, minimum=0)
    delay: Seconds | None = key("Pause before a move.", default=None, minimum=0)
    delay_function: DelayFunction | None = key("How the pause grows from one move to the next.", default=None)
    max_delay: Seconds | None = key("Longest pause.", default=None, minimum=0)
    unlimited: bool | None = key("No limit on attempts.", default=None)


@record
class Update:
    """How a new version replaces the old one, robot by robot."""

    max_parallel: int | None = key("Instances replaced at a time.", default=None, minimum=0, support=Support.NO_EFFECT)
    canary: int | None = key("New instances tried first.", default=None, minimum=0, support=Support.NO_EFFECT)
    min_healthy_time: Seconds = key(
        "A deployment waits until tasks have been up, and their checks passing, for this long.", default=Seconds(2), minimum=0, maximum=3600
    )
    healthy_deadline: Seconds = key(
        "A group whose checks do not pass within this time is rolled back to its last good release.",
        default=Seconds(300),
        minimum=1,
        maximum=86400,
    )
    auto_revert: bool | None = key("On failure, return to the last good version.", default=None, support=Support.NO_EFFECT)
