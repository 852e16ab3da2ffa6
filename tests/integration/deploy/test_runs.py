# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""First run, second run, check mode, limits and removal."""

from __future__ import annotations

import json
import re

import pytest

from tests.integration.deploy.harness import lines_of, sleeper

pytestmark = pytest.mark.robots


def test_check_mode_says_what_a_run_then_does_and_leaves_nothing(deployment):
    before = [deployment.footprint(robot) for robot in ("robot1", "robot2")]
    deployment.sh("robot1", "rm -rf /var/lib/k8s4r")
    check = deployment.deploy(sleeper(), "--check", "--diff").well()
    assert [deployment.footprint(robot) for robot in ("robot1", "robot2")] == before
    assert "present" not in deployment.sh("robot1", "test -e /var/lib/k8s4r && echo present || true")
    assert "+ExecStart=" in check.output
    real = deployment.deploy(sleeper()).well()
    assert check.changed == real.changed
    assert deployment.value("robot1") == deployment.value("robot2") == "one"


def test_an_unchanged_run_is_one_round_trip_and_two_lines_for_each_robot(deployment):
    deployment.deploy(sleeper()).well()
    footprint = deployment.footprint("robot1")
    second = deployment.deploy(sleeper(), "-vvv").well()
    assert set(second.changed.values()) == {0}
    assert second.output.count("SSH: EXEC ssh") == 2
    assert "robot2" not in "".join(lines_of(second, "Say what changes"))
    assert deployment.footprint("robot1") == footprint
    assert "Switch the robots" not in second.output


def test_a_change_reaches_the_task(deployment):
    deployment.deploy(sleeper()).well()
    deployment.deploy(sleeper(value="two")).well()
    assert deployment.value("robot2") == "two"


def test_a_stopped_task_is_started_again(deployment):
    deployment.deploy(sleeper()).well()
    deployment.sh("robot2", "systemctl stop 'k8s4r-task-*'")
    run = deployment.deploy(sleeper()).well()
    assert (run.changed["robot1"], run.changed["robot2"] > 0) == (0, True)
    assert deployment.value("robot2") == "one"


def test_a_limit_decides_who_is_touched_and_not_where_things_belong(deployment):
    job = sleeper().replace("type: system", "type: service").replace("name: web", "name: web\n    count: 2")
    run = deployment.deploy(job, "--limit", "robot2").well()
    assert "robot1" not in run.changed
    assert "hello" not in deployment.footprint("robot1")
    held = deployment.sh("robot2", "ls /var/lib/k8s4r/tasks")
    deployment.deploy(job).well()
    assert deployment.sh("robot2", "ls /var/lib/k8s4r/tasks") == held
    assert len(deployment.sh("robot1", "ls /var/lib/k8s4r/tasks").split()) == 1


@pytest.mark.parametrize(
    "named",
    [{"job": "job.yml"}, {"job_namespace": "default", "job_name": "hello"}, {"namespace": "default", "name": "hello"}],
    ids=["file", "name", "reserved-name"],
)
def test_a_removed_job_leaves_nothing(deployment, named):
    deployment.deploy(sleeper()).well()
    deployment.sh("robot1", "cd /var/lib/k8s4r/groups/*/alloc && echo 1 > written")
    removed = deployment.remove(**named).well()
    assert "No robot of this run has any of these jobs" not in removed.output
    assert ("reserved name" in removed.output) == ("name" in named)
    left = deployment.sh(
        "robot1",
        "ls -A /var/lib/k8s4r/tasks /var/lib/k8s4r/groups /var/lib/k8s4r/ledger /etc/k8s4r/groups; getent passwd | grep k8s4r- || true",
    )
    assert "hello" not in left
    assert "hello" not in deployment.footprint("robot1")
    again = deployment.remove(**named).well()
    assert set(again.changed.values()) == {0}
    assert "No robot of this run has any of these jobs: default/hello; " in again.output


def test_data_can_be_kept(deployment):
    deployment.deploy(sleeper()).well()
    deployment.sh("robot1", "cd /var/lib/k8s4r/groups/*/alloc && echo 1 > written")
    deployment.remove(job="job.yml", keep_data=True).well()
    assert deployment.sh("robot1", "cat /var/lib/k8s4r/groups/*/alloc/written").strip() == "1"
    again = deployment.remove(job="job.yml", keep_data=True).well()
    assert "Of default/hello, robots have only kept data left" in again.output
    deployment.remove(job="job.yml").well()
    assert deployment.sh("robot1", "ls -A /var/lib/k8s4r/groups") == ""


def test_status_shows_what_runs(deployment):
    deployment.deploy(sleeper()).well()
    shown = deployment.run("k8s4r.robot.status").well()
    assert re.search(r"^robot1 +hello/web +1 up +(?:\d+ min +)?\d+ s +\d+% +[\d.]+ MiB( of \d+)?$", shown.output, re.MULTILINE)
    assert "2 robots, 2 groups: nothing is wrong" in shown.output
    assert set(shown.changed.values()) == {0}
    deployment.sh("robot2", "systemctl stop 'k8s4r-task-*'")
    wrong = deployment.run("k8s4r.robot.status", problems=True, job_name="hello").well()
    assert "1 OF 1 DOWN" in wrong.output
    assert re.search(
        r"^ +r\d main +down +(?:\d+ min +)?\d+ s +it was stopped; k8s4r-task-hello-web-r\d-main-\w+$", wrong.output, re.MULTILINE
    )
    assert "robot1  hello" not in wrong.output


def test_capabilities_are_shown_and_a_robot_that_is_off_has_a_line(deployment, tmp_path):
    inventory = json.loads(deployment.fleet.inventory.read_text())
    inventory["all"]["children"]["robots"]["hosts"]["away"] = {"ansible_host": "127.0.0.1", "ansible_port": 1}
    (tmp_path / "hosts.json").write_text(json.dumps(inventory))
    shown = deployment.run("k8s4r.robot.capabilities", "-i", str(tmp_path / "hosts.json"))
    assert re.search(r"^robot1 +debian 12 amd64 +252 +[12] +\d+ +[\d,]+ MiB +3\.11$", shown.output, re.MULTILINE)
    assert re.search(r"^away +OFF$", shown.output, re.MULTILINE)


def test_what_was_assumed_of_a_robot_is_put_right_within_the_run(deployment, controller_home):
    deployment.deploy(sleeper()).well()
    for path in (controller_home / "capabilities").iterdir():
        path.write_text('{"systemd": "247"}')
    assert set(deployment.deploy(sleeper()).well().changed.values()) == {0}
    assert '"systemd": "252"' in (controller_home / "capabilities" / "robot1.json").read_text()


def test_another_controllers_digest_sends_the_plan_and_changes_nothing(deployment, tmp_path, monkeypatch):
    deployment.deploy(sleeper()).well()
    monkeypatch.setenv("K8S4R_HOME", str(tmp_path / "other"))
    run = deployment.deploy(sleeper()).well()
    assert set(run.changed.values()) == {0}
    assert "nothing changes; the robots only note what their jobs are now" in run.output


def test_a_copied_file_with_the_same_name_is_told_before_it_takes_over(deployment):
    deployment.deploy(sleeper()).well()
    copied = sleeper(script="exec sleep 1000").replace("name: web", "name: copy")
    warning = "job.yml has none of the groups of job hello that robots run: group web goes from robot1, robot2"
    assert warning in " ".join(deployment.deploy(copied, "--check").well().output.split())
    assert warning in " ".join(deployment.deploy(copied).well().output.split())
    assert "none of the groups" not in deployment.deploy(copied.replace("1000", "2000")).well().output
