# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The small examples on real robots: they run, say what they should, and go without a trace."""

from __future__ import annotations

import pathlib

import pytest

from tests.integration.provision.harness import Ansible
from tests.robots import Fleet, RobotSpec, borrowed
from tests.robots.host import wait_for

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples"
JOBS = [str(EXAMPLES / name) for name in ("hello.yml", "watch-disk.yml", "calibrate.yml", "cache.yml")]

pytestmark = pytest.mark.robots


@pytest.fixture(scope="module")
def fleet():
    with borrowed("examples", [RobotSpec(name, labels={"role": "work"}) for name in ("work1", "work2")]) as fleet:
        yield fleet


def said(fleet: Fleet, name: str) -> list[str]:
    """What the two instances of a task wrote into their logs on all robots; its job and its group are called as it is."""
    command = f"cat /var/lib/k8s4r/tasks/{name}-{name}-r?-{name}-*/logs/stdout.log 2>/dev/null || true"
    return sorted(line for name in fleet.names() for line in fleet.ssh(name, command).splitlines())


def visits(fleet: Fleet) -> list[str]:
    """What the app of the cache got from Redis, on the robot that has it."""
    command = "cat /var/lib/k8s4r/tasks/cache-cache-r0-app-*/logs/stdout.log 2>/dev/null || true"
    return [line for name in fleet.names() for line in fleet.ssh(name, command).splitlines()]


def test_deploy_change_nothing_and_remove(fleet):
    ansible = Ansible(fleet)
    deploy = str(EXAMPLES / "deploy-taskgroup.yml")
    ansible.run(deploy, job=JOBS).well()
    wait_for(lambda: len(said(fleet, "calibrate")) == 2, 20, "not both instances have said that they are calibrated")
    assert said(fleet, "calibrate") == ["instance 0 calibrated", "instance 1 calibrated"]
    wait_for(lambda: "hello from hello.hello[0]" in said(fleet, "hello"), 20, "hello says nothing")
    wait_for(lambda: "1" in visits(fleet), 30, "the cache counts no visits")
    again = ansible.run(deploy, job=JOBS).well()
    assert set(again.changed.values()) == {0}
    assert len(said(fleet, "calibrate")) == 2, "a batch job that has succeeded ran again"
    ansible.run("k8s4r.robot.remove_taskgroup", job=JOBS).well()
    for name in fleet.names():
        assert fleet.ssh(name, "ls /etc/k8s4r/groups /var/lib/k8s4r/groups /var/lib/k8s4r/tasks").split() == [
            "/etc/k8s4r/groups:",
            "/var/lib/k8s4r/groups:",
            "/var/lib/k8s4r/tasks:",
        ]
        assert "k8s4r-" not in fleet.ssh(name, "getent passwd")
