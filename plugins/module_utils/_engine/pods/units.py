# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The units behind the walls of all pods of a robot, as long as it has any: a service that has them in force, and its timer.

Nothing of them stays in memory. At boot the service comes before every group; later it finds in a few milliseconds that all is well.
"""

from __future__ import annotations

from .. import plan
from ..say.errors import CommandFailed
from ..system import own, systemd

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ..plan import Resource
    from ..state.robot import Robot

# Seconds between two looks. Meanwhile no pod is open to whom it should not be: what is missing closes. The ways between the robot's own
# networks are open for so long after a flush of all rules.
PERIOD = 30
TIMER = own.timer("walls between pods", f"OnActiveSec={PERIOD}s", f"OnUnitActiveSec={PERIOD}s", "AccuracySec=5s")


def service(engine: str) -> str:
    """The unit file. Those that begin with a flush of everybody's rules are done by then."""
    return "\n".join(
        [
            "[Unit]",
            "Description=k8s4r: keep the walls between pods, and their published ports, in force",
            f"RequiresMountsFor={plan.STATE}",
            f"Before={plan.ROOT_SLICE}",
            "After=nftables.service netfilter-persistent.service firewalld.service",
            "StartLimitIntervalSec=0",
            "",
            "[Service]",
            "Type=oneshot",
            f"ExecStart={own.program(engine, 'pods.walls')}",
            "TimeoutStartSec=infinity",
            # Newer versions of systemd take this for what they say of the unit, too: three lines each time.
            "LogLevelMax=notice",
            "SyslogLevel=notice",
            "",
            "[Install]",
            "WantedBy=multi-user.target",
            "",
        ]
    )


def ensure(robot: Robot, resources: t.Iterable[Resource]) -> None:
    """Have both there as this engine has them, if these resources need them or others have needed them before."""
    if own.text(own.WALLS) or has_pods(resources):
        own.put({own.WALLS: service(robot.state + "/engine/current")}, own.WALLS)
        if own.put({own.WALLS_TIMER: TIMER}, own.WALLS_TIMER, runs=True):
            systemd.need(["systemctl", "--no-block", "restart", own.WALLS_TIMER], timeout=90)
            own.taken_in(own.WALLS_TIMER)


def enforce(resources: t.Iterable[Resource]) -> list[str]:
    """Have the walls as the files of all pods say now, where there is a pod among these resources; what prevents it, in a text."""
    return _in_force() if has_pods(resources) else []


def settle() -> list[str]:
    """After a switch: walls as the files of the pods say now; or nothing, where there are none. What fails here is told, and the timer
    tries it again.
    """
    if not own.text(own.WALLS):
        return []
    from . import files

    failed = _in_force()
    if files.any_there() or failed:
        # Somebody may have stopped it.
        systemd.ask(["systemctl", "--no-block", "start", own.WALLS_TIMER], timeout=90)
        return [f"{text}; {own.WALLS_TIMER} tries again every {PERIOD} s" for text in failed]
    systemd.stop([own.WALLS_TIMER, own.WALLS])
    own.remove(own.WALLS_TIMER, own.WALLS)
    return []


def has_pods(resources: t.Iterable[Resource]) -> bool:
    """Whether there is a pod among these."""
    return any(resource.get("path", "").startswith(plan.PODS + "/") for resource in resources)


def _in_force() -> list[str]:
    """Here and not by the service: one that is at work already has read the files as they were before."""
    from . import walls

    try:
        walls.ensure()
    except (CommandFailed, OSError) as error:
        return [f"the walls between pods could not be put up: {error}"]
    return []
