# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sizes on the disk that the file system enforces: a kernel with quotas, and a file system with projects, which containers lack.

A minute of a processor: each deployment is one on an emulated machine. Tests are in the order in which a job has its life.
"""

from __future__ import annotations

import json
import re
import types

import pytest

from ansible_collections.k8s4r.robot.plugins.module_utils._engine import plan
from tests.integration.engine.harness import Machine, pid
from tests.integration.engine.interrupted import drive
from tests.integration.engine.plans import Group, job
from tests.integration.system.jobs import task
from tests.integration.system.machines import VM
from tests.robots.host import wait_for

pytestmark = pytest.mark.vm

IMAGE = "/var/lib/quotas.img"
MOUNT = (
    f"modprobe loop && truncate -s 320M {IMAGE} && mkfs.ext4 -q -O quota,project -E quotatype=prjquota {IMAGE}"
    f" && mkdir -p /var/lib/k8s4r && mount -o loop,prjquota {IMAGE} /var/lib/k8s4r"
)
MIB = 1 << 20
# Writes as much as it can whenever it is told to, and says how that ended.
FILL = """
import os, time
while True:
    time.sleep(0.1)
    if os.path.exists("go"):
        os.unlink("go")
        os.makedirs(PLACE + "/made/later", exist_ok=True)
        written, end = 0, "all"
        try:
            with open(PLACE + "/made/later/heap", "ab", buffering=0) as heap:
                while written < 32 << 20:
                    written += heap.write(bytes(1 << 16))
        except OSError as error:
            end = error.strerror
        print(written >> 20, end, flush=True)
"""
ALLOC = "PLACE = os.environ['NOMAD_ALLOC_DIR']"
# Quotas that were ever given, and the files and directories that are of a project, as the kernel has them.
LOOK = """
import json, os, subprocess
from k8s4r_engine.resources.quotas import projects
from k8s4r_engine.system import capabilities
numbers = [int(line) for line in open("/var/lib/k8s4r/projects")] if os.path.exists("/var/lib/k8s4r/projects") else []
device = capabilities.quota_device("/var/lib/k8s4r")[1]
used = {number: projects.usage(device, number) for number in numbers}
paths = subprocess.check_output(["find", "/var/lib/k8s4r", "-xdev", "-type", "f", "-o", "-type", "d"], text=True).splitlines()
marked = {}
for first in range(0, len(paths), 500):
    for line in subprocess.check_output(["lsattr", "-dp", *paths[first : first + 500]], text=True).splitlines():
        number, _flags, path = line.split()
        marked[path] = int(number)
print(json.dumps({"used": used, "marked": {path: number for path, number in marked.items() if number}, "files": paths}))
"""
# Makes a tree that also leads elsewhere, and goes on making more of it.
WRITER = """
import os, time
for number in range(20):
    os.makedirs(f"tree{number}/a/b/c")
    for name in range(30):
        open(f"tree{number}/a/b/c/{name}", "w").close()
os.symlink("/var/lib/k8s4r/ledger", "tree0/a/out")
os.mkfifo("tree0/a/b/fifo")
open("ready", "w").close()
number = 20
while True:
    os.makedirs(f"tree{number}/a")
    open(f"tree{number}/a/file", "w").close()
    number += 1
    time.sleep(0.02)
