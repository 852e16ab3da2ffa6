# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The log files of a task: it writes into two FIFOs, and the engine's k8s4r-logs.service writes what comes out into files.

A socket unit makes the FIFOs and has them open as long as it is active, so no writer ever meets one without a reader. It outlives
restarts of the task, and the program that writes the files may go and come as it likes.
"""

from __future__ import annotations

import functools
import json
import typing as t

from ....module_utils._engine import plan
from ...job.model.task import Task
from ...job.model.vocabulary import OnFull
from .. import names, systemd
from ..site.placed import PlacedTask
from ..site.site import Site

if t.TYPE_CHECKING:
    from ....module_utils._engine.plan import Resource

# Bytes: what a task may write while nobody reads.
PIPE = 262144
_STREAMS = (("StandardOutput", "stdout"), ("StandardError", "stderr"))


def directives(task: PlacedTask[Task]) -> systemd.Directives:
    """Where a task's unit writes to."""
    return [(directive, f"file:{_fifo(task, stream)}") for directive, stream in _STREAMS]


def directory(task: PlacedTask[Task]) -> str:
    return f"{task.directory}/logs"


def socket(task: PlacedTask[Task]) -> str:
    """The unit that the task's unit requires."""
    return names.log_socket(task.id)


def resources(site: Site, task: PlacedTask[Task]) -> tuple[Resource, ...]:
    """The limits of the files, and the socket unit."""
    logs = task.spec.logs
    holder = names.log_holder(task.id)
    unit = systemd.unit(
        {
            # In no order with the end of the robot's day: it goes when all else has gone.
            "Unit": [("Description", systemd.text(site.title(task.called, "log"))), ("DefaultDependencies", "no")],
            "Socket": [
                *(("ListenFIFO", _fifo(task, stream)) for _directive, stream in _STREAMS),
                # `echo >/dev/stderr` opens it once more.
                *([("SocketUser", task.user)] if task.user != "root" else []),
                ("SocketMode", "0200"),
                # Of all directories that are not there yet: others of ours are beside the one of the FIFOs, which the engine's unit closes.
                ("DirectoryMode", "0755"),
                ("PipeSize", str(PIPE)),
                ("RemoveOnStop", "yes"),
                ("Service", holder),
                # It would be in the way of the next start.
                ("ExecStopPost", f"-systemctl stop {holder}"),
            ],
        }
    )
    return (
        plan.file(f"{plan.LOGS}/{task.id}", _limits(logs.max_files, logs.max_file_size, logs.on_full)),
        plan.unit(socket(task), unit),
    )


@functools.lru_cache(maxsize=256)
def _limits(files: int, size: int, on_full: OnFull) -> str:
    return json.dumps({"maxFiles": files, "maxFileSize": size, "onFull": on_full.value}, sort_keys=True, separators=(",", ":")) + "\n"


def _fifo(task: PlacedTask[Task], stream: str) -> str:
    return f"{plan.FIFOS}/{task.id}.{stream}"
