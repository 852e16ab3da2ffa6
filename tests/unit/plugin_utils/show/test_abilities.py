# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the robots can do, as a person reads it."""

from __future__ import annotations

from ansible_collections.k8s4r.robot.plugins.plugin_utils.compile.fitness import lacks
from ansible_collections.k8s4r.robot.plugins.plugin_utils.show.abilities import overview

NEW = {
    "systemd": "257", "cgroup": "2", "cgroup.memory": "yes", "arch": "arm64", "os.name": "debian", "os.version": "13", "cpu.numcores": "4",
    "memory.totalbytes": str(2**31), "python": "3.13", "realtime": "yes", "ipv6": "yes", "users": "yes", "disk.quota": "ext4",
}  # fmt: skip
OLD = {
    **NEW, "systemd": "245", "cgroup": "1", "cgroup.memory": "no", "realtime": "no", "ipv6": "no", "users": "no", "disk.quota": "no",
}  # fmt: skip


def test_a_robot_has_a_line_and_one_for_each_thing_that_it_cannot_do():
    robots = {"work2": OLD, "work1": NEW, "work3": None}
    assert overview(robots, {name: lacks(found) for name, found in robots.items() if found}) == [
        "robot  system           systemd  cgroup  cpu  memory     python",
        "work1  debian 13 arm64  257      2       4    2,048 MiB  3.13",
        "work2  debian 13 arm64  245      1       4    2,048 MiB  3.13",
        "  without limits of memory: the memory controller is turned off",
        "  without memoryHigh, ioWeight and iops, and cpus that a program cannot undo: it has cgroup v1",
        "  without realtime: its kernel, or its container, refuses it",
        "  without limits of disk space: /var/lib/k8s4r is on a file system without project quotas",
        "  without isolation.pid: host that hides other users' processes: its systemd is older than 247",
        "  without isolation.users: own: its kernel has no user namespaces, or the sysctl user.max_user_namespaces is 0",
        "  without isolation.users: own: its systemd is older than 247",
        "  without some values of variables: its systemd is older than 247",
        "  without IPv6: its kernel has it turned off",
        "work3  OFF",
    ]


def test_a_robot_that_can_run_no_group_has_that_line_alone():
    assert lacks({"systemd": "241"}) == ["task groups: its systemd is older than 245"]
