# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What must be true between the walls of a task, its driver and user, and its siblings."""

from __future__ import annotations

import collections.abc as c

from ..errors import Finding, Mistake, listed
from ..model.group import TaskGroup
from ..model.isolation import Isolation
from ..model.task import InitTask, Task
from ..model.vocabulary import HARMLESS, Files, Sharing, Users

_NAMESPACES = {"ipc": "IPC", "pid": "process IDs", "uts": "a host name", "users": "users"}
_STRENGTH = tuple(Files)
# What reaches beyond the task all the same.
_FAR = {
    "NET_RAW": "with it, a program can read and forge all that the robot sends and receives, also in plaintext on 127.0.0.1",
    "SYS_TIME": "with it, a program can set the robot's clock, and with a wrong one no certificate is valid",
}
_PRIORITIES = "SYS_NICE"


def is_confined_root(task: Task) -> bool:
    """Whether it is the robot's root, without its privileges."""
    return task.user_on_robot == "root" and task.confined and not isinstance(task, InitTask)


def errors(task: Task, path: str) -> c.Iterator[Finding]:
    """What is wrong with the isolation of a task whose driver is known. ``path`` is the task's."""
    asked, path = task.isolation or Isolation(), f"{path}.isolation"
    if task.contained:
        if asked != Isolation():
            yield path, Mistake("a container is isolated by its engine, not by these keys", "remove it, or use exec")
        return
    if isinstance(task, InitTask) or not task.confined:
        yield from _without_walls(task, asked, path)
    else:
        yield from _between_walls(task, asked, path)
    for number, name in enumerate(asked.capabilities):
        if name not in (None, *HARMLESS):
            remedy = f"have an init task do what needs it, or use driver: raw_exec; exec may have {listed(HARMLESS)}"
            yield f"{path}.capabilities[{number}]", Mistake("with it, a program could break out of exec's isolation", remedy, value=name)


def warnings(task: Task, path: str) -> c.Iterator[Finding]:
    """What works, but may be more than somebody meant."""
    for number, name in enumerate(task.isolation.capabilities if task.isolation else ()):
        if name in _FAR and task.confined:
            yield f"{path}.isolation.capabilities[{number}]", Mistake(_FAR[name], "remove it, unless that is meant", value=name)


def _between_walls(task: Task, asked: Isolation, path: str) -> c.Iterator[Finding]:
    if asked.pid is Sharing.HOST:
        if is_confined_root(task):
            yield f"{path}.pid", Mistake("as root, it could signal every process of the robot", "name another user", value="host")
        if asked.files not in (None, Files.READONLY):
            why = "it reaches everything that other processes of its user can see"
            yield f"{path}.files", Mistake(f"with pid: host, {why}", "remove one of them, or write pid: own", value=asked.files.value)
        for number, name in enumerate(asked.capabilities):
            if name == _PRIORITIES:
                why = "with pid: host, it would reach every process of the robot"
                yield f"{path}.capabilities[{number}]", Mistake(why, "remove one of them, or write pid: group", value=name)
    if asked.capabilities and task.users_of_its_own:
        why = "with users of its own, a program's capabilities count for nothing on the robot"
        yield f"{path}.users", Mistake(why, "remove users or capabilities", value=Users.OWN.value)


def _without_walls(task: Task, asked: Isolation, path: str) -> c.Iterator[Finding]:
    init = isinstance(task, InitTask)
    for key, what in _NAMESPACES.items():
        shared: Sharing | Users | None = getattr(asked, key)
        if shared not in (None, Sharing.HOST, Users.HOST):
            of_init = f"init tasks see the robot as it is, and share its {what.removeprefix('a ')}"
            why = of_init if init else f"only exec and java give a task {what} of its own"
            yield f"{path}.{key}", Mistake(why, "remove it", value=shared.value)
    if asked.capabilities:
        why = "init tasks have those of their user" if init else "only exec and java take privileges from a task, and leave it some"
        yield f"{path}.capabilities", Mistake(why, "remove it")
    if asked.files:
        why = "init tasks see the robot as it is, and share its files" if init else "only exec and java hide files from a task"
        yield f"{path}.files", Mistake(why, "remove it", value=asked.files.value)


def among(group: TaskGroup, path: str) -> c.Iterator[Finding]:
    """What is wrong between tasks that share processes: what one of them sees, the others of its user reach through it."""
    sharing = {n: task for n, task in enumerate(group.tasks) if task and task.isolation and task.isolation.pid is Sharing.GROUP}
    for number, task in sharing.items():
        weaker = [n for n, other in sharing.items() if other.user_on_robot == task.user_on_robot and _strength(other) < _strength(task)]
        if weaker and task.isolation and task.isolation.files:
            why = f"{path}.tasks[{weaker[0]}] shares processes with it, and each can reach whatever the other sees"
            remedy = "write the same files for both, or pid: own"
            yield f"{path}.tasks[{number}].isolation.files", Mistake(why, remedy, value=task.isolation.files.value)


def _strength(task: Task) -> int:
    return _STRENGTH.index((task.isolation.files if task.isolation else None) or Files.READONLY)
