# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run on two robots prints with Ansible's own callback: what changes, first, and little else."""

from __future__ import annotations

import re

import pytest

from tests.integration.deploy.harness import lines_of, sleeper
from tests.integration.engine.harness import Machine
from tests.robots.host import CHECKOUT, wait_for

pytestmark = pytest.mark.robots

NOBODY = "skipping: no hosts matched"
SECOND = """
  - name: {name}
    tasks:
      - name: main
        config: {{execConfig: {{command: /bin/sh, args: [-c, "head -c 10000 /dev/urandom >data; exec sleep infinity"]}}}}
        resources: {{cpu: 100m, memory: 32Mi}}
"""


def lines(run):
    return [line for line in run.output.splitlines() if line.strip()]


def said(run):
    """The lines of what changes. A run that asks the robots again comes to this task twice, and says it once."""
    return [line for line in lines_of(run, "Say what changes") if not line.startswith("ok: ")]


def test_an_unchanged_run_and_a_changed_variable_are_few_lines(deployment):
    deployment.deploy(sleeper()).well()
    unchanged = deployment.deploy(sleeper()).well()
    assert len(lines(unchanged)) <= 12, unchanged.output
    changed = deployment.deploy(sleeper(value="two")).well()
    assert len(lines(changed)) <= 20, changed.output
    assert NOBODY not in unchanged.output + changed.output
    assert said(changed) == ["robot1, robot2: web r0 main: restart (env VALUE)"]


def test_a_check_says_what_the_run_then_says(deployment):
    first = sleeper() + SECOND.format(name="old")
    then = sleeper(value="two") + SECOND.format(name="other")
    for job in (first, then):
        # Both find what the tasks have written on the disk.
        for robot in ("robot1", "robot2"):
            if job is then:
                Machine(deployment.fleet, robot).until("[ $(stat -c %s /var/lib/k8s4r/tasks/*-old-*/local/data) = 10000 ]")
            deployment.sh(robot, "sync")
        check = deployment.deploy(job, "--check").well()
        assert said(check) == said(deployment.deploy(job).well())
    *others, goes = said(check)
    assert others == ["robot1, robot2: web r0 main: restart (env VALUE)", "robot1, robot2: other: new (r0 main)"]
    assert re.fullmatch("robot1, robot2: old: goes, with 1[0-9.]+ KiB of data", goes)


def test_a_task_that_was_dead_is_said_to_be_started_and_of_what_it_died(deployment):
    job = sleeper(script="'exec sleep 600'")
    deployment.deploy(job).well()
    deployment.sh("robot2", "pkill -9 -x sleep")
    dead = "systemctl show --property=ActiveState --value 'k8s4r-task-*'"
    wait_for(lambda: "failed" in deployment.sh("robot2", dead), 120, "the task does not fail")
    (line,) = said(deployment.deploy(job).well())
    assert re.fullmatch(r"robot2: web r0 main: start \(down since .*: .*\)", line), line


def test_what_somebody_has_changed_or_removed_on_a_robot_is_not_told_as_a_change_of_the_job(deployment):
    deployment.deploy(sleeper()).well()
    deployment.sh("robot1", "sed -i s/TimeoutStopSec=.*/TimeoutStopSec=77/ /etc/systemd/system/k8s4r-task-hello-*; systemctl daemon-reload")
    deployment.sh("robot2", "systemctl stop 'k8s4r-task-hello-*'; rm /etc/systemd/system/k8s4r-task-hello-*; systemctl daemon-reload")
    check = deployment.deploy(sleeper(), "--check").well()
    assert said(check) == [
        "robot1: web r0 main: restart (changed on the robot by hand: how it is stopped)",
        "robot2: web r0 main: start (its unit was missing)",
    ]
    assert said(deployment.deploy(sleeper()).well()) == said(check)
    assert said(deployment.deploy(sleeper()).well()) == []


def test_an_error_is_said_once(deployment):
    deployment.deploy(sleeper()).well()
    failing = deployment.deploy(sleeper(script="'echo cannot open the camera >&2; exit 3'"))
    failing.refused("was rolled back")
    assert "cannot open the camera" not in "".join(line for line in failing.output.splitlines() if line.startswith("fatal: "))
    bad = deployment.deploy(sleeper().replace("32Mi", "32Mo"))
    bad.refused("32Mo")
    assert bad.output.count("32Mo") == 1
    assert [word for run in (failing, bad) for word in ("Origin:", "[ERROR]") if word in run.output] == []


def test_a_diff_shows_a_variable_with_its_value_and_a_directory_in_a_line(deployment):
    check = deployment.deploy(sleeper(), "--check", "--diff").well()
    assert "+VALUE=one" in check.output
    assert re.search(r"^\+ directory /var/lib/k8s4r/tasks/\S+/local \(k8s4r-hello-web-\S+ 0750\)$", check.output, re.MULTILINE)
    assert re.search(r"^\+ file /etc/k8s4r/groups/\S+/bin/stop-program \(root:root 0644\)$", check.output, re.MULTILINE)
    assert "SPDX-License-Identifier" not in check.output
    deployment.deploy(sleeper()).well()
    changed = deployment.deploy(sleeper(value="two"), "--diff").well()
    assert changed.output.count("-VALUE=one\n+VALUE=two\n") == 2


def test_a_diff_of_a_template_shows_names_alone(deployment):
    """Any of its values may be a vaulted variable's."""
    job = deployment.job(sleeper(value="'{{ word }}'"), "hello.yml.j2")
    for word in ("canary1", "canary2"):
        run = deployment.run("k8s4r.robot.deploy_taskgroup", "--diff", job=job, word=word).well()
        assert "canary" not in run.output
    assert run.output.count("-VALUE=(secret)\n+VALUE=(secret, changed)\n") == 2


STEPS = sorted(path.stem for path in (CHECKOUT / "playbooks" / "tasks").glob("*.yml"))


def test_files_beside_a_users_playbook_are_not_taken_for_ours(deployment, monkeypatch, tmp_path):
    monkeypatch.setenv("K8S4R_HOME", str(tmp_path / "new"))
    for name in STEPS:
        (tmp_path / f"{name}.yml").write_text("- ansible.builtin.fail: {msg: this file is the user's}\n")
    (tmp_path / "deploy.yml").write_text("- ansible.builtin.import_playbook: k8s4r.robot.deploy_taskgroup\n")
    run = deployment.run("deploy.yml", job=deployment.job(sleeper())).well()
    assert "again.yml" in run.output
    asked = "robot1, robot2: asked what jobs can use there; the jobs are compiled again, and the changes follow"
    assert said(run) == [asked, "robot1, robot2: web: new (r0 main)"]
    assert deployment.value("robot1") == "one"
