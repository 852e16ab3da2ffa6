# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a group's tasks see as /dev/shm: a file system in memory, of the group's own, or of each pod's.

A unit mounts it once for all of them. If each task's unit did so before its program starts, systemd would set up the task's view of the
robot for that command, too: a task would take half as long again to start.
"""

from __future__ import annotations

import typing as t

from ....module_utils._engine import plan
from ...job.model.task import Task
from ...job.model.vocabulary import Sharing
from .. import helpers, names, systemd
from ..helpers import Call
from .sharing import enters, shares

if t.TYPE_CHECKING:
    from ....module_utils._engine.plan import Resource
    from ..site.site import Site


# With a size it is started again with each task, because another release or another instance may have changed the size; and nothing
# stays that an earlier one without a size has left.
_AGAIN: systemd.Directives = [("StartLimitIntervalSec", "0"), ("StopWhenUnneeded", "yes")]
# Nobody is told each time that this was done.
_QUIET: systemd.Directives = [("LogLevelMax", "notice"), ("SyslogLevel", "notice")]


def sees(site: Site, spec: Task) -> bool:
    """Whether a task sees it; others see the robot's own, and a container that is in no pod has one of its own."""
    return shares(spec).ipc is not Sharing.HOST or enters(site, spec)


def unit(site: Site, instance: int | None) -> str:
    """The unit that mounts it, for a task of an instance."""
    pod = site.pod_of(instance)
    return names.memory_unit(pod.id if pod else site.id)


def place(site: Site, instance: int | None) -> str:
    """Where it is on the robot: pods share none."""
    pod = site.pod_of(instance)
    return f"{plan.RUNTIME}/{plan.SHARED_MEMORY}/{pod.id}" if pod else site.memory


def resources(site: Site) -> list[Resource]:
    """The directory and the unit, or those of each pod; none where no task sees it."""
    if not called(site):
        return []
    return [resource for instance in (site.instances if site.are_pods else (None,)) for resource in _mounted(site, instance)]


def _mounted(site: Site, instance: int | None) -> list[Resource]:
    at = place(site, instance)
    size = bound(site, instance)
    mount = Call(helpers.SHARE_MEMORY, (at, site.user, *([str(size)] if size else [])))
    more = () if instance is None else (f"r{instance}",)
    sections: dict[str, systemd.Directives] = {
        "Unit": [("Description", systemd.text(site.title(*more, "memory"))), *(_AGAIN if size else [])],
        "Service": [
            ("Type", "oneshot"),
            *(_QUIET if size else [("RemainAfterExit", "yes")]),
            ("ExecStart", systemd.command(mount.command(site.bin))),
        ],
    }
    label = " of ".join(("shared memory", *more))
    made = plan.unit(unit(site, instance), systemd.unit(sections), label=label)
    return [plan.directory(at, "root", site.user, "1770", volatile=True), made]


def bound(site: Site, instance: int | None) -> int | None:
    """The most bytes that it holds: the group's memory, or that of all tasks that see it, where each has a limit. What a task leaves there
    when it ends counts as no other's, so their own limits would let it grow with each restart.
    """
    whole = site.group.resources.memory if site.group.resources else None
    each = [spec.resources.memory for spec in site.group.tasks if sees(site, spec)]
    limited = [int(memory) for memory in each if memory is not None]
    times = len(site.instances) if instance is None else 1
    sums = [sum(limited) * times] if limited and len(limited) == len(each) else []
    return min([*sums, *([int(whole)] if whole is not None else [])], default=None)


def called(site: Site) -> set[helpers.Helper]:
    """The helpers that the unit calls."""
    return {helpers.SHARE_MEMORY} if any(sees(site, spec) for spec in site.group.tasks) else set()
