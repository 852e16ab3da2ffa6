# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much tasks may keep on the disk: each task that has a size of its own, and the group with all others.

Every directory is counted once, so what counts for a task does not count for its group. Logs have bounds of their own. What
units of batch tasks note of them, as root, must never find the disk full.
"""

from __future__ import annotations

import typing as t

from ....module_utils._engine import plan
from .. import names
from ..site.placed import PlacedTask
from ..site.site import Site

if t.TYPE_CHECKING:
    from ....module_utils._engine.plan import Expected, Resource
    from ...job.model.task import Task


def resources(site: Site) -> t.Iterator[Resource]:
    """The quotas of a group and of its tasks; none on a robot that cannot enforce them."""
    if not site.enforces_quotas:
        return
    if site.disk:
        size, path = site.disk
        yield plan.quota(site.id, names.project(site.id), size, _directories(site), site.where(path), "disk limit")
    for task in _all(site):
        if task.spec.resources.disk:
            where = site.where(f"{task.path}.resources.disk")
            size, label = int(task.spec.resources.disk), f"disk limit of {task.called}"
            yield plan.quota(task.id, names.project(task.id), size, [_local(task)], where, label)


def among(site: Site, others: t.Iterable[Resource]) -> t.Iterator[Resource]:
    """What is made for a group's units, with the quotas as soon as all is there that they count, and before it is filled: what comes with
    a larger size may need it.
    """
    made = list(resources(site))
    counted: list[Resource] = []
    filling: list[Resource] = []
    for each in others:
        (counted if made and each["kind"] == "directory" else filling).append(each)
    yield from (*counted, *made, *filling)


def expected(site: Site) -> t.Iterator[Expected]:
    """The room that must be there on any robot."""
    if site.disk:
        size, path = site.disk
        yield plan.expected("disk", " ".join([str(size), *_directories(site)]), site.where(path))
    for task in _all(site):
        if task.spec.resources.disk:
            yield plan.expected("disk", f"{task.spec.resources.disk} {_local(task)}", site.where(f"{task.path}.resources.disk"))


def _directories(site: Site) -> list[str]:
    return [site.alloc, site.tmp, *(_local(task) for task in _all(site) if not task.spec.resources.disk)]


def _all(site: Site) -> tuple[PlacedTask[Task], ...]:
    return (*site.init_tasks, *site.tasks)


def _local(task: PlacedTask[Task]) -> str:
    return f"{task.directory}/local"
