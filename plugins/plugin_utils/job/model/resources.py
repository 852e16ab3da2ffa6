# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a task, or a group as a whole, may use."""

from ..declare.keys import Bytes, Millicores, key
from ..declare.record import record
from .ports import DynamicPort, ReservedPort
from .vocabulary import CPUS, RealtimePolicy


@record
class NetworkResource:
    """Bandwidth and ports of one task."""

    mbits: int | None = key(
        "Bandwidth in Mbit/s. A pod sends, and receives, at most what its tasks have together. Outside of pods it is no limit, and a"
        " warning says so. Default: no limit.",
        default=None,
        minimum=0,
        maximum=100_000,
    )
    reserved_ports: tuple[ReservedPort, ...] = key("Ports of the robot, for all tasks of the group.", factory=tuple)
    dynamic_ports: tuple[DynamicPort, ...] = key("The same; each is one of 20000 to 32000, which stays the same.", factory=tuple)


@record
class Realtime:
    """Real-time scheduling. The task's threads run before all others, and can freeze the robot."""

    priority: int = key("Priority. A thread runs before all those of a lower one.", minimum=1, maximum=99)
    policy: RealtimePolicy = key(
        "`fifo`: until it waits or gives way. `rr`: in turns with others of its priority.", default=RealtimePolicy.FIFO
    )


@record
class Resources:
    """Hard limits. On a task they apply to all its processes together, on a group to all its tasks together."""

    cpu: Millicores | None = key(
        "CPU time in cores, such as `500m`, `0.5` or `2`. Default: no limit.", default=None, minimum=1, maximum=64000
    )
    memory: Bytes | None = key("Memory, such as `128Mi`. Default: no limit.", default=None, minimum=4 * 2**20, maximum=2**50)
    memory_high: Bytes | None = key(
        "Memory above which the processes are slowed down and their memory is reclaimed. It needs cgroup v2. Default: no limit.",
        default=None,
        ours=True,
        minimum=4 * 2**20,
        maximum=2**50,
    )
    cpus: str | None = key(
        "The CPUs to run on, such as `2-3` or `0,2`. Default: all.",
        default=None,
        ours=True,
        pattern=CPUS,
        expected="numbers of CPUs and ranges of them, such as 2-3 or 0,2",
    )
    tasks: int | None = key(
        "Processes and threads at a time; 10 or more where there is a container. Default: 1024 for a task, no limit for a group.",
        default=None,
        ours=True,
        minimum=1,
        maximum=4194304,
    )
    open_files: int | None = key(
        "Files that one process may have open. Default: 65536. Not for a group.", default=None, ours=True, minimum=16, maximum=1048576
    )
    locked_memory: Bytes | None = key(
        "Memory that one process may lock into RAM. Default: the robot's own limit, mostly 8Mi. Not for a group.",
        default=None,
        ours=True,
        maximum=2**50,
    )
    nice: int | None = key(
        "Priority among ordinary processes: -20 is the highest, 19 the lowest. Default: 0. Not for a group.",
        default=None,
        ours=True,
        minimum=-20,
        maximum=19,
    )
    realtime: Realtime | None = key("Real-time scheduling. Not for a group.", default=None, ours=True)
    io_weight: int | None = key(
        "Share of the disk's time, in relation to others. Default: 100.", default=None, ours=True, minimum=1, maximum=10000
    )
    disk: Bytes | None = key(
        "How much the task may keep in its `local` directory, which then does not count for its group; of a group, the same as "
        "`ephemeralDisk.sizeMB`; of the two, the smaller one applies. That much must be free when the job is deployed, or be in use "
        "already, and a write beyond it fails. Where the robot's file system has no project quotas, nothing enforces it, and a warning "
        "says so. Default: no limit.",
        default=None,
        maximum=2**60,
    )
    iops: int | None = key(
        "Read operations per second of the disk with `/var/lib/k8s4r`, and as many write operations. It needs cgroup v2. "
        "Default, and 0: no limit.",
        default=None,
        minimum=0,
        maximum=2**32,
    )
    networks: tuple[NetworkResource, ...] = key("Bandwidth and ports of the task.", factory=tuple)
