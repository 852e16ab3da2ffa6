# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An instance that moves to another robot: the first robot gives it up when the second one has it."""

from __future__ import annotations

import itertools
import json
import re
import threading

import pytest

from ansible_collections.k8s4r.robot.plugins.plugin_utils.fleet.spread import spread
from tests.integration.deploy.harness import sleeper
from tests.integration.engine.harness import Machine

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
PORT = "7321"
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
    run.refused("robot1: default/hello/camera is kept here because the run failed on robot2, which is to take over r0; fix robot2 and run")
    assert (has_camera(camera, "robot1"), has_camera(camera, "robot2")) == (True, False)
    assert camera.sh("robot1", DATA)
    assert camera.value("robot1") == "two"
    camera.deploy(job("robot2", value="two")).well()
    assert (has_camera(camera, "robot1"), has_camera(camera, "robot2")) == (False, True)


def test_a_run_that_does_not_reach_the_other_robot_gives_nothing_up(camera):
    run = camera.deploy(job("robot2"), "--limit", "robot1").well()
    assert "robot1: camera: stays on robot1, because robot2 is not in this run" in run.output
    assert "camera is kept here because robot2, which is to take over r0, is not in this run; run again with robot2" in run.output
    assert "moves away" not in run.output
    assert "failed on" not in run.output
    assert has_camera(camera, "robot1")
    camera.deploy(job("robot2")).well()
    assert (has_camera(camera, "robot1"), has_camera(camera, "robot2")) == (False, True)


def test_what_a_schedule_runs_stays_with_its_data_where_the_other_robot_is_not_reached(deployment):
    def report(robot):
        yearly = {"type": "batch", "schedule": {"cron": "0 0 1 1 *"}}
        on = {"constraints": [{"lTarget": "${node.unique.name}", "rTarget": robot}]}
        return json.dumps({**yearly, "name": "hello", "taskGroups": [{"name": "report", **on, "tasks": listener("report")["tasks"]}]})

    def is_due(robot):
        return "k8s4r-" in deployment.sh(robot, "systemctl list-units --plain --no-legend --state=active 'k8s4r-*report*.timer'")

    deployment.deploy(report("robot1")).well()
    deployment.sh("robot1", "touch $(ls -d /var/lib/k8s4r/tasks/*report*)/local/precious")
    run = deployment.deploy(report("robot2"), "--limit", "robot1").well()
    assert "robot1: report: stays on robot1, because robot2 is not in this run" in run.output
    assert is_due("robot1")
    assert deployment.sh("robot1", DATA)
    run = deployment.deploy(report("robot2")).well()
    assert "robot1: report: moves away from robot1 to robot2" in run.output
    assert [is_due(robot) for robot in ("robot1", "robot2")] == [False, True]
    assert not deployment.sh("robot1", DATA)


def test_it_stays_if_another_run_takes_it_away_from_the_other_robot_meanwhile(camera):
    """Of two runs with opposite wishes, each may find on one robot what it wants there, and give up what the other one counts on."""
    first = Machine(camera.fleet, "robot1")
    wait = ["-c", "until [ -e /run/goes-on ]; do sleep 0.1; done"]
    init = json.dumps([{"name": "wait", "driver": "raw_exec", "config": {"execConfig": {"command": "/bin/sh", "args": wait}}}])
    slow = f"""
  - name: slow
    constraints: [{{lTarget: "${{node.unique.name}}", rTarget: robot1}}]
    initTasks: {init}
    tasks: [{{name: main, config: {{execConfig: {{command: sleep, args: [infinity]}}}}}}]
"""
    first.sh("rm -f /run/goes-on")
    # Of a system job, each robot has an instance of its own, which does not move.
    moved = job("robot2").replace("type: system", "type: service").replace("- name: web\n", "- name: web\n    count: 2\n")
    # It has moved already for somebody else, who did not reach the first robot.
    camera.deploy(moved, "--limit", "robot2").well()
    ended = []
    file = camera.job(moved + slow, "slow.yml")
    run = threading.Thread(target=lambda: ended.append(camera.run("k8s4r.robot.deploy_taskgroup", job=file)))
    run.start()
    try:
        first.until("systemctl is-active 'k8s4r-init-hello-slow-*' | grep activating")
        camera.run("k8s4r.robot.remove_taskgroup", "--limit", "robot2", job_name="hello").well()
        assert not has_camera(camera, "robot2")
    finally:
        first.sh("touch /run/goes-on")
        run.join()
    said = " ".join(ended[0].output.split())
    why = "robot2, which is to take over r0, no longer has it, because another run took it away; run again"
    assert f"camera is kept here because {why}" in said
    assert has_camera(camera, "robot1")
    camera.deploy(moved).well()
    assert (has_camera(camera, "robot1"), has_camera(camera, "robot2")) == (False, True)


