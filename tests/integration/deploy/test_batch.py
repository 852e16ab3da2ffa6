# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run that waits until batch jobs have run to their end."""

from __future__ import annotations

import re

import pytest

from tests.integration.deploy.harness import lines_of
from tests.integration.engine.harness import Machine

pytestmark = pytest.mark.robots

WAIT = "Wait until the batch jobs have run to their end"

JOB = """
name: once
type: batch
taskGroups:
  - name: g
    count: 2
    {policy}
    tasks:
      - name: app
        env: {{SECRET: hunter2}}
        config: {{execConfig: {{command: /bin/sh, args: [-c, {script}]}}}}
"""
LIMITED = "restartPolicy: {attempts: 1, delay: 0s}"


def job(script: str, policy: str = "") -> str:
    return JOB.format(script=f'"{script}"', policy=policy)


def test_a_run_waits_for_the_end_and_so_does_one_that_changes_nothing(deployment):
    # The switch is over after the first two seconds.
    script = "sleep 5; touch $NOMAD_ALLOC_DIR/ended"
    run = deployment.deploy(job(script), wait=True).well()
    for robot in ("robot1", "robot2"):
        deployment.sh(robot, "ls /var/lib/k8s4r/groups/once-g-*/alloc/ended")
    assert len(lines_of(run, WAIT)) == 2
    again = deployment.deploy(job(script), wait=True).well()
    assert set(again.changed.values()) == {0}
    assert lines_of(deployment.deploy(job(script)).well(), WAIT) == []
    # In check mode nothing runs that could be waited for.
    deployment.deploy(job("sleep 1000"), "--check", wait=True).well()


def test_a_task_that_fails_fails_the_run_once_with_its_status_and_its_last_lines(deployment):
    script = "sleep 10; [ $NOMAD_ALLOC_INDEX = 0 ] || exit 0; echo >>$NOMAD_ALLOC_DIR/tries; echo the disk is upside down >&2; exit 9"
    run = deployment.deploy(job(script, LIMITED), wait=True)
    assert run.status == 2
    assert run.output.count("r0 app (k8s4r-task-once-g-r0-app-") == 1
    assert "robot1: did not run to its end:\nonce/g: r0 app" in run.output
    assert "its program ended with exit status 9" in run.output
    assert run.output.count("the disk is upside down") - run.output.count("echo the disk is upside down") == 1
    assert deployment.sh("robot1", "wc -l </var/lib/k8s4r/groups/once-g-*/alloc/tries").strip() == "2"
    assert "robot2: did not" not in run.output


def test_a_task_that_nobody_gives_up_fails_the_run_and_goes_on(deployment):
    run = deployment.deploy(job("sleep 2.5; exit 9"), wait=True)
    assert run.status == 2
    # A robot that is slow to look may find it once more often.
    assert re.search(r"its program ended with exit status 9, [4-9] times", run.output), run.output
    assert "once/g: r0 app: the robot goes on trying, because no restartPolicy says when to give up" in run.output
    going = "systemctl show -p ActiveState --value 'k8s4r-task-once-*' | grep -qx -e activating -e active"
    Machine(deployment.fleet, "robot1").until(going)


def test_patience_has_an_end_and_the_job_goes_on(deployment):
    run = deployment.deploy(job("exec sleep 1000"), wait=True, wait_seconds=1)
    assert run.status == 2
    assert "robot1: waits for once/g r0 app: not finished after 1 s, and still running" in run.output
    Machine(deployment.fleet, "robot1").processes(1, "sleep 1000")
