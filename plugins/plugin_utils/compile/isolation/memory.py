# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a group's tasks see as /dev/shm: a file system in memory, of the group's own.

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
from .sharing import shares

if t.TYPE_CHECKING:
    from ....module_utils._engine.plan import Resource
    from ..site import Site


def sees(spec: Task) -> bool:
    """Whether a task sees it; others see the robot's own."""
    return shares(spec).ipc is not Sharing.HOST


def unit(site: Site) -> str:
    """The unit that mounts it."""
    return names.memory_unit(site.id)


def resources(site: Site) -> list[Resource]:
    """The directory and the unit; none where no task sees it."""
    if not called(site):
        return []
    mount = Call(helpers.SHARE_MEMORY, (site.memory, site.user))
    sections: dict[str, systemd.Directives] = {
        "Unit": [("Description", systemd.text(site.title("memory")))],
        "Service": [("Type", "oneshot"), ("RemainAfterExit", "yes"), ("ExecStart", systemd.command(mount.command(site.bin)))],
    }
    return [plan.directory(site.memory, "root", site.user, "1770", volatile=True), plan.unit(unit(site), systemd.unit(sections))]


def called(site: Site) -> set[helpers.Helper]:
    """The helpers that the unit calls."""
    return {helpers.SHARE_MEMORY} if any(map(sees, site.group.tasks)) else set()
