# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What must be true between the hooks, the sidecars and the leader of a group."""

from __future__ import annotations

import collections.abc as c

from ..errors import Finding, Mistake, listed
from ..model.group import TaskGroup
from ..model.task import InitTask
from ..model.vocabulary import Hook


def errors(group: TaskGroup, path: str) -> c.Iterator[Finding]:
    """What is wrong with the hooks of a group at `path`."""
    for number, init in enumerate(group.init_tasks or ()):
        if init is not None:
            yield from _of_init(init, f"{path}.initTasks[{number}]")
    tasks = [(f"{path}.tasks[{number}]", task) for number, task in enumerate(group.tasks or ()) if task is not None]
    leader = ""
    for place, task in tasks:
        if task.lifecycle and task.lifecycle.hook is Hook.POSTSTOP and task.lifecycle.sidecar:
            why = "a poststop hook runs when all others of its instance have ended, sidecars too, so this one would wait for itself"
            yield f"{place}.lifecycle.sidecar", Mistake(why, "remove it", value="true")
        if task.shutdown_delay and task.lifecycle and not task.lifecycle.sidecar:
            yield f"{place}.shutdownDelay", Mistake("it runs to its end, so nothing is waited for when it is stopped", "remove it")
        if not task.leader:
            continue
        if task.lifecycle:
            why = "the end of a hook cannot end the tasks that it runs before or after"
            yield f"{place}.leader", Mistake(why, "write it on a task without lifecycle, or remove it", value="true")
        elif leader:
            yield f"{place}.leader", Mistake(f"{leader} is the leader already", "a group has at most one", value="true")
        leader = leader or place
    # A task that could not be read may be the main one.
    if tasks and len(tasks) == len(group.tasks) and all(task.lifecycle for _place, task in tasks):
        hooks = listed([task.name or "?" for _place, task in tasks], "and")
        remedy = "add a task without lifecycle, or make init tasks of them"
        yield f"{path}.tasks", Mistake(f"has only hooks ({hooks}), and no task that they could run before or after", remedy)


def _of_init(init: InitTask, path: str) -> c.Iterator[Finding]:
    why = "init tasks run in their order before all tasks, once for all instances"
    if init.shutdown_delay and not init.daemon:
        yield f"{path}.shutdownDelay", Mistake("it runs to its end, so nothing is waited for when it is stopped", "remove it")
    if init.lifecycle:
        yield f"{path}.lifecycle", Mistake(why, "remove it, or move the task to tasks")
    if init.leader:
        yield f"{path}.leader", Mistake(why, "remove it, or move the task to tasks", value="true")
