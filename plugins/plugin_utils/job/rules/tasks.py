# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What must be true between the keys of a task, or an init task."""

from __future__ import annotations

import collections.abc as c

from ..errors import Finding, Mistake, child, listed
from ..model.task import InitTask, Readiness, Task
from ..variables import variable_too_long
from . import isolation
from .brings import artifacts, drivers, templates

READY_WHEN = ("command", "port", "file", "notify")

# What systemd tells the commands of a unit by variables, systemd.exec(5): how the program ended, and whom to notify. A variable
# of the job would take their place.
SYSTEMD = frozenset(
    {
        "CREDENTIALS_DIRECTORY", "EXIT_CODE", "EXIT_STATUS", "INVOCATION_ID", "JOURNAL_STREAM", "LISTEN_FDNAMES", "LISTEN_FDS",
        "LISTEN_PID", "LISTEN_PIDFDID", "MAINPID", "MAINPIDFDID", "MANAGERPID", "MANAGERPIDFDID", "NOTIFY_SOCKET", "SERVICE_RESULT",
        "SYSTEMD_EXEC_PID", "WATCHDOG_PID", "WATCHDOG_USEC",
    }
)  # fmt: skip

_IN_A_FILE = "put it into a file that the task reads"


def errors(task: Task, path: str, wrong: c.Container[str]) -> c.Iterator[Finding]:
    """What is wrong with a task at `path`. ``wrong``: paths that have an error already."""
    if task.config is not None:
        yield from drivers.errors(task, f"{path}.config", f"{path}.driver" in wrong, wrong)
    yield from _environment(task.env, f"{path}.env")
    yield from artifacts.errors(task.artifacts, f"{path}.artifacts")
    if f"{path}.driver" not in wrong:
        yield from isolation.errors(task, path)
    for number, name in enumerate(task.groups):
        if name == "root":
            remedy = "name the group of what the task needs"
            yield f"{path}.groups[{number}]", Mistake("its members may do what root may", remedy, value=name)
    yield from templates.errors(task, path, wrong)
    if isinstance(task, InitTask) and task.readiness is not None:
        yield from _readiness(task, task.readiness, path)


def warnings(task: Task, path: str) -> c.Iterator[Finding]:
    """What works, but is not what somebody may take it for."""
    yield from isolation.warnings(task, path)
    if isolation.is_confined_root(task):
        what = "under exec, root has no privileges: it can read root's files, but write only to the task's own directories"
        yield f"{path}.user", Mistake(what, "leave user out, or use driver: raw_exec for a program that needs them", value="root")


def _environment(variables: c.Mapping[str, str], path: str) -> c.Iterator[Finding]:
    for name, value in variables.items():
        if name in SYSTEMD:
            yield child(path, name), Mistake("is a variable of systemd's own, for the commands of a unit", "choose another name")
        if value is not None and (why := variable_too_long(name, value)):
            yield child(path, name), Mistake(why, _IN_A_FILE)


def _readiness(task: InitTask, readiness: Readiness, task_path: str) -> c.Iterator[Finding]:
    path = f"{task_path}.readiness"
    given = [key for key in READY_WHEN if getattr(readiness, key) not in (None, False)]
    remedy = f"write exactly one of {listed(READY_WHEN, 'and')}"
    if not given:
        yield path, Mistake("does not say when the daemon is ready", remedy)
    elif len(given) > 1:
        yield path, Mistake(f"has {listed(given, 'and')}", remedy)
    if not task.daemon:
        yield path, Mistake("is for daemons only", "add daemon: true, or remove readiness", rests_on=[f"{task_path}.daemon"])
