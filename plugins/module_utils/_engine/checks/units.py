# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The units behind all health checks of a robot, as long as a task has any: a service that runs those that are due, and its timer.

Nothing of them stays in memory. The timer's period is the shortest interval of all checks.
"""

from __future__ import annotations

import contextlib
import importlib
import os

from .. import plan
from ..resources import kinds
from ..system import files, own, systemd

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ..plan import Resource
    from ..state.robot import Robot


def service(engine: str) -> str:
    """The unit file. The children that connect to tasks give up what this leaves them."""
    return "\n".join(
        [
            "[Unit]",
            "Description=k8s4r: run the health checks that are due",
            "StartLimitIntervalSec=0",
            "",
            "[Service]",
            "Type=oneshot",
            f"ExecStart={own.program(engine, 'checks.runner')}",
            # Each check has a time limit of its own.
            "TimeoutStartSec=infinity",
            "TimeoutStopSec=5",
            f"RuntimeDirectory={plan.CHECK_STATES[len('/run/') :]}",
            "RuntimeDirectoryMode=0700",
            "RuntimeDirectoryPreserve=yes",
            # Python may be anywhere.
            "ProtectHome=read-only",
            "ProtectSystem=strict",
            # Newer versions of systemd take this for what they say of the unit, too: three lines each time.
            "LogLevelMax=notice",
            "SyslogLevel=notice",
            "",
        ]
    )


def timer(period: float) -> str:
    """The unit file, for a time between two runs."""
    return own.timer("health checks", "OnActiveSec=1s", f"OnUnitActiveSec={period:g}s", "AccuracySec=100ms")


def ensure(robot: Robot, resources: t.Iterable[Resource]) -> None:
    """Have the service there as this engine has it, if these resources need it or others have needed it before."""
    if not own.text(own.CHECKS) and not any(kinds.place(resource).startswith(plan.CHECKS + "/") for resource in resources):
        return
    # That keeps its bytecode, which the service may not write itself.
    for module in ("runner", "script"):
        importlib.import_module(f"{__package__}.{module}")
    os.makedirs(plan.CHECKS, mode=0o755, exist_ok=True)
    own.put({own.CHECKS: service(robot.state + "/engine/current")})


def begin() -> None:
    """Run what is due, and what has not passed yet, and do not wait for it."""
    from . import states

    states.ask()
    systemd.start([own.CHECKS])


def settle() -> None:
    """After a switch: a timer that suits the checks that there are; or nothing, where there are none."""
    if not own.text(own.CHECKS):
        return
    from . import runner, states

    described = states.described()
    if not described:
        _remove()
        return
    changed = own.put({own.CHECKS_TIMER: timer(runner.period(described))}, own.CHECKS_TIMER, runs=True)
    systemd.need(["systemctl", "--no-block", "restart" if changed else "start", own.CHECKS_TIMER], timeout=90)
    own.taken_in(own.CHECKS_TIMER)


def _remove() -> None:
    systemd.stop([own.CHECKS_TIMER, own.CHECKS])
    # One that was stopped in the middle of its work counts as failed, and a unit that has gone would be listed as such until a boot.
    systemd.reset_failed([own.CHECKS])
    own.remove(own.CHECKS_TIMER, own.CHECKS)
    files.remove(plan.CHECK_STATES)
    with contextlib.suppress(OSError):
        os.rmdir(plan.CHECKS)
