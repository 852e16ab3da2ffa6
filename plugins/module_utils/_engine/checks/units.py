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
import sys

from .. import plan
from ..resources import kinds
from ..system import files, own, systemd

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ..plan import Resource
    from ..state.robot import Robot

_SERVICE, _TIMER = (f"{plan.UNIT_DIRECTORY}/{name}" for name in (own.CHECKS, own.CHECKS_TIMER))
_WANTS = f"{plan.STARTED_AT_BOOT}/{own.CHECKS_TIMER}"


def service(python: str, engine: str, package: str) -> str:
    """The unit file. The children that connect to tasks give up what this leaves them."""
    program = f"import sys; sys.path.insert(0, '{engine}'); from {package}.checks.runner import main; main()"
    return "\n".join(
        [
            "[Unit]",
            "Description=k8s4r: run the health checks that are due",
            "StartLimitIntervalSec=0",
            "",
            "[Service]",
            "Type=oneshot",
            f'ExecStart={python} -I -S -c "{program}"',
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
    return "\n".join(
        [
            "[Unit]",
            "Description=k8s4r: health checks",
            "",
            "[Timer]",
            "OnActiveSec=1s",
            f"OnUnitActiveSec={period:g}s",
            "AccuracySec=100ms",
            "",
            "[Install]",
            "WantedBy=multi-user.target",
            "",
        ]
    )


def ensure(robot: Robot, resources: t.Iterable[Resource]) -> None:
    """Have the service there as this engine has it, if these resources need it or others have needed it before."""
    if not os.path.exists(_SERVICE) and not any(kinds.place(resource).startswith(plan.CHECKS + "/") for resource in resources):
        return
    package = __name__.partition(".")[0]
    text = service(sys.executable, robot.state + "/engine/current", package)
    # That keeps its bytecode, which the service may not write itself.
    for module in ("runner", "script"):
        importlib.import_module(f"{__package__}.{module}")
    os.makedirs(plan.CHECKS, mode=0o755, exist_ok=True)
    if _read(_SERVICE) != text:
        files.write(_SERVICE, text.encode("utf-8"), 0, 0, 0o644)
        systemd.reload()


def begin() -> None:
    """Run what is due, and what has not passed yet, and do not wait for it."""
    from . import states

    states.ask()
    systemd.start([own.CHECKS])


def settle() -> None:
    """After a switch: a timer that suits the checks that there are; or nothing, where there are none."""
    if not os.path.exists(_SERVICE):
        return
    from . import runner, states

    described = states.described()
    if not described:
        _remove()
        return
    text = timer(runner.period(described))
    same = _read(_TIMER) == text and os.path.islink(_WANTS)
    if not same:
        files.write(_TIMER, text.encode("utf-8"), 0, 0, 0o644)
        files.link(_WANTS, f"../{own.CHECKS_TIMER}")
        systemd.reload()
    systemd.need(["systemctl", "--no-block", "start" if same else "restart", own.CHECKS_TIMER], timeout=90)


def _remove() -> None:
    systemd.stop([own.CHECKS_TIMER, own.CHECKS])
    for path in (_WANTS, _TIMER, _SERVICE, plan.CHECK_STATES):
        files.remove(path)
    with contextlib.suppress(OSError):
        os.rmdir(plan.CHECKS)
    systemd.reload()


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as stream:
            return stream.read()
    except FileNotFoundError:
        return ""