"""
# A switch that dies where it would call this function.
DYING = """
import os, signal
from k8s4r_engine.change import perform, switch
from k8s4r_engine.change.health import verdicts
from k8s4r_engine.resources.quotas import projects
from k8s4r_engine.state.robot import Robot
verdicts.STEADY = 0.2
projects.{function} = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
switch.run(Robot(), {release!r}, perform.silence)
"""


def text(size: int, own: int) -> str:
    """A group with a size, in MiB, a task of it with a size of its own, and a group without beside it."""
    fill = "import os\n" + ALLOC + FILL
    groups = [
        {
            "name": "main",
            "ephemeralDisk": {"sizeMB": size},
            "tasks": [task("all", fill), task("own", "PLACE = '.'" + FILL, disk=f"{own}Mi")],
        },
        {"name": "beside", "tasks": [task("free", fill)]},
    ]
    return json.dumps({"name": "quotas", "type": "system", "strict": True, "robotSelector": {"role": "vm"}, "taskGroups": groups})


class Robot(Machine):
    """What tasks did on the robot, and what the kernel counts there."""

    def look(self) -> types.SimpleNamespace:
        outcome = self.script(LOOK)
        assert outcome.status == 0, outcome
        return types.SimpleNamespace(**json.loads(outcome.stdout))

    def limits(self) -> list[int]:
        """In MiB, the largest last."""
        return sorted(each["limit"] // MIB for each in self.look().used.values() if each["limit"])

    def fill(self, name: str) -> tuple[int, str]:
        """How many MiB a task could write, and how that ended."""
        home = self.sh(f"ls -d /var/lib/k8s4r/tasks/quotas-*-r0-{name}-*").strip()
        before = self.sh(f"cat {home}/logs/stdout.log")
        self.sh(f"touch {home}/local/go")
        wait_for(lambda: self.sh(f"cat {home}/logs/stdout.log") != before, 300, f"{name} has not said how it went")
        written, _space, end = self.sh(f"cat {home}/logs/stdout.log").removeprefix(before).strip().partition(" ")
        return int(written), end

    def pids(self) -> str:
        return self.sh("systemctl show -p Id -p MainPID -p NRestarts 'k8s4r-task-quotas-*'")


@pytest.fixture(scope="module")
def robot(fleet):
    robot = Robot(fleet, VM)
    robot.clean()
    robot.sh(MOUNT)
    yield robot
    robot.clean()
    robot.sh(f"umount /var/lib/k8s4r && rm {IMAGE}")


def test_a_group_and_a_task_write_as_much_as_they_may_and_others_write_on(robot, deployment):
    # strict: a size that is none would be an error.
    deployment.deploy(text(24, own=8)).well()
    assert robot.limits() == [8, 24]
    written, end = robot.fill("own")
    assert (7 <= written <= 8, end) == (True, "Disk quota exceeded")
    # What the task has of its own does not count for its group.
    written, end = robot.fill("all")
    assert (23 <= written <= 24, end) == (True, "Disk quota exceeded")
    assert robot.fill("free") == (32, "all")


def test_a_second_run_changes_nothing(robot, deployment):
    before = robot.pids()
    assert deployment.deploy(text(24, own=8)).well().changed[VM] == 0
    assert robot.pids() == before


def test_a_larger_size_holds_at_once_and_restarts_nothing(robot, deployment):
    before = robot.pids()
    run = deployment.deploy(text(32, own=8), "--diff").well()
    assert re.search(r"quota quotas-main-\w{8} \(limit 24576 KiB -> 32768 KiB\)", run.output), run.output
    assert robot.pids() == before
    written, end = robot.fill("all")
    assert (7 <= written <= 8, end) == (True, "Disk quota exceeded")


def test_a_size_below_what_is_there_is_refused_before_anything_changes(robot, deployment):
    before = robot.pids()
    deployment.deploy(text(16, own=8)).refused(
        "taskGroups[0].ephemeralDisk.sizeMB: 16.0 MiB are less than what is there already, 3", "MiB in /var/lib/k8s4r/groups/quotas-main-"
    )
    assert (robot.limits(), robot.pids()) == ([8, 32], before)


def test_a_limit_that_somebody_took_away_is_put_back(robot, deployment):
    number = next(number for number, each in robot.look().used.items() if each["limit"] == 32 * MIB)
    robot.script(f"from k8s4r_engine.resources.quotas import projects\nprojects.bound('/dev/loop0', {number}, 0)")
    assert robot.limits() == [8]
    deployment.deploy(text(32, own=8)).well()
    assert robot.limits() == [8, 32]


def test_a_removed_job_leaves_no_quota_and_data_that_are_kept_no_project(robot, deployment):
    deployment.remove(job="job.yml", keep_data=True).well()
    found = robot.look()
    assert any(path.endswith("/alloc/made/later/heap") for path in found.files)
    assert found.marked == {}
    assert list(found.used.values()) == [{"limit": 0, "used": 0, "files": 0}] * 2
    robot.absent("ls -A /var/lib/k8s4r/quotas | grep .")


@pytest.fixture
def group(robot):
    """A task that has written much, in directories that lead elsewhere, and goes on writing while it gets a size."""
    robot.clean()
    group = Group()
    robot.execute("cat > /run/writer.py", WRITER.encode())
    group.tasks["main"] = ("/usr/bin/python3 /run/writer.py", "A=1")
    robot.deploy(job(group))
    robot.until(f"test -e {group.data('main')}/ready")
    group.more = [plan.quota("web", 70000, 64 * MIB, [group.data("main")], "here")]
    return group


def whole(robot, group):
    """Everything that is in the group's directory is counted, and nothing else."""
    found = robot.look()
    home = group.data("main")
    files = {path for path in found.files if path == home or path.startswith(home + "/")}
    assert len(files) > 600
    assert set(found.marked.values()) == {70000}
    assert set(found.marked) == files
    assert found.used["70000"]["limit"] == 64 * MIB
    assert robot.ask(job(group)) == {"status": "unchanged"}


def nothing(robot):
    found = robot.look()
    assert (found.marked, [each["limit"] for each in found.used.values()]) == ({}, [0])


def die(robot, prepared, function):
    assert prepared["status"] == "staged", prepared
    outcome = robot.script(DYING.format(function=function, release=prepared["release"]))
    assert outcome.status, outcome
    assert "Traceback" not in outcome.stderr, outcome


def test_a_run_that_died_on_the_way_is_finished_by_the_next(robot, group):
    before = pid(robot, group.unit("main"))
    prepared = robot.prepare(job(group))
    # The first directories have their mark, and no file has.
    die(robot, prepared, "_mark_file")
    found = robot.look()
    assert found.marked
    assert found.used["70000"]["limit"] == 0
    # As systemd starts it again.
    assert drive(robot, prepared["release"]) is not None
    whole(robot, group)
    assert pid(robot, group.unit("main")) == before
    die(robot, robot.prepare(job()), "release")
    assert robot.look().marked
    assert robot.deploy(job(), keep_data=True)["status"] == "committed"
    nothing(robot)


def test_a_run_that_died_is_undone_at_boot(robot, group):
    prepared = robot.prepare(job(group))
    die(robot, prepared, "bound")
    drive(robot, prepared["release"], recover=True)
    nothing(robot)
    assert robot.deploy(job(group))["status"] == "committed"
    whole(robot, group)


def test_a_project_that_somebody_else_uses_is_left_alone(robot, group):
    robot.sh("mkdir /var/lib/k8s4r/theirs && touch /var/lib/k8s4r/theirs/file && chattr -R -p 70000 /var/lib/k8s4r/theirs")
    refused = robot.prepare(job(group))
    assert (refused["status"], len(refused["errors"])) == ("refused", 1)
    assert refused["errors"][0].startswith("here: 2 files that are not this job's have project 70000"), refused
    robot.sh("rm -r /var/lib/k8s4r/theirs; echo theirs:70000 > /etc/projid")
    refused = robot.prepare(job(group))
    robot.sh("rm /etc/projid")
    assert refused["errors"][0].startswith("here: /etc/projid names project 70000"), refused
