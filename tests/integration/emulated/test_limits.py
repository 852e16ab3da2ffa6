# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Limits that a job declares, held by cgroup v2: memory until the kernel kills, CPU, number of processes."""

from __future__ import annotations

import json

import pytest

from tests.integration.engine.harness import Machine
from tests.integration.system.jobs import job, task
from tests.integration.system.machines import VM
from tests.robots.host import wait_for

pytestmark = pytest.mark.vm

# A task that went over its limit at once would fail the deploy: it waits for a sign in its directory.
WAIT = "import os, time\nwhile not os.path.exists('go'): time.sleep(0.1)\n"
EAT = WAIT + "held = b'x' * (192 << 20)\ntime.sleep(600)"
SPIN = "while True: pass"
BREED = (
    WAIT
    + """
children = 0
try:
    while True:
        if not os.fork():
            time.sleep(600)
        children += 1
except OSError as error:
    print(children, error.strerror, flush=True)
    time.sleep(600)
"""
)
LOOP = {"realtime": {"policy": "rr", "priority": 7}, "lockedMemory": "64Mi", "openFiles": 200000, "memoryHigh": "96Mi", "cpus": "0"}
DISK = {"ioWeight": 7, "iops": 300}
# What containers refuse, looked at from inside.
LOOK = """
import json, os, resource, time
found = {
    "scheduling": [os.sched_getscheduler(0) == os.SCHED_RR, os.sched_getparam(0).sched_priority],
    "locked": resource.getrlimit(resource.RLIMIT_MEMLOCK), "files": resource.getrlimit(resource.RLIMIT_NOFILE),
}
with open("part", "w") as stream:
    json.dump(found, stream)
os.rename("part", "found")
time.sleep(1000)
"""
LIMITS = job(
    "limits",
    resources={"cpu": "1", "memory": "768Mi"},
    restartPolicy={"attempts": 0, "interval": "1m", "delay": "1s", "mode": "fail"},
    tasks=[
        task("eat", EAT, memory="64Mi"),
        task("spin", SPIN, cpu="200m"),
        task("breed", BREED),
        task("loop", LOOK, **DISK, **LOOP),
    ],
)


class Group:
    """The deployed group as systemd and the kernel see it."""

    def __init__(self, fleet) -> None:
        self.sh = lambda command: fleet.ssh(VM, command).strip()
        self.info = lambda: Machine(fleet, VM).call(op="info", sample=2.0)["taskgroups"][0]

    def unit(self, name: str) -> str:
        return self.sh(f"systemctl list-units --all --plain --no-legend 'k8s4r-task-limits-main-*-{name}-*' | cut -d' ' -f1")

    def show(self, unit: str, what: str) -> str:
        return self.sh(f"systemctl show --value --property={what} {unit}")

    def kernel(self, unit: str, file: str) -> str:
        return self.sh(f"cat /sys/fs/cgroup{self.show(unit, 'ControlGroup')}/{file}")

    def go(self, name: str) -> str:
        unit = self.unit(name)
        self.sh(f"touch {self.show(unit, 'WorkingDirectory')}/go")
        return unit


@pytest.fixture(scope="module")
def group(fleet, deployment):
    Machine(fleet, VM).clean()
    deployment.deploy(LIMITS).well()
    return Group(fleet)


def test_the_group_has_one_cap(group):
    slices = group.sh("systemctl list-units --plain --no-legend 'k8s4r-limits*.slice' | cut -d' ' -f1")
    assert group.kernel(slices, "memory.max") == str(768 << 20)
    assert group.kernel(slices, "cpu.max") == "100000 100000"


def test_a_task_over_its_memory_is_killed_and_says_so(group):
    eat, spin = group.go("eat"), group.unit("spin")
    wait_for(lambda: group.show(eat, "ActiveState") == "failed", 300, "the kernel did not kill it")
    assert group.show(eat, "Result") == "oom-kill"
    assert group.show(spin, "ActiveState") == "active"


def test_a_task_has_its_share_of_the_processor(group):
    spin = group.unit("spin")
    assert group.kernel(spin, "cpu.max") == "20000 100000"
    wait_for(lambda: "nr_throttled 0" not in group.kernel(spin, "cpu.stat").splitlines(), 300, "it was never held back")


def test_a_task_has_what_only_a_machine_of_its_own_gives(group):
    loop = group.unit("loop")
    path = f"{group.show(loop, 'WorkingDirectory')}/found"
    wait_for(lambda: group.sh(f"ls {path} 2>/dev/null; true"), 300, "it has not looked")
    found = json.loads(group.sh(f"cat {path}"))
    assert found == {"scheduling": [True, 7], "locked": [64 << 20] * 2, "files": [200000] * 2}
    assert group.kernel(loop, "memory.high") == str(96 << 20)
    assert group.kernel(loop, "cpuset.cpus.effective") == "0"
    assert group.kernel(loop, "io.weight") == "default 7"
    # Of the disk, whatever its number is.
    assert group.kernel(loop, "io.max").split()[1:] == ["rbps=max", "wbps=max", "riops=300", "wiops=300"]


def test_a_task_has_so_many_processes_and_no_more(group):
    breed = group.go("breed")
    said = "cat /var/lib/k8s4r/tasks/limits-main-*-breed-*/logs/stdout.log"
    wait_for(lambda: "Resource temporarily" in group.sh(said), 300, "nothing stopped it")
    assert group.kernel(breed, "pids.current") == group.kernel(breed, "pids.max") == group.show(breed, "TasksMax")


def test_what_they_use_is_counted(group):
    found = {task["task"]: task for task in group.info()["tasks"]}
    assert found["eat"]["result"] == "oom-kill"
    # As often as the kernel itself counted: on a slow machine it may strike twice.
    (slice_,) = group.sh("systemctl list-units --plain --no-legend 'k8s4r-limits*.slice' | cut -d' ' -f1").split()
    counted = dict(line.split() for line in group.kernel(slice_, "memory.events").splitlines())
    assert found["eat"]["memory"]["oom_kills"] == int(counted["oom_kill"]) > 0

    # A busy machine may give it less than its limit; and one that stands still, for the two seconds of a look, all or nothing.
    def percent():
        (spin,) = (task for task in group.info()["tasks"] if task["task"] == "spin")
        return spin["cpu"]["percent_of_limit"]

    wait_for(lambda: 0 < percent() < 130, 300, "it does not use what it may")
    assert found["spin"]["cpu"]["throttled_seconds"] > 0
    assert found["loop"]["memory"]["limit"] is None
    assert 0 < found["loop"]["memory"]["current"] <= found["loop"]["memory"]["peak"]
    # Since one of them has a limit of the disk, the kernel counts for all of them.
    assert found["breed"]["io"]["reads"] is not None
    assert group.info()["memory"]["limit"] == 768 << 20
