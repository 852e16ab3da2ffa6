# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a robot can do, and has, what a group asks for.

What a robot once reported of itself is compared with the truth before anything changes.
"""

from __future__ import annotations

import typing as t

from ..job.errors import Problem
from ..job.model.resources import Resources
from ..job.rules.resources import numbers
from .site import Site
from .systemd import FAITHFUL_ENVIRONMENT

# That of Ubuntu 20.04, the oldest system with all that our units use: their directives, and unshare and setpriv as they call them.
OLDEST_SYSTEMD = 245

# So many cores and more, and so many times what a robot has, are somebody's megahertz: Nomad counts in them.
_MEGAHERTZ, _TIMES = 10, 4


def errors(site: Site) -> t.Iterator[Problem]:
    """What this robot cannot do. systemd would ignore it silently, or promise what is not there."""
    robot = site.robot
    if robot.systemd < OLDEST_SYSTEMD:
        found = f"robot {robot.name} has systemd {robot.systemd}, and the oldest that can run a group is {OLDEST_SYSTEMD}"
        yield site.problem(site.path, found, "exclude the robot by a constraint, or update it")
    unlimited = robot.capabilities.get("cgroup.memory") == "no"
    cores = _number(site, "cpu.numcores")
    for path, resources in _limited(site):
        if unlimited and resources.memory:
            found = f"robot {robot.name} cannot limit memory: its kernel has the memory controller turned off"
            remedy = "boot it with cgroup_enable=memory on the kernel's command line, or remove the limit"
            yield site.problem(f"{path}.memory", found, remedy)
        if cores and resources.cpu and resources.cpu > cores * 1000:
            found = f"asks for {resources.cpu / 1000:g} cores, and robot {robot.name} has {cores}"
            yield site.problem(f"{path}.cpu", found, _fewer(resources.cpu, cores))
        if cores and resources.cpus and max(numbers(resources.cpus), default=0) >= cores:
            found = f"names CPU {max(numbers(resources.cpus))}, and robot {robot.name} has 0 to {cores - 1}"
            yield site.problem(f"{path}.cpus", found, "name others, or exclude the robot by a constraint")
        if resources.realtime and robot.capabilities.get("realtime") == "no":
            found = f"robot {robot.name} cannot give it: its kernel, or its container, refuses real-time scheduling"
            yield site.problem(f"{path}.realtime", found, "remove it, or exclude the robot by a constraint")


def lacks(capabilities: t.Mapping[str, str]) -> t.Iterator[str]:
    """What a robot that reports this cannot do of what a job file may ask for, and why."""
    systemd, cgroup = int(capabilities["systemd"]), capabilities.get("cgroup")
    if systemd < OLDEST_SYSTEMD:
        yield f"task groups: systemd {systemd} is older than {OLDEST_SYSTEMD}"
        return
    if capabilities.get("cgroup.memory") == "no":
        yield "limits of memory: the memory controller is turned off; boot with cgroup_enable=memory"
    if cgroup == "1":
        yield "memoryHigh and ioWeight, and a program may undo its cpus: cgroup v1"
    if capabilities.get("realtime") == "no":
        yield "realtime: its kernel, or its container, refuses real-time scheduling"
    if systemd < FAITHFUL_ENVIRONMENT:
        yield f"some values of variables, which are refused: systemd is older than {FAITHFUL_ENVIRONMENT}"
    if capabilities.get("ipv6") == "no":
        yield "IPv6: its kernel has it turned off"


def warnings(site: Site) -> t.Iterator[Problem]:
    """What this robot can do, but to no effect."""
    memory = _number(site, "memory.totalbytes")
    for path, resources in _limited(site):
        if memory and resources.memory and resources.memory > memory:
            asked, there = _mebibytes(resources.memory), _mebibytes(memory)
            yield site.problem(f"{path}.memory", f"a limit of {asked} has no effect on robot {site.robot.name}, which has {there}")
        for key, value in (("memoryHigh", resources.memory_high), ("ioWeight", resources.io_weight)):
            if value and site.robot.capabilities.get("cgroup") == "1":
                yield site.problem(f"{path}.{key}", f"has no effect on robot {site.robot.name}, which has cgroup v1")


def _limited(site: Site) -> t.Iterator[tuple[str, Resources]]:
    """All limits of the group, with their places in the job file."""
    if site.group.resources:
        yield f"{site.path}.resources", site.group.resources
    for init in site.init_tasks:
        yield f"{init.path}.resources", init.spec.resources
    for number, spec in enumerate(site.group.tasks):
        yield f"{site.path}.tasks[{number}].resources", spec.resources


def _number(site: Site, capability: str) -> int:
    """A capability that is a number; 0 if the robot has reported none."""
    text = site.robot.capabilities.get(capability, "")
    return int(text) if text.isdigit() else 0


def _fewer(asked: int, cores: int) -> str:
    whole = asked // 1000
    if asked % 1000 == 0 and whole >= max(_MEGAHERTZ, _TIMES * cores):
        return f"did you mean {whole}m (thousandths of a core)?"
    return f"write at most {cores}, or exclude the robot by a constraint"


def _mebibytes(size: int) -> str:
    return f"{size / 2**20:,.0f} MiB"
