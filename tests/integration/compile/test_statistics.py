# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tasks use, as the robot counts it on cgroup v1; want of memory, which systemd does not know there; the file for Prometheus."""

from __future__ import annotations

import os
import re

import pytest

from ansible_collections.k8s4r.robot.plugins.module_utils._engine import plan
from tests.integration.compile.conftest import ENDS, each_of
from tests.integration.compile.jobs import job, shell
from tests.integration.engine.harness import pid
from tests.robots.host import wait_for

machine = each_of(ENDS)

# It takes the sign away first, so it is killed once. What is written says that it has begun.
EAT = "while [ ! -e $NOMAD_ALLOC_DIR/go ]; do sleep 0.1; done; rm $NOMAD_ALLOC_DIR/go; exec python3 -c \"held = b'x' * (256 << 20)\""
WRITE = "head -c 4194304 /dev/urandom >$NOMAD_ALLOC_DIR/data; sync $NOMAD_ALLOC_DIR/data; touch $NOMAD_ALLOC_DIR/wrote; sleep 1000"


@pytest.fixture
def kernel_log(machine):
    """The robot has the kernel's log, as a machine has it that is no container."""
    machine.sh("[ -e /dev/kmsg ] || mknod /dev/kmsg c 1 11")
    yield
    machine.sh("rm /dev/kmsg")


def the_group(machine, **only):
    (group,) = machine.call(op="info", **only)["taskgroups"]
    return group, {task["task"]: task for task in group["tasks"]}


def test_what_tasks_and_their_group_use_is_counted(machine):
    spin = shell("spin", "while :; do :; done", resources={"cpu": "200m", "memory": "64Mi"})
    plan = job(machine, "stats", spin, shell("write", WRITE), shell("calm", "sleep 1000"))
    assert machine.deploy(plan)["status"] == "committed"
    machine.until("[ -e /var/lib/k8s4r/groups/stats-g-*/alloc/wrote ]")
    # On a busy machine it may take until it was held back.
    wait_for(lambda: the_group(machine)[1]["spin"]["cpu"]["throttled_seconds"] > 0, 100, "it is never held back")
    # It may get less than its limit; and where the machine stands still for the two seconds of a look, nothing, or all.
    wait_for(lambda: 0 < the_group(machine, sample=2.0)[1]["spin"]["cpu"]["percent_of_limit"] < 130, 100, "it does not use what it may")
    group, tasks = the_group(machine, sample=2.0)
    assert sorted(tasks) == ["calm", "spin", "write"]
    spin, write, calm = (tasks[name] for name in ("spin", "write", "calm"))
    assert spin["cpu"]["limit"] == 0.2
    assert spin["cpu"]["seconds"] > 0
    assert spin["memory"]["limit"] == 64 << 20
    assert 100_000 < spin["memory"]["current"] <= spin["memory"]["peak"] <= 64 << 20
    # A program in a PID namespace: unshare, the shell that it needs, and the task's own.
    assert (spin["processes"], spin["threads"], spin["threads_limit"]) == (3, 3, 1024)
    assert 4 << 20 <= write["io"]["written_bytes"] < 8 << 20
    assert calm["io"]["written_bytes"] < 1 << 20
    assert calm["cpu"]["percent"] < 5
    assert (calm["cpu"]["limit"], calm["memory"]["limit"], calm["restarts"], calm["exit_status"]) == (None, None, 0, 0)
    assert group["cpu"]["seconds"] >= spin["cpu"]["seconds"]
    assert group["processes"] == sum(task["processes"] for task in tasks.values())
    assert group["io"]["written_bytes"] >= write["io"]["written_bytes"]
    assert group["memory"]["current"] > spin["memory"]["current"]
    assert (group["well"], group["proxy"]) == (True, None)
    # One that was killed: its restart, and what it ended with.
    machine.sh(f"systemctl kill -s KILL {calm['unit']}")
    machine.until(f"systemctl show -p NRestarts {calm['unit']} | grep -qx NRestarts=1 && systemctl is-active -q {calm['unit']}")
    calm = the_group(machine)[1]["calm"]
    assert (calm["restarts"], calm["memory"]["oom_kills"] or 0, calm["well"]) == (1, 0, True)
    for other in ({"job": "other"}, {"group": "h"}, {"namespace": "n"}):
        assert machine.call(op="info", **other)["taskgroups"] == []
    assert the_group(machine, job="stats", group="g", namespace="default")[0]["id"] == group["id"]


@pytest.mark.usefixtures("kernel_log")
@pytest.mark.parametrize("driver", ["exec", "raw_exec"])
def test_a_task_that_wants_too_much_memory_is_ended_and_no_other(machine, driver):
    # The log is that of the host, and so has the units of all robots and of former runs.
    name = f"hungry{os.urandom(4).hex()}"
    eat = shell("eat", EAT, driver=driver, resources={"memory": "24Mi"}, restartPolicy={"attempts": 0, "mode": "fail"})
    assert machine.deploy(job(machine, name, eat, shell("calm", "sleep 1000")))["status"] == "committed"
    tasks = the_group(machine)[1]
    before = pid(machine, tasks["calm"]["unit"])
    machine.sh(f"cd /var/lib/k8s4r/groups/{name}-g-*/alloc && touch go")
    machine.until(f"systemctl show -p ActiveState --value {tasks['eat']['unit']} | grep -qx 'failed\\|inactive'")
    group, tasks = the_group(machine)
    # Before it has let go of its memory, the kernel may kill it once more. The numbers of others tell whether it is its own.
    kills = tasks["eat"]["memory"]["oom_kills"]
    assert (tasks["eat"]["result"], kills >= 1) == ("oom-kill", True), kills
    assert tasks["eat"]["how"].startswith("the kernel killed its program because memory ran out")
    assert (tasks["calm"]["well"], tasks["calm"]["restarts"], pid(machine, tasks["calm"]["unit"])) == (True, 0, before)
    assert (tasks["calm"]["memory"]["oom_kills"], group["memory"]["oom_kills"], group["well"]) == (0, kills, False)
    # One that somebody kills has not run out of memory.
    machine.sh(f"systemctl kill -s KILL {tasks['calm']['unit']}")
    machine.until(f"systemctl show -p NRestarts {tasks['calm']['unit']} | grep -qx NRestarts=1")
    assert the_group(machine)[1]["calm"]["memory"]["oom_kills"] == 0


