# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bad input: one clear error that names file, place and way out, before anything changes, and never a traceback."""

from __future__ import annotations

import json

import pytest

from tests.integration.deploy.harness import sleeper

GOOD = sleeper()

# What is wrong with the job, and words of the error.
BAD = {
    "no YAML": ("name: [\n", ("job.yml:2:1", "not valid YAML")),
    "unknown key": (GOOD.replace("memory:", "memroy:"), ("taskGroups[0].tasks[0].resources.memroy", "did you mean memory?")),
    "unit": (GOOD.replace("32Mi", "32Mo"), ("taskGroups[0].tasks[0].resources.memory", "32Mo")),
    "duplicate key": (GOOD + "name: hello\n", ("duplicate key",)),
    "name": (GOOD.replace("name: main", "name: ../x"), ("taskGroups[0].tasks[0].name", "../x")),
    "two mistakes": (GOOD.replace("32Mi", "3").replace("100m", "0"), ("resources.memory", "resources.cpu")),
    "no robot": (GOOD + "robotSelector: {role: nobody}\n", ("no robot can run this group", "robotSelector.role")),
    "unknown attribute": (GOOD + "constraints: [{lTarget: '${attr.gpu}', rTarget: x}]\n", ("${attr.gpu} is unknown for robot1, robot2",)),
}


@pytest.mark.robots
@pytest.mark.parametrize("name", BAD)
def test_a_bad_job_is_refused_before_any_robot_is_touched(deployment, name):
    text, words = BAD[name]
    before = deployment.footprint("robot1")
    deployment.deploy(text).refused("job.yml", *words)
    assert deployment.footprint("robot1") == before


@pytest.mark.robots
def test_a_port_that_somebody_else_holds_is_found_on_every_robot_at_once(deployment):
    job = "name: api\ntype: system\ntaskGroups: [{name: back, network: {services: [{name: api, port: 22, to: '127.0.0.1:1'}]}}]\n"
    run = deployment.deploy(job, "--check")
    run.refused("job.yml: taskGroups[0].network.services[0].port: port 22 on 0.0.0.0 is taken by sshd", "unit ssh.service")
    # Robots that say the same share a line; the numbers of their processes may differ.
    told = [line for line in run.output.splitlines() if "is taken by sshd" in line and not line.startswith("fatal")]
    assert {robot for robot in ("robot1", "robot2") if any(robot in line.partition(": job.yml")[0] for line in told)} == {
        "robot1",
        "robot2",
    }


@pytest.mark.robots
def test_no_job_and_a_missing_job_are_explained(deployment):
    deployment.run("k8s4r.robot.deploy_taskgroup").refused("no job given: add -e job=")
    deployment.run("k8s4r.robot.deploy_taskgroup", job="nowhere.yml").refused("nowhere.yml: No such file or directory")
    # It is wanted at the end of a run, and refused at its beginning.
    refused = deployment.deploy(sleeper(), wait="true", wait_seconds="soon")
    refused.refused('wait_seconds: found "soon": expected a whole number, such as 600')
    assert "Prepare the robots" not in refused.output
    deployment.run("k8s4r.robot.remove_taskgroup").refused("no job given: add -e job=", "add -e job_name=<name>", "-e job_namespace=")
    # A file that cannot be read, as one without its vault password, need not be.
    gone = deployment.run("k8s4r.robot.remove_taskgroup", job="nowhere.yml")
    gone.refused("nowhere.yml: No such file or directory", "or name the job: add -e job_name=<name>")


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Playbooks with an inventory of the controller itself, where no systemd need run."""

    class Fleet:
        inventory = tmp_path / "inventory.yml"

    from tests.integration.deploy.harness import Deployment

    monkeypatch.setenv("K8S4R_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)

    def given(**host: object) -> Deployment:
        robots = (
            {"robots": {"hosts": {"me": {"ansible_connection": "local", "ansible_become": False, **host}}}}
            if host
            else {"other": {"hosts": {"me": {}}}}
        )
        Fleet.inventory.write_text(json.dumps({"all": {"children": robots}}))
        return Deployment(Fleet, tmp_path)

    return given


def test_an_inventory_without_robots_is_an_error(here):
    here().deploy(GOOD).refused("put the machines that may run task groups into the group `robots`")


def test_a_robot_without_python_is_named(here):
    here(ansible_python_interpreter="/nowhere/python3").deploy(GOOD).refused(
        "me: there is no /nowhere/python3 on the robot; install python3 (3.8 or later) or set ansible_python_interpreter"
    )


def test_a_python_that_is_too_old_is_named(here, tmp_path):
    old = tmp_path / "python3"
    old.write_text("#!/bin/sh\ncat >/dev/null\necho /usr/bin/python3 is Python 3.6.9 >&2\nexit 46\n")
    old.chmod(0o755)
    here(ansible_python_interpreter=str(old)).deploy(GOOD).refused(
        "me: the robot's Python is too old: /usr/bin/python3 is Python 3.6.9; 3.8 or later is needed", f"(it is {old})"
    )


def test_jobs_are_validated_without_inventory_and_under_any_limit_and_tag(here, tmp_path):
    deployment = here()
    deployment.job(GOOD, "a.yml")
    deployment.job(GOOD.replace("name: hello", "name: other"), "b.yml")
    for job in ([str(tmp_path / "a.yml"), "b.yml"], "a.yml, b.yml"):
        run = deployment.run("k8s4r.robot.validate", "--limit", "me", "--tags", "web", job=job).well()
        assert "default/hello is valid" in run.output
        assert "default/other is valid" in run.output
    deployment.job(GOOD, "a,b.yml")
    deployment.run("k8s4r.robot.validate", job="a,b.yml").well()
    (tmp_path / "a,b.yml").unlink()
    deployment.job("x: 1\n", "c.yml")
    deployment.run("k8s4r.robot.validate", job=".").refused("c.yml:1", "unknown key")
