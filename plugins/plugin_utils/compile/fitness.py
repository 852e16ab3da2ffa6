# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a robot can do, and has, what a group asks for.

What a robot once reported of itself is compared with the truth before anything changes.
"""

from __future__ import annotations

import typing as t

from ..fleet.robots import Robot
from ..job.errors import Problem
from ..job.model.resources import Resources
from ..job.model.task import Task
from ..job.model.vocabulary import Driver, Sharing
from ..job.rules.resources import numbers
from .site.placed import PlacedTask
from .site.site import Site
from .systemd import FAITHFUL_ENVIRONMENT, HIDES_PROCESSES, MAPS_USERS

# That of Ubuntu 20.04, the oldest system with all that our units use: their directives, and unshare and setpriv as they call them.
OLDEST_SYSTEMD = 245

# So many cores and more, and so many times what a robot has, are somebody's megahertz: Nomad counts in them.
_MEGAHERTZ, _TIMES = 10, 4


class Lack(t.NamedTuple):
    """Something that a robot cannot do. `what` is what a job cannot have there, `why` is the reason, and `test` sees it in what the robot
    reports of itself: systemd's major version, and all by name.
    """

    what: str
    why: str
    test: t.Callable[[int, t.Mapping[str, str]], bool]

    def on(self, robot: Robot) -> bool:
        return self.test(robot.systemd, robot.capabilities)


MEMORY = Lack("limits of memory", "the memory controller is turned off", lambda _systemd, found: found.get("cgroup.memory") == "no")
CGROUP = Lack(
    "memoryHigh, ioWeight and iops, and cpus that a program cannot undo",
    "it has cgroup v1",
    lambda _systemd, found: found.get("cgroup") == "1",
)
REALTIME = Lack("realtime", "its kernel, or its container, refuses it", lambda _systemd, found: found.get("realtime") == "no")
PROCESSES = Lack(
    "isolation.pid: host that hides other users' processes",
    f"its systemd is older than {HIDES_PROCESSES}",
    lambda systemd, _found: systemd < HIDES_PROCESSES,
)
USERS = Lack(
    "isolation.users: own",
    "its kernel has no user namespaces, or the sysctl user.max_user_namespaces is 0",
    lambda _systemd, found: found.get("users") == "no",
)
UNSHARE = Lack("isolation.users: own", f"its systemd is older than {MAPS_USERS}", lambda systemd, _found: systemd < MAPS_USERS)
VALUES = Lack(
    "some values of variables", f"its systemd is older than {FAITHFUL_ENVIRONMENT}", lambda systemd, _found: systemd < FAITHFUL_ENVIRONMENT
)
DISK = Lack(
    "limits of disk space",
    "/var/lib/k8s4r is on a file system without project quotas",
    lambda _systemd, found: found.get("disk.quota") == "no",
)
IPV6 = Lack("IPv6", "its kernel has it turned off", lambda _systemd, found: found.get("ipv6") == "no")
GROUPS = Lack("task groups", f"its systemd is older than {OLDEST_SYSTEMD}", lambda systemd, _found: systemd < OLDEST_SYSTEMD)


def lacks(capabilities: t.Mapping[str, str]) -> list[str]:
    """What a robot that reports this cannot do of what a job file may ask for, and why."""
    systemd = int(capabilities["systemd"])
    known = (MEMORY, CGROUP, REALTIME, DISK, PROCESSES, USERS, UNSHARE, VALUES, IPV6)
    found = [GROUPS] if GROUPS.test(systemd, capabilities) else [each for each in known if each.test(systemd, capabilities)]
    return [f"{each.what}: {each.why}" for each in found]


def errors(site: Site) -> t.Iterator[Problem]:
    """What this robot cannot do. systemd would ignore it silently, or promise what is not there."""
    robot, memory = site.robot, _number(site, "memory.totalbytes")
    if GROUPS.on(robot):
        found = f"the robot has systemd {robot.systemd}, and the oldest that can run a group is {OLDEST_SYSTEMD}"
        yield site.problem_here(site.path, found, "exclude the robot by a constraint, or update it")
    cores = _number(site, "cpu.numcores")
    for path, resources in _limited(site):
        if MEMORY.on(robot) and resources.memory:
            remedy = "boot it with cgroup_enable=memory on the kernel's command line, or remove the limit"
            yield site.problem_here(f"{path}.memory", f"the robot cannot limit memory: {MEMORY.why}", remedy)
        if memory and resources.memory and resources.memory > memory:
            found = f"asks for {_mebibytes(resources.memory)}, and the robot has {_mebibytes(memory)}"
            yield site.problem_here(f"{path}.memory", found, "write less, or exclude the robot by a constraint")
        if cores and resources.cpu and resources.cpu > cores * 1000:
            found = f"asks for {resources.cpu / 1000:g} cores, and the robot has {cores}"
            yield site.problem_here(f"{path}.cpu", found, _fewer(resources.cpu, cores))
        highest = max(numbers(resources.cpus), default=0) if resources.cpus else 0
        if cores and highest >= cores:
            found = f"names CPU {highest}, and the robot has 0 to {cores - 1}"
            yield site.problem_here(f"{path}.cpus", found, "name others, or exclude the robot by a constraint")
        if resources.realtime and REALTIME.on(robot):
            found = f"the robot cannot give real-time scheduling: {REALTIME.why}"
            yield site.problem_here(f"{path}.realtime", found, "remove it, or exclude the robot by a constraint")
    remedy = "remove it, or exclude the robot by a constraint"
    for number, task in enumerate(site.group.tasks):
        why = next((lack.why for lack in (USERS, UNSHARE) if task.users_of_its_own and lack.on(robot)), "")
        if why:
            found = f"the robot cannot give a task users of its own: {why}"
            yield site.problem_here(f"{site.path}.tasks[{number}].isolation.users", found, remedy)


def warnings(site: Site) -> t.Iterator[Problem]:
    """What this robot can do, but to no or less effect: an error in a job that is strict."""
    robot = site.robot
    remedy = "remove it, or exclude the robot by a constraint"
    for path, resources in _limited(site):
        if CGROUP.on(robot):
            for key, value in (("memoryHigh", resources.memory_high), ("ioWeight", resources.io_weight), ("iops", resources.iops)):
                if value:
                    yield site.problem_here(f"{path}.{key}", f"has no effect on the robot: {CGROUP.why}", remedy)
            if resources.cpus:
                yield site.problem_here(f"{path}.cpus", f"a program can undo it on the robot: {CGROUP.why}", remedy)
    for number, task in enumerate(site.group.tasks):
        if PROCESSES.on(robot) and task.confined and task.isolation and task.isolation.pid is Sharing.HOST:
            found = f"shows other users' processes on the robot: {PROCESSES.why}"
            yield site.problem_here(f"{site.path}.tasks[{number}].isolation.pid", found, remedy)
    yield from _unlimited(site)
    yield from _unshaped(site)
    yield from _nowhere(site)


def _unlimited(site: Site) -> t.Iterator[Problem]:
    """Sizes on the disk that nothing enforces, on this robot or for this program."""
    if site.enforces_quotas:
        for task in (*site.init_tasks, *site.tasks):
            # Nearly every group with init tasks would be told of its own size that they run as root.
            of_group = site.disk[1] if site.disk and task.instance is not None else ""
            path = f"{task.path}.resources.disk" if task.spec.resources.disk else of_group
            if path and _is_above_quotas(site.robot, task):
                found = f"is no limit for {task.spec.name}, which has all privileges of root"
                yield site.problem(path, found, "name another user, exclude the robot by a constraint, or remove the size")
    if not DISK.on(site.robot):
        return
    found = f"must be free when the job is deployed, but nothing stops programs from writing more: {DISK.why}"
    of = (site.robot.name,)
    remedy = "mount one that has them there, exclude the robot by a constraint, or remove the size"
    for path, resources in _limited(site):
        if resources.disk:
            yield site.problem(f"{path}.disk", f"{_mebibytes(resources.disk)} {found}", remedy)._replace(robots=of)
    disk = site.group.ephemeral_disk
    if disk and disk.size_mb:
        yield site.problem(f"{site.path}.ephemeralDisk.sizeMB", f"{disk.size_mb:,} MiB {found}", remedy)._replace(robots=of)


def _is_above_quotas(robot: Robot, task: PlacedTask[Task]) -> bool:
    """Whether a program may write more than a quota: XFS knows no exception, others let it with CAP_SYS_RESOURCE (capabilities(7)).
    An init task has what its user has, whatever its driver.
    """
    free = task.instance is None or task.spec.driver is Driver.RAW_EXEC
    return task.user == "root" and free and robot.capabilities.get("disk.quota") != "xfs"


def _unshaped(site: Site) -> t.Iterator[Problem]:
    """Bandwidth of programs that are not in a pod."""
    # Init tasks are in no pod.
    outside = ((init.path + ".resources", init.spec.resources) for init in site.init_tasks)
    for path, resources in outside if site.are_pods else _limited(site):
        for number, network in enumerate(resources.networks):
            if network.mbits:
                found = f"{network.mbits} Mbit/s are no limit: only a pod's bandwidth is limited"
                remedy = "remove it" if site.are_pods else "write `network: {mode: group}`, or remove it"
                yield site.problem(f"{path}.networks[{number}].mbits", found, remedy)


def _nowhere(site: Site) -> t.Iterator[Problem]:
    """What no robot does."""
    disk, at = site.group.ephemeral_disk, f"{site.path}.ephemeralDisk"
    if disk and disk.sticky is False:
        yield site.problem(f"{at}.sticky", "the data are kept all the same, as long as the group is on the robot")
    if disk and disk.migrate:
        yield site.problem(f"{at}.migrate", "never acts: no other robot is asked, and data stay where they are")


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
