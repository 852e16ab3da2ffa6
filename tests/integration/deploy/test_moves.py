# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An instance that moves to another robot: the first robot gives it up when the second one has it."""

from __future__ import annotations

import pytest

from tests.integration.deploy.harness import sleeper

pytestmark = pytest.mark.robots

CAMERA = """
  - name: camera
    count: 1
    constraints: [{{lTarget: "${{node.unique.name}}", rTarget: {robot}}}]
    tasks:
      - name: main
        config: {{execConfig: {{command: /bin/sh, args: [-c, {script}]}}}}
        resources: {{cpu: 100m, memory: 32Mi}}
    restartPolicy: {{attempts: 0, mode: fail}}
"""
LONG = "exec sleep 2147483647"
FAILS = "exit 3"
DATA = "find /var/lib/k8s4r/tasks -name precious"


def job(robot, script=LONG, value="one", name="camera"):
    """A group on every robot, and a camera on one."""
    return sleeper(value=value) + CAMERA.format(robot=robot, script=script).replace("camera", name)


def has_camera(deployment, robot):
    return bool(deployment.sh(robot, "pgrep -xf 'sleep 2147483647'; [ $? -le 1 ]").strip())


@pytest.fixture
def camera(deployment):
    """It runs on the first robot, with data."""
    deployment.deploy(job("robot1")).well()
    deployment.sh("robot1", "touch $(ls -d /var/lib/k8s4r/tasks/*camera*)/local/precious")
    return deployment


def test_it_is_given_up_after_the_other_robot_has_it(camera):
    camera.deploy(job("robot2", value="two"), "--check").well()
    assert has_camera(camera, "robot1")
    run = camera.deploy(job("robot2", value="two")).well()
    assert run.output.index("TASK [Switch the robots]") < run.output.index("TASK [Give up what other robots run now]")
    assert (has_camera(camera, "robot1"), has_camera(camera, "robot2")) == (False, True)
    assert not camera.sh("robot1", DATA)
    assert camera.value("robot1") == "two"
    assert set(camera.deploy(job("robot2", value="two")).well().changed.values()) == {0}


def test_where_the_other_robot_fails_it_stays_with_its_data_and_the_rest_goes_on(camera):
    run = camera.deploy(job("robot2", script=FAILS, value="two"))
    assert run.status == 2
    run.refused("robot1: default/hello/camera stays here: this run did not succeed on robot2, which is to run r0")
    assert (has_camera(camera, "robot1"), has_camera(camera, "robot2")) == (True, False)
    assert camera.sh("robot1", DATA)
    assert camera.value("robot1") == "two"
    camera.deploy(job("robot2", value="two")).well()
    assert (has_camera(camera, "robot1"), has_camera(camera, "robot2")) == (False, True)


def test_a_run_that_does_not_reach_the_other_robot_gives_nothing_up(camera):
    run = camera.deploy(job("robot2"), "--limit", "robot1").well()
    assert "camera stays here" in run.output
    assert has_camera(camera, "robot1")
    camera.deploy(job("robot2")).well()
    assert (has_camera(camera, "robot1"), has_camera(camera, "robot2")) == (False, True)


def test_a_group_that_is_renamed_and_lands_elsewhere_goes_when_the_new_one_runs(camera):
    run = camera.deploy(job("robot2", script=FAILS, name="webcam"))
    run.refused("robot1: default/hello/camera stays here: this run did not succeed on robot2, which is to run default/hello/webcam")
    assert has_camera(camera, "robot1")
    assert camera.sh("robot1", DATA)
    camera.deploy(job("robot2", name="webcam")).well()
    assert (has_camera(camera, "robot1"), has_camera(camera, "robot2")) == (False, True)
    assert not camera.sh("robot1", DATA)
