# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Robots that answer rubbish, have no Python that serves, have two names, or are no longer what they once reported."""

from __future__ import annotations

import json

import pytest
import yaml

from tests.integration.deploy.harness import Deployment, sleeper

LIAR = """#!/bin/sh
cat > /dev/null
printf 'K8S4R-RESULT\\n%s\\n' '{answer}'
"""
# What Python 2 does with the option -I, by its own words.
PYTHON_2 = """#!/bin/sh
test "$1" = --version && exec echo Python 2.7.18
cat > /dev/null
echo "Unknown option: -I" >&2
exit 2
"""


@pytest.fixture
def deployment(fleet, machine, tmp_path, monkeypatch):
    monkeypatch.setenv("K8S4R_HOME", str(tmp_path / "controller"))
    monkeypatch.chdir(tmp_path)
    del machine
    return Deployment(fleet, tmp_path)


def program(machine, content):
    machine.sh(f"cat > /root/python <<'EOF'\n{content}\nEOF\nchmod 755 /root/python")
    return "/root/python"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ('{"status":"wonderful\\u001b]0;OWNED\\u0007"}', "status 'wonderful"),
        ('{"status":"ok"}', "capabilities is missing"),
        (
            '{"status":"ok","capabilities":{"systemd":"\\u001b[2Jnew"},"mesh":{"digest":"","serves":[],"calls":[],"pods":[]}}',
            "the robot reports 'systemd' as",
        ),
        (
            '{"status":"ok","capabilities":{"systemd":"252"},"mesh":{"digest":"x","serves":[7],"calls":[],"pods":[]}}',
            "reports its services, callers and pods in a form",
        ),
    ],
)
def test_a_robot_that_answers_rubbish_is_named_and_its_escapes_are_harmless(deployment, machine, answer, said):
    run = deployment.deploy(sleeper(), ansible_python_interpreter=program(machine, LIAR.format(answer=answer)))
    run.refused("robot1: ", said)
    assert "\x1b]0;" not in run.output
    assert "\x1b[2J" not in run.output


ORDERS = {
    "add_host": {"host_name": "stranger", "groups": ["owned"], "host_vars": {"ansible_host": "192.0.2.1"}},
    "add_group": "owned",
    "ansible_facts": {"k8s4r_labels": {"role": "vault"}, "took": True},
}
AFTERWARDS = """
- hosts: robots
  gather_facts: false
  become: true
  tasks:
    - k8s4r.robot.status:
- hosts: localhost
  gather_facts: false
  tasks:
    - ansible.builtin.debug:
        msg: "{{ groups | string }} facts: {{ hostvars['robot1'].took is defined }}"
"""


def test_a_robot_gives_the_controller_no_orders(deployment, machine, tmp_path):
    """With others it could have the controller reach another robot in a way of its own choice: any command."""
    answer = {"status": "ok", "jobs": [], "idle": [], "unread": [], **ORDERS}
    (tmp_path / "afterwards.yml").write_text(AFTERWARDS)
    python = program(machine, LIAR.format(answer=json.dumps(answer)))
    run = deployment.run("afterwards.yml", ansible_python_interpreter=python).well()
    assert "facts: False" in run.output
    for order in ("stranger", "owned"):
        assert order not in run.output


def test_a_python_that_does_not_serve_is_named_with_its_version_and_the_variable(deployment, machine):
    run = deployment.deploy(sleeper(), ansible_python_interpreter=program(machine, PYTHON_2))
    run.refused("robot1: ", "/root/python is Python 2.7.18; 3.8 or later is needed", "set ansible_python_interpreter (it is /root/python)")
    run = deployment.deploy(sleeper(), ansible_python_interpreter="/nowhere/python3")
    run.refused("robot1: ", "there is no /nowhere/python3 on the robot", "set ansible_python_interpreter (it is /nowhere/python3)")


def test_a_machine_with_two_names_is_told_at_the_start(deployment, fleet, tmp_path):
    deployment.deploy(sleeper()).well()
    twin = {"all": {"children": {"robots": {"hosts": {"twin": {"ansible_host": fleet.address("robot1")}}}}}}
    (tmp_path / "twin.yml").write_text(yaml.safe_dump(twin))
    run = deployment.deploy(sleeper(value="two"), "-i", str(tmp_path / "twin.yml"), "--limit", "twin").well()
    told = " ".join(run.output.split())
    assert f"inventory: robot1, twin have the same address, {fleet.address('robot1')}: if they are one machine" in told
    assert "twin: this machine was called robot1 when the job was last deployed to it, and is called twin now" in told
    again = deployment.deploy(sleeper(value="two")).well()
    assert "this machine was" not in again.output
    twin["all"]["children"]["robots"]["hosts"] = {"r/../x": {}}
    (tmp_path / "twin.yml").write_text(yaml.safe_dump(twin))
    deployment.deploy(sleeper(), "-i", str(tmp_path / "twin.yml")).refused('"r/../x" cannot be the name of a robot')


@pytest.mark.parametrize("reported", [{"systemd": "241", "cgroup": "2"}, {"systemd": "odd"}])
def test_what_a_robot_once_reported_keeps_no_deployment_from_it(deployment, tmp_path, reported):
    known = tmp_path / "controller" / "capabilities" / "robot1.json"
    known.parent.mkdir(parents=True)
    known.write_text(json.dumps(reported))
    deployment.deploy(sleeper()).well()
    assert deployment.value("robot1") == "one"
    assert json.loads(known.read_text())["systemd"] == "252"
    # A robot that the run does not reach cannot be asked.
    absent = {"all": {"children": {"robots": {"hosts": {"absent": {"ansible_host": "192.0.2.1"}}}}}}
    (tmp_path / "absent.yml").write_text(yaml.safe_dump(absent))
    known.with_name("absent.json").write_text(json.dumps({"systemd": "241", "cgroup": "2"}))
    run = deployment.deploy(sleeper(), "-i", str(tmp_path / "absent.yml"), "--limit", "robot1")
    run.refused("the robot has systemd 241", "(for absent)", "ansible-playbook -i <inventory> k8s4r.robot.capabilities")


def test_what_a_killed_run_was_to_do_does_not_lie_about(deployment, machine):
    deployment.deploy(sleeper()).well()
    machine.sh("echo sesame > /run/k8s4r/requests/20260101T000000-00000000.json")
    assert set(deployment.deploy(sleeper()).well().changed.values()) == {0}
    assert machine.sh("ls -A /run/k8s4r/requests") == ""