def test_a_group_that_is_renamed_and_lands_elsewhere_goes_when_the_new_one_runs(camera):
    run = camera.deploy(job("robot2", script=FAILS, name="webcam"))
    run.refused("robot1: default/hello/camera is kept here because the run failed on robot2, which is to take over with default")
    assert has_camera(camera, "robot1")
    assert camera.sh("robot1", DATA)
    camera.deploy(job("robot2", name="webcam")).well()
    assert (has_camera(camera, "robot1"), has_camera(camera, "robot2")) == (False, True)
    assert not camera.sh("robot1", DATA)


def test_an_instance_that_cannot_move_yet_is_shown_and_kept_up_and_comes_back_as_it_was(deployment):
    """Of two, one stays in any case."""

    def pair(robots):
        two = job("robot1").replace("count: 1", "count: 2").replace("rTarget: robot1", f"operand: regexp, rTarget: {robots}")
        # A system job has no such instances. The other group is on both robots all the same.
        return two.replace("type: system", "type: service").replace("- name: web\n", "- name: web\n    count: 2\n")

    def main_pids():
        names = "k8s4r-task-hello-camera-r*-main-*.service"
        return sorted(deployment.sh("robot1", f"systemctl show -p Id,MainPID '{names}'").split())

    def kept():
        return deployment.deploy(pair("robot."), "--limit", "robot1").well().output

    def status():
        return deployment.run("k8s4r.robot.status", job_name="hello").well().output

    deployment.deploy(pair("robot1")).well()
    before = main_pids()
    for _again in range(2):
        said = kept()
        assert re.search(r"robot1: camera r[01]( main)?: stays on robot1, because robot2 is not in this run", said), said
        assert "camera: start" not in said
    shown = status()
    assert "nothing is wrong" in shown
    leaving = re.search(r"r([01]) main +up .* is to move away; (k8s4r-task-[^ \n]+)", shown)
    assert leaving, shown
    unit = f"{leaving[2]}.service"
    deployment.deploy(pair("robot1")).well()
    assert main_pids() == before
    kept()
    deployment.sh("robot1", f"systemctl stop {unit}")
    assert "1 OF 2 DOWN" in status()
    kept()
    assert deployment.sh("robot1", f"systemctl is-active {unit}").strip() == "active"
    deployment.deploy(pair("robot.")).well()
    assert len(main_pids()) == 2
    assert has_camera(deployment, "robot2")


def listener(name, count=1, mode="host", **group):
    """A group that has a port of its robot."""
    program = {"command": "python3", "args": ["-m", "http.server", PORT, "--bind", "0.0.0.0"]}
    task = {"name": "main", "config": {"execConfig": program}, "restartPolicy": {"attempts": 0, "mode": "fail"}}
    network = {"mode": mode, "ports": [{"label": "http", "static": int(PORT)}]}
    return {"name": name, "count": count, "network": network, "tasks": [task], **group}


