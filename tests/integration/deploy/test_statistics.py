# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Statistics as a person gets them: by a task of a play, in the table, and as a file that the inventory asks for."""

from __future__ import annotations

import pytest

from tests.integration.deploy.harness import lines_of, sleeper

pytestmark = pytest.mark.robots

ASK = """
- hosts: robots
  gather_facts: false
  become: true
  tasks:
    - name: Ask
      k8s4r.robot.taskgroup_info: {{job_name: {job}, sample: {sample}}}
      register: found
    - name: Look
      ansible.builtin.assert:
        that:
          - found is not changed
          - found.taskgroups | map(attribute='job') | list == ['hello']
          - found.taskgroups[0].proxy is none
          - task.task == 'main' and task.instance is integer and task.well
          - task.memory.limit == 32 * 1024 * 1024 and 0 < task.memory.current <= task.memory.peak
          - task.cpu.limit == 0.1 and task.cpu.percent is number
      vars:
        task: "{{{{ found.taskgroups[0].tasks[0] }}}}"
"""


def test_a_play_has_them_as_data_and_a_person_in_the_table(deployment):
    deployment.deploy(sleeper() + "---\n" + sleeper("other")).well()
    playbook = deployment.directory / "ask.yml"
    for arguments in ((), ("--check",)):
        playbook.write_text(ASK.format(job="hello", sample=0.1), encoding="utf-8")
        deployment.run(str(playbook), *arguments).well()
    playbook.write_text(ASK.format(job="hello", sample=9), encoding="utf-8")
    assert "sample: found 9: expected seconds, 0 to 3" in deployment.run(str(playbook)).output
    shown = lines_of(deployment.run("k8s4r.robot.status", job_name="hello").well(), "Show what runs")
    assert [line.split()[-1] for line in shown if line.startswith("robot ")] == ["restarts"]
    assert sum("MiB of 32" in line and "% of 10%" in line for line in shown) == 2, shown


def test_the_inventory_asks_for_the_file_and_no_longer(deployment):
    nothing_else = {f"k8s4r_provision_{what}": [] for what in ("spire_server", "spire_agent", "envoy")}

    def provision(directory, *arguments):
        run = deployment.run("k8s4r.robot.provision", *arguments, **nothing_else, k8s4r_textfile_directory=directory).well()
        return sum(line.startswith("changed:") for line in lines_of(run, "Write statistics where they are asked for"))

    def written(robot):
        return deployment.sh(robot, "ls /srv/textfile").split()

    assert provision("") == 0
    for robot in ("robot1", "robot2"):
        # A robot that is to write nothing has got nothing.
        assert deployment.sh(robot, "ls -A /var/lib/k8s4r") == ""
        deployment.sh(robot, "rm -rf /srv/textfile; mkdir /srv/textfile")
    assert provision("/srv/textfile", "--check") == 2
    assert written("robot1") == []
    assert provision("/srv/textfile") == 2
    assert provision("/srv/textfile") == 0
    # The first deployment comes after it, and is then there at the timer's next turn.
    deployment.deploy(sleeper()).well()
    deployment.sh("robot1", "systemctl start k8s4r-textfile.service; grep -q 'job=\"hello\"' /srv/textfile/k8s4r.prom")
    assert written("robot2") == ["k8s4r.prom"]
    assert provision("") == 2
    assert written("robot1") == written("robot2") == []
