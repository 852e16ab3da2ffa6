# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The units behind all log files of a robot, as long as a group has any: the one that writes them, and the holder of FIFOs.

The first names the engine by the link that the boot unit has, and a digest of its own program: when that changes with an engine, it
starts again, which no task notices.
"""

from __future__ import annotations

import contextlib
import os
from time import monotonic

from .. import plan
from ..resources import kinds
from ..say.errors import CommandFailed
from ..state.digest import Digester
from ..state.ledger import known
from ..system import own, systemd

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ..plan import Resource
    from ..state.robot import Robot

# The files of the program.
_PROGRAM = ("files.py", "kernel.py", "rotator.py", "stream.py")


def needed(resources: t.Iterable[Resource]) -> bool:
    """Whether any of them is the configuration of a log."""
    return any(kinds.place(resource).startswith(plan.LOGS + "/") for resource in resources)


def content(engine: str, digest: str) -> str:
    """The unit file. In front of the slice of all groups, it stops after all tasks, and so writes their last lines."""
    return "\n".join(
        [
            f"# {digest}",
            "[Unit]",
            "Description=k8s4r: log files of all tasks",
            f"Before={plan.ROOT_SLICE}",
            f"RequiresMountsFor={plan.TASKS}",
            "StartLimitIntervalSec=0",
            "",
            "[Service]",
            "Type=notify",
            f"ExecStart={own.program(engine, 'logs.rotator')}",
            "Restart=always",
            "RestartSec=0.2",
            "WatchdogSec=20",
            "WatchdogSignal=SIGKILL",
            "TimeoutStopSec=20",
            "OOMScoreAdjust=-500",
            "LimitNOFILE=65536",
            f"ConfigurationDirectory={plan.LOGS[len('/etc/') :]}",
            f"RuntimeDirectory={plan.FIFOS[len('/run/') :]}",
            "RuntimeDirectoryMode=0700",
            "RuntimeDirectoryPreserve=yes",
            # The last one for a pipe as large as the FIFOs: their pages count together, and with more than a hundred tasks there are
            # more than others may have (pipe-user-pages-soft, pipe(7)).
            "CapabilityBoundingSet=CAP_CHOWN CAP_DAC_OVERRIDE CAP_SYS_RESOURCE",
            "NoNewPrivileges=yes",
            "ProtectHome=read-only",
            "ProtectSystem=strict",
            f"ReadWritePaths={plan.TASKS}",
            "RestrictAddressFamilies=AF_UNIX",
            "",
            "[Install]",
            "WantedBy=multi-user.target",
            "",
        ]
    )


def ensure(robot: Robot) -> None:
    """Have both units there as this engine has them, and the one that writes log files running."""
    os.makedirs(plan.TASKS, mode=0o755, exist_ok=True)
    wanted = content(robot.state + "/engine/current", Digester(b"")(_program()))
    changed = own.put({own.ROTATOR: wanted, own.HOLDER: own.HOLDER_UNIT}, own.ROTATOR, soon=True, runs=True)
    # Its unit makes them when it starts. Somebody may have removed them since, and it goes on: it alone still reads what tasks write that
    # have not started again.
    os.makedirs(plan.LOGS, mode=0o755, exist_ok=True)
    os.makedirs(plan.FIFOS, mode=0o700, exist_ok=True)
    began = monotonic()
    try:
        systemd.need(["systemctl", "restart" if changed else "start", own.ROTATOR], timeout=90)
    except CommandFailed as error:
        # systemctl does not say why.
        raise CommandFailed("; ".join([str(error), *systemd.last_words(own.ROTATOR, began)])) from None
    own.taken_in(own.ROTATOR, own.HOLDER)


def remove_unneeded(robot: Robot) -> None:
    """Take both away where no group has a log."""
    if not own.text(own.ROTATOR):
        return
    records, unread = robot.ledger.read()
    groups = [group for record in records for group in record["groups"].values()]
    if unread or any(needed(known(group)) for group in groups):
        return
    systemd.stop([own.ROTATOR])
    own.remove(own.ROTATOR, own.HOLDER)
    for directory in (plan.LOGS, plan.FIFOS):
        # Not empty: what is in there is not ours.
        with contextlib.suppress(OSError):
            os.rmdir(directory)


def _program() -> str:
    """The text of the program. To import it keeps its bytecode, which it cannot do itself: where it is compiled it takes a tenth more
    memory for good.
    """
    from . import rotator

    directory = os.path.dirname(os.path.abspath(rotator.__file__))
    texts = []
    for name in _PROGRAM:
        with open(f"{directory}/{name}", encoding="utf-8") as stream:
            texts.append(stream.read())
    return "".join(texts)