@pytest.mark.usefixtures("kernel_log")
def test_a_deployment_that_fails_for_want_of_memory_says_so(machine):
    eat = shell("eat", "exec python3 -c \"held = b'x' * (256 << 20)\"", resources={"memory": "24Mi"})
    answer = machine.deploy(job(machine, "starved", eat))
    assert answer["status"] == "rolled-back"
    (error,) = answer["errors"]
    assert error.startswith("default/starved/g: r0 eat (")
    assert "): the kernel killed its program because memory ran out, " in error


SAMPLE = re.compile(r'(k8s4r_(?:group|task|proxy)_[a-z_]+)\{([a-z]+="[^"]*"(?:,[a-z]+="[^"]*")*)\} (-?[0-9.e+-]+)')


def test_the_file_for_prometheus(machine):
    off = {"op": "textfile", "directory": "", "check": False}
    wanted = {"op": "textfile", "directory": "/srv/textfile", "check": False}
    machine.sh("rm -rf /srv/textfile")
    missing = machine.call(**wanted)
    assert (missing["status"], "this robot has no /srv/textfile" in missing["errors"][0]) == ("refused", True)
    # A collector's directory may be its own user's.
    machine.sh("mkdir /srv/textfile && chown nobody /srv/textfile && ln -sfn /srv/textfile /srv/link")
    assert machine.call(**{**wanted, "directory": "/srv/link"})["errors"] == [
        "directory: /srv/link is reached by a link; name /srv/textfile"
    ]
    assert machine.deploy(job(machine, "shown", shell("calm", "sleep 1000")))["status"] == "committed"
    assert machine.call(**{**wanted, "check": True}) == {"status": "ok", "changed": True}
    machine.absent("ls -A /srv/textfile | grep .")
    assert machine.call(**wanted) == {"status": "ok", "changed": True}
    assert machine.call(**wanted) == {"status": "ok", "changed": False}
    assert machine.sh("stat -c '%a %U %n' /srv/textfile/*") == "644 root /srv/textfile/k8s4r.prom\n"
    lines = machine.sh("cat /srv/textfile/k8s4r.prom").splitlines()
    samples = {match.group(1): match.group(2) for match in map(SAMPLE.fullmatch, lines) if match}
    assert len(samples) == sum(not line.startswith("#") for line in lines) == sum(line.startswith("# TYPE") for line in lines)
    assert samples["k8s4r_task_memory_bytes"] == 'namespace="default",job="shown",group="g",instance="0",task="calm"'
    assert samples["k8s4r_group_cpu_seconds_total"] == 'namespace="default",job="shown",group="g"'
    assert any(line.startswith("k8s4r_task_well{") and line.endswith(" 1") for line in lines)
    # The timer comes again, and nothing stays in between.
    assert machine.state("k8s4r-textfile.timer") == "active"
    machine.down("k8s4r-textfile.service")
    assert machine.sh("systemctl show -p Result --value k8s4r-textfile.service").strip() == "success"
    machine.sh("rm /srv/textfile/k8s4r.prom; systemctl start k8s4r-textfile.service; [ -e /srv/textfile/k8s4r.prom ]")
    # The next deployment takes it for no stranger's.
    assert machine.ask(*[job(machine, "shown", shell("calm", "sleep 1000"))])["status"] == "unchanged"
    assert machine.call(**off) == {"status": "ok", "changed": True}
    machine.absent("ls -A /srv/textfile | grep .")
    machine.absent("ls /etc/systemd/system /etc/systemd/system/multi-user.target.wants | grep textfile")
    assert machine.call(**off) == {"status": "ok", "changed": False}


def test_room_on_the_disk_is_asked_for_before_anything_changes(machine):
    big = shell("app", "sleep 1000", resources={"disk": "100000Gi"})
    refused = machine.prepare(job(machine, "big", big))
    assert refused["status"] == "refused"
    assert "taskGroups[0].tasks[0].resources.disk: asks for 100000.0 GiB, and the file system at / has " in "".join(refused["errors"])
    # What is written already counts: of 64 MiB, 40 are.
    machine.sh("mkdir -p /srv/small && mount -t tmpfs -o size=64m small /srv/small && mkdir /srv/small/data")
    try:
        machine.sh("head -c 41943040 /dev/zero >/srv/small/data/file")
        for mebibytes, status in ((60, "staged"), (70, "refused")):
            there = plan.expected("disk", f"{mebibytes << 20} /srv/small/data", "job.yml: disk")
            group = plan.group("room-g", "default/room/g", [plan.directory("/var/lib/k8s4r/groups/room-g")], expects=[there])
            assert machine.prepare(plan.job("default", "room", [group]))["status"] == status
    finally:
        machine.sh("umount /srv/small")
