# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Limits of a task, which hold for all its processes together or for each of them, and of a group."""

from __future__ import annotations

from ....module_utils._engine import plan
from ...job.model.resources import Resources
from .. import systemd

# Defaults: one keeps a fork bomb within its task, the other is what most programs of today are made for.
TASKS_MAX, OPEN_FILES = 1024, 65536


def of_all(resources: Resources | None, tasks: int | None = TASKS_MAX) -> systemd.Directives:
    """Hard limits of a service or slice; `tasks` where the job names none. A memory limit allows no swap on top: swapping would
    wear out a robot's flash.
    """
    lines = [("CPUAccounting", "yes"), ("MemoryAccounting", "yes"), ("TasksAccounting", "yes")]
    if resources and resources.cpu:
        lines.append(("CPUQuota", f"{resources.cpu / 10:g}%"))
    if resources and resources.memory:
        lines += [("MemoryMax", str(int(resources.memory))), ("MemorySwapMax", "0")]
    if resources and resources.memory_high:
        lines.append(("MemoryHigh", str(int(resources.memory_high))))
    if resources and (resources.io_weight or resources.iops):
        lines.append(("IOAccounting", "yes"))
    if resources and resources.io_weight:
        lines.append(("IOWeight", str(resources.io_weight)))
    if resources and resources.iops:
        # Of the device that the file system with this path is on.
        lines += [(directive, f"{plan.STATE} {resources.iops}") for directive in ("IOReadIOPSMax", "IOWriteIOPSMax")]
    most = (resources.tasks if resources else None) or tasks
    return [*lines, ("TasksMax", str(most))] if most else lines


def of_each(resources: Resources, cpus: str | None) -> systemd.Directives:
    """What systemd sets for each process of a service, and does not know of a slice. `cpus` may be the group's."""
    lines = [("LimitNOFILE", str(resources.open_files or OPEN_FILES))]
    if cpus:
        # On cgroup v1 the first alone has an effect, and a program may undo it.
        lines += [("CPUAffinity", cpus), ("AllowedCPUs", cpus)]
    if resources.locked_memory is not None:
        lines.append(("LimitMEMLOCK", str(int(resources.locked_memory))))
    if resources.nice is not None:
        lines.append(("Nice", str(resources.nice)))
    if resources.realtime:
        priority = str(resources.realtime.priority)
        lines += [("CPUSchedulingPolicy", resources.realtime.policy.value), ("CPUSchedulingPriority", priority), ("LimitRTPRIO", priority)]
    return lines
