# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a task gets of its robot's hardware, looked at from inside, on the oldest systemd and the newest: limits, groups, devices."""

from __future__ import annotations

import json
import re
import typing as t

import pytest

from tests.integration.compile.conftest import ENDS, each_of
from tests.integration.compile.jobs import plans
from tests.integration.engine.harness import Machine

machine = each_of(ENDS)

DRIVERS = ("exec", "raw_exec")

# Devices by the numbers of /dev/net/tun and /dev/console: a container may open these, and no unit may that is closed.
PREPARE = """
getent group k8stest >/dev/null || groupadd --system k8stest
id walker >/dev/null 2>&1 || useradd --no-create-home --user-group --groups audio walker
rm -f /dev/k8stest-*; mknod -m 660 /dev/k8stest-one c 10 200; mknod -m 660 /dev/k8stest-two c 5 1; chgrp k8stest /dev/k8stest-*
"""

LOOK = """
import grp, json, os, pathlib, resource, sys, time
def may(path):
    try:
        os.close(os.open(path, os.O_RDONLY))
        return True
    except PermissionError:
        return False
    except OSError:
        # Whether the robot has its driver is another matter.
        return True
found = {
    "groups": sorted(grp.getgrgid(number).gr_name for number in set(os.getgroups()) | {os.getgid()}),
    "files": resource.getrlimit(resource.RLIMIT_NOFILE),
    "locked": resource.getrlimit(resource.RLIMIT_MEMLOCK),
    "nice": os.getpriority(os.PRIO_PROCESS, 0),
    "cpus": sorted(os.sched_getaffinity(0)),
    "opened": [path for path in sys.argv[1:] if may(path)],
    "home": os.environ.get("HOME"), "user": os.environ.get("USER"), "logname": os.environ.get("LOGNAME"),
    "writable": os.access(os.environ.get("HOME", "/nowhere"), os.W_OK),
}
path = pathlib.Path(os.environ["NOMAD_ALLOC_DIR"], os.environ["NOMAD_TASK_NAME"])
path.with_suffix(".part").write_text(json.dumps(found))
path.with_suffix(".part").rename(path.with_suffix(".json"))
time.sleep(1000)
"""
DEVICES = ("/dev/null", "/dev/k8stest-one", "/dev/k8stest-two", "/dev/urandom", "/dev/tty", "/dev/full")


def task(name: str, driver: str, **keys: t.Any) -> dict[str, t.Any]:
    program = {"command": "/usr/bin/python3", "args": ["-I", "-S", "-c", LOOK, *DEVICES]}
    return {"name": name, "driver": driver, "config": {"execConfig": program}, **keys}


def seen(machine: Machine, *tasks: dict[str, t.Any], **keys: t.Any) -> dict[str, dict[str, t.Any]]:
    """What each of these tasks finds, by its name."""
    machine.sh(PREPARE)
    (plan,) = plans(machine, {"name": "look", "taskGroups": [{"name": "g", "tasks": tasks, **keys}]})
    result = machine.deploy(plan)
    assert result["status"] == "committed", result
    alloc = machine.sh("echo /var/lib/k8s4r/groups/look-g-*/alloc").strip()
    names = [each["name"] for each in tasks]
    paths = " ".join(f"{alloc}/{name}.json" for name in names)
    machine.until(f"ls {paths} >/dev/null 2>&1")
    return {name: json.loads(machine.sh(f"cat {alloc}/{name}.json")) for name in names}


def test_limits_reach_the_program(machine):
    limits = {"openFiles": 5000, "lockedMemory": "4Mi", "nice": 5, "cpus": "0", "tasks": 77, "memoryHigh": "200Mi", "ioWeight": 50}
    found = seen(machine, *(task(driver.replace("_", ""), driver, resources=limits) for driver in DRIVERS), task("plain", "exec"))
    for driver in DRIVERS:
        mine = found[driver.replace("_", "")]
        assert (mine["files"], mine["locked"], mine["nice"], mine["cpus"]) == ([5000, 5000], [4 << 20, 4 << 20], 5, [0]), driver
        shown = machine.sh(f"systemctl show -p TasksMax -p MemoryHigh -p IOWeight 'k8s4r-task-look-g-r0-{driver.replace('_', '')}*'")
        assert {"TasksMax=77", f"MemoryHigh={200 << 20}", "IOWeight=50"} <= set(shown.split()), shown
    # A container may give its robot less.
    most = min(65536, int(machine.sh("ulimit -Hn")))
    assert (found["plain"]["files"], found["plain"]["nice"]) == ([most, most], 0)


