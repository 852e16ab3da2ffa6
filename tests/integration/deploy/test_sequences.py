# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever came before, and however it was cut off: a robot ends as if the last version had been the only one."""

from __future__ import annotations

import contextlib
import os
import pathlib
import random
import signal
import subprocess
import sys
import typing as t
import uuid

import pytest
import yaml

from tests.integration.deploy.harness import ROBOTS, Deployment

pytestmark = pytest.mark.robots

KILLS, LONGEST = 20, 7.0
# What a person would call the state of a robot: files of ours with their owners, what runs with which environment, and what systemd holds.
STATE = (
    "find /etc/systemd/system /etc/k8s4r /etc/sysusers.d /var/lib/k8s4r/tasks /var/lib/k8s4r/groups -path '*k8s4r*' "
    "! -name 'k8s4r-recover*' -printf '%p %y %m %u %g %l\\n' 2>/dev/null | sort; "
    "find /etc/k8s4r /etc/systemd/system -path '*k8s4r*' -type f ! -name 'k8s4r-recover*' -exec sha256sum {} + | sort -k2; "
    "getent passwd | cut -d: -f1 | grep ^k8s4r | sort; "
    "systemctl list-units --all --plain --no-legend 'k8s4r*' | awk '{print $1, $2, $3, $4}' | sort; "
    "for p in $(pgrep -x sleep | sort); do tr '\\0' '\\n' < /proc/$p/environ | grep ^VALUE=; done | sort; "
    "systemctl list-timers --all --no-legend 'k8s4r*'; find /run/k8s4r/requests /var/lib/k8s4r/pending* -type f 2>/dev/null"
)


def group(name: str, value: int, robot: str | None) -> dict[str, t.Any]:
    """A group of one instance, on a robot or wherever it is placed."""
    task = {
        "name": "main",
        "config": {"execConfig": {"command": "/bin/sh", "args": ["-c", "exec sleep infinity"]}},
        "env": {"VALUE": f"{name}-{value}"},
        "resources": {"cpu": "100m", "memory": "32Mi"},
    }
    constraints = [{"lTarget": "${node.unique.name}", "rTarget": robot}] if robot else []
    return {"name": name, "count": 1, "constraints": constraints, "tasks": [task]}


def version(chance: random.Random) -> str:
    """A job in which groups are edited, renamed, dropped, and moved from one robot to the other."""
    groups = [group("always", chance.randrange(3), ROBOTS[0])]
    groups.append(group(chance.choice(("lamp", "light")), chance.randrange(3), ROBOTS[1]))
    if chance.random() < 0.7:
        groups.append(group("camera", chance.randrange(3), chance.choice(ROBOTS)))
    chance.shuffle(groups)
    return yaml.safe_dump({"name": "sequence", "type": "service", "taskGroups": groups})


def killed(deployment: Deployment, job: str, seconds: float) -> bool:
    """Start a deployment and kill all of it after some time; whether it was still at work."""
    program = pathlib.Path(sys.executable).with_name("ansible-playbook")
    mark = str(uuid.uuid4())
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(deployment.collections), "PATH": f"{program.parent}:{os.environ['PATH']}"}
    environment["K8S4R_KILLED"] = mark
    command = [program, "-i", str(deployment.inventory), "k8s4r.robot.deploy_taskgroup", "-e", f"job={job}"]
    with subprocess.Popen(
        command, env=environment, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL
    ) as run:
        try:
            run.wait(seconds)
        except subprocess.TimeoutExpired:
            kill_marked(f"K8S4R_KILLED={mark}".encode())
            return True
    return False


def kill_marked(mark: bytes) -> None:
    """Kill every process that has this line in its environment: each of Ansible's workers has a session of its own."""
    found = True
    # One that is being killed may just have started another.
    while found:
        found = False
        for path in pathlib.Path("/proc").glob("[0-9]*/environ"):
            # It may have ended meanwhile.
            with contextlib.suppress(OSError):
                if mark in path.read_bytes().split(b"\0"):
                    os.kill(int(path.parent.name), signal.SIGKILL)
                    found = True


def settled(deployment: Deployment) -> None:
    """What a killed run has begun on a robot goes on by itself: wait until it has ended, a call of the engine included."""
    units = "systemctl list-units --no-legend 'k8s4r-switch-*' 'k8s4r-prepare-*' | grep -q ."
    for robot in ROBOTS:
        deployment.sh(robot, f"while {units} || pgrep -f '[_]_main__[.]py' >/dev/null; do sleep 0.1; done")


def state(deployment: Deployment) -> dict[str, str]:
    settled(deployment)
    return {robot: deployment.sh(robot, f"{STATE}; true") for robot in ROBOTS}


def test_runs_that_are_killed_at_any_moment_leave_no_trace_in_the_end(deployment):
    """Takes two minutes of a processor: 20 runs that are killed, and three that are not."""
    chance = random.Random(1)
    cut = 0
    for _run in range(KILLS):
        job = deployment.job(version(chance))
        cut += killed(deployment, job, chance.uniform(0.5, LONGEST))
    settled(deployment)
    last = version(chance)
    deployment.deploy(last).well()
    assert set(deployment.deploy(last).well().changed.values()) == {0}
    after_all = state(deployment)
    assert "VALUE=always-" in after_all[ROBOTS[0]]
    deployment.clean()
    deployment.deploy(last).well()
    assert state(deployment) == after_all
    assert cut > KILLS / 4