def serves(deployment, robot):
    """Somebody answers at the robot's port, from the other one. One that has only just started may need a while."""
    asks = f"python3 -c 'import urllib.request; urllib.request.urlopen(\"http://{deployment.fleet.address(robot)}:{PORT}\", timeout=10)'"
    other = {"robot1": "robot2", "robot2": "robot1"}[robot]
    Machine(deployment.fleet, other).until(asks)


def running(deployment, robot):
    """The groups and instances of which a task runs."""
    units = "systemctl list-units --plain --no-legend 'k8s4r-task-hello-*.service' --state=active"
    return sorted(re.findall(r"k8s4r-task-hello-(\w+-r\d)-main-", deployment.sh(robot, units)))


@pytest.fixture
def swapped():
    """A group of whose instances the first one moves from one robot to the other when there is a second one."""

    def where(name, count):
        return spread("\0".join(("default", "hello", name)), count, ("robot1", "robot2"))

    names = (f"camera{number}" for number in itertools.count())
    return next(name for name in names if where(name, 1) == {"robot1": [0]} and where(name, 2) == {"robot1": [1], "robot2": [0]})


def of(*groups):
    return json.dumps({"name": "hello", "type": "service", "taskGroups": groups})


def test_an_instance_that_moves_lets_go_of_its_port_for_the_one_that_comes_in_its_place(deployment, swapped):
    """A robot gives up one and takes the other, in one switch."""
    deployment.deploy(of(listener(swapped))).well()
    run = deployment.deploy(of(listener(swapped, 2))).well()
    assert re.search(rf"robot1: {swapped} r0( main)?: moves away", run.output), run.output
    assert [running(deployment, robot) for robot in ("robot1", "robot2")] == [[f"{swapped}-r1"], [f"{swapped}-r0"]]
    assert set(deployment.deploy(of(listener(swapped, 2))).well().changed.values()) == {0}


def test_a_pod_that_cannot_move_yet_goes_on_serving_beside_the_one_that_comes(deployment, swapped):
    """Both have the port, each in a network of its own."""
    deployment.deploy(of(listener(swapped, mode="group"))).well()
    deployment.deploy(of(listener(swapped, 2, mode="group")), "--limit", "robot1").well()
    assert running(deployment, "robot1") == [f"{swapped}-r0", f"{swapped}-r1"]
    serves(deployment, "robot1")
    deployment.deploy(of(listener(swapped, 2, mode="group"))).well()
    assert [running(deployment, robot) for robot in ("robot1", "robot2")] == [[f"{swapped}-r1"], [f"{swapped}-r0"]]
    serves(deployment, "robot1")
    serves(deployment, "robot2")


def test_groups_that_exchange_their_robots_and_have_the_same_port(deployment):
    """Neither robot can have what comes before it has stopped what goes; and where that fails, it is back."""

    def on(robot):
        return {"constraints": [{"lTarget": "${node.unique.name}", "rTarget": robot}]}

    def exchanged(tasks=None):
        return of(listener("left", **on("robot2")), listener("right", **on("robot1"), **({"tasks": tasks} if tasks else {})))

    deployment.deploy(of(listener("left", **on("robot1")), listener("right", **on("robot2")))).well()
    deployment.sh("robot2", "touch $(ls -d /var/lib/k8s4r/tasks/*right*)/local/precious")
    fails = listener("right")["tasks"][0] | {"config": {"execConfig": {"command": "false"}}}
    deployment.deploy(exchanged([fails])).refused("back on the last good release: default/hello/left")
    assert running(deployment, "robot1") == ["left-r0"]
    # What robot1 was to take over has not lost its data.
    assert deployment.sh("robot2", DATA)
    deployment.deploy(exchanged()).well()
    assert [running(deployment, robot) for robot in ("robot1", "robot2")] == [["right-r0"], ["left-r0"]]
    assert not deployment.sh("robot2", DATA)
    assert set(deployment.deploy(exchanged()).well().changed.values()) == {0}