def test_groups_are_those_of_the_user_and_those_of_the_job(machine):
    more = {"groups": ["k8stest", "video"]}
    tasks = [
        task(f"{driver.replace('_', '')}-{user}", driver, **more, **({"user": user} if user != "own" else {}))
        for driver in DRIVERS
        for user in ("own", "walker")
    ]
    found = seen(machine, *tasks, task("without", "exec"))
    (own,) = found["without"]["groups"]
    for name, mine in found.items():
        if name != "without":
            assert set(mine["groups"]) - {"walker"} == {own, "k8stest", "video"} | ({"audio"} if name.endswith("walker") else set()), name
            assert "/dev/k8stest-one" in mine["opened"], name
    assert not {"/dev/k8stest-one", "/dev/k8stest-two"} & set(found["without"]["opened"])


def test_a_task_of_exec_that_names_devices_opens_no_other(machine):
    keys = {"groups": ["k8stest"], "devices": ["/dev/k8stest-one", {"path": "/dev/k8stest-away", "optional": True}]}
    found = seen(machine, *(task(driver.replace("_", ""), driver, **keys) for driver in DRIVERS), task("root", "exec", user="root", **keys))
    confined = {"/dev/null", "/dev/k8stest-one", "/dev/urandom", "/dev/full"}
    assert set(found["exec"]["opened"]) - {"/dev/tty"} == confined
    assert set(found["root"]["opened"]) - {"/dev/tty"} == confined
    assert "/dev/k8stest-two" in found["rawexec"]["opened"]


# What becomes of opening a device that is there only later, and of one of another driver.
PLUGGED = """
import errno, os, pathlib, time
def opened(path):
    try:
        os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY))
    except OSError as error:
        return errno.errorcode[error.errno]
    return "opened"
while not os.path.exists("/dev/ttyS61"):
    time.sleep(0.05)
path = pathlib.Path(os.environ["NOMAD_ALLOC_DIR"], "said")
path.with_suffix(".part").write_text(opened("/dev/ttyS61") + " " + opened("/dev/k8stest-two"))
path.with_suffix(".part").rename(path)
time.sleep(1000)
"""


def test_a_device_that_is_plugged_in_later_is_opened_by_a_task_that_runs(machine):
    machine.sh(f"rm -f /dev/ttyS*; {PREPARE}")
    plugged = task("plugged", "exec", groups=["k8stest"], devices=[{"path": "/dev/ttyS*", "optional": True}])
    plugged["config"]["execConfig"]["args"] = ["-I", "-S", "-c", PLUGGED]
    (plan,) = plans(machine, {"name": "look", "taskGroups": [{"name": "g", "tasks": [plugged]}]})
    assert machine.deploy(plan)["status"] == "committed"
    machine.sh("mknod -m 660 /dev/new c 4 125; chgrp k8stest /dev/new; mv /dev/new /dev/ttyS61")
    machine.until("ls /var/lib/k8s4r/groups/look-g-*/alloc/said >/dev/null 2>&1")
    later, other = machine.sh("cat /var/lib/k8s4r/groups/look-g-*/alloc/said; rm /dev/ttyS61").split()
    # No port is behind it: what its driver says of that is another matter.
    assert later not in ("EPERM", "EACCES")
    assert other == "EPERM"


def test_a_home_that_the_program_may_write(machine):
    found = seen(
        machine,
        task("exec", "exec"),
        task("raw", "raw_exec"),
        task("walker", "exec", user="walker"),
        task("free", "raw_exec", user="walker"),
    )
    own = machine.sh("grep -o '^k8s4r-[^:]*' /etc/passwd").split()
    for name, user in (("exec", own[0]), ("raw", own[0]), ("walker", "walker")):
        mine = found[name]
        assert (mine["user"], mine["logname"], mine["writable"]) == (user, user, True), mine
        assert re.fullmatch(rf"/var/lib/k8s4r/tasks/look-g-r0-{name}-[0-9a-f]+/local", mine["home"]), mine
    assert (found["free"]["home"], found["free"]["user"]) == (machine.sh("getent passwd walker | cut -d: -f6").strip(), "walker")


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"groups": ["nosuchgroup"]}, "taskGroups[0].tasks[0].groups[0]: this robot has no group nosuchgroup; create it, or name another"),
        (
            {"devices": ["/dev/ttyUSB*"]},
            "taskGroups[0].tasks[0].devices[0]: this robot has no device /dev/ttyUSB*; plug it in, or write optional: true",
        ),
    ],
)
def test_what_the_robot_does_not_have_is_said_before_anything_changes(machine, keys, said):
    (plan,) = plans(machine, {"name": "look", "taskGroups": [{"name": "g", "tasks": [task("a", "exec", **keys)]}]})
    result = machine.prepare(plan)
    assert (result["status"], result["errors"]) == ("refused", [f"look.yml: {said}"])
