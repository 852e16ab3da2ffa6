# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Ansible prints where an action fails: each error once, and nothing of our playbooks."""

from __future__ import annotations

from tests.unit.action.test_registered_names import play

ERRORS = ["the disk is full", 'the port "80" is taken']
REFUSED = {"k8s4r_prepared": {"status": "refused", "errors": ERRORS}}


def test_an_error_is_said_once_as_text(tmp_path):
    said = play(tmp_path, REFUSED, "collect", {})
    assert [said.count(error) for error in ERRORS] == [1, 1]
    assert [word for word in ("Origin", "[ERROR]", "Traceback", "play.yml") if word in said] == []
    assert 'fatal: [localhost]: FAILED! => {"changed": false, "msg": "the reason is above"}' in said


def test_an_error_of_the_run_is_said_to_be_no_robots_where_ansible_names_one(tmp_path, monkeypatch):
    note = "no job was changed on any robot; Ansible counts the error for one robot, but it is the run's"
    said = play(tmp_path, {"any": 1}, "compile", {"job": "none.yml"})
    assert f'fatal: [localhost]: FAILED! => {{"changed": false, "msg": "the reason is above; {note}"}}' in said
    assert said.count("none.yml: No such file or directory") == 1
    monkeypatch.setenv("ANSIBLE_STDOUT_CALLBACK", "ansible.builtin.minimal")
    said = play(tmp_path, {"any": 1}, "compile", {"job": "none.yml"})
    assert (said.count("none.yml: No such file or directory"), said.count(note)) == (1, 1)


def test_a_callback_that_prints_otherwise_gets_all_of_it(tmp_path, monkeypatch):
    monkeypatch.setenv("ANSIBLE_STDOUT_CALLBACK", "ansible.builtin.minimal")
    said = play(tmp_path, REFUSED, "collect", {})
    assert said.count("localhost: the disk is full") == 1
    assert "the reason is above" not in said


def test_a_robot_that_does_not_answer_is_said_once(tmp_path):
    compiled = {"unprobed": [], "robots": {"localhost": {"jobs": [], "assumptions": {}}}, "keep_data": False, "refresh": False, "who": "me"}
    away = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}
    said = play(tmp_path, {"k8s4r_compiled": compiled, **away}, "prepare", {})
    assert said.count("UNREACHABLE") == said.count("Connection refused") == 1
    assert [word for word in ("Origin", "[ERROR]", "Traceback", "play.yml") if word in said] == []
