# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What must be true between limits: of a task, of its group, and of both."""

from __future__ import annotations

import collections.abc as c

from ..errors import Finding, Mistake
from ..model.group import TaskGroup
from ..model.resources import Resources

# Limits of one process, which a slice does not have.
_OF_PROCESSES = {"open_files": "openFiles", "locked_memory": "lockedMemory", "nice": "nice", "realtime": "realtime"}


def errors(group: TaskGroup, path: str) -> c.Iterator[Finding]:
    """What is wrong with the limits of a group at `path` and of its tasks."""
    if group.resources:
        for attribute, key in _OF_PROCESSES.items():
            if getattr(group.resources, attribute) is not None:
                yield (
                    f"{path}.resources.{key}",
                    Mistake("is a limit of one process, and a group has many", "write it in each task's resources"),
                )
        yield from _errors(group.resources, f"{path}.resources")
    whole = numbers(group.resources.cpus) if group.resources and group.resources.cpus else None
    for key, members in (("initTasks", group.init_tasks), ("tasks", group.tasks)):
        for number, task in enumerate(members):
            if task is None:
                continue
            at = f"{path}.{key}[{number}].resources"
            yield from _errors(task.resources, at)
            outside = numbers(task.resources.cpus) - whole if task.resources.cpus and whole else set()
            if outside:
                yield (
                    f"{at}.cpus",
                    Mistake("names CPUs that the group's own cpus does not", "name some of those", value=task.resources.cpus or ""),
                )


def _errors(resources: Resources, path: str) -> c.Iterator[Finding]:
    if resources.cpus and not numbers(resources.cpus):
        yield f"{path}.cpus", Mistake("a range begins with its lowest number", "", value=resources.cpus)
    if resources.memory_high and resources.memory and resources.memory_high >= resources.memory:
        yield f"{path}.memoryHigh", Mistake("has no effect, because memory is not above it", "write less, or remove it")


def numbers(cpus: str) -> set[int]:
    """The CPUs of a list such as `0,2-3`; none if a range is the wrong way round."""
    found: set[int] = set()
    for part in cpus.split(","):
        first, _dash, last = part.partition("-")
        here = range(int(first), int(last or first) + 1)
        if not here:
            return set()
        found.update(here)
    return found
