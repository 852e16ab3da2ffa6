# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where an action finds the results of earlier ones: under the names that its options say, or k8s4r's own."""

from __future__ import annotations

import json
import os
import pathlib

import pytest

from tests import loaded
from tests.lint.tools import CHECKOUT


def play(tmp_path: pathlib.Path, facts: dict, action: str, options: dict) -> str:
    """What Ansible prints of an action on this machine, the only robot, after these facts."""
    inventory = tmp_path / "robots"
    inventory.write_text("[robots]\nlocalhost\n", encoding="utf-8")
    tasks = [{"ansible.builtin.set_fact": facts}, {f"k8s4r.robot.{action}": options}]
    path = tmp_path / "play.yml"
    path.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]), encoding="utf-8")
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(CHECKOUT / "build"), "ANSIBLE_NOCOLOR": "1", "K8S4R_HOME": str(tmp_path)}
    done = loaded.run("-i", inventory, path, environment=environment, directory=tmp_path)
    return done.stdout + done.stderr


REFUSED = {"status": "refused", "errors": ["the disk is full"]}


@pytest.mark.parametrize(("fact", "options"), [("k8s4r_prepared", {}), ("answers", {"prepared": "answers"})])
def test_the_option_names_the_variable(tmp_path, fact, options):
    said = play(tmp_path, {fact: REFUSED}, "collect", options)
    assert "localhost: the disk is full" in said


BEFORE = [
    ("prepare", "compiled", "compile"),
    ("switch", "prepared", "prepare"),
    ("collect", "prepared", "prepare"),
    ("entries", "compiled", "compile"),
    ("entries", "prepared", "prepare"),
]


@pytest.mark.parametrize(("action", "option", "before"), BEFORE)
def test_a_result_that_is_missing_is_named_with_the_action_that_gives_it(tmp_path, action, option, before):
    """A misspelt name must not look like robots that have nothing to do."""
    said = play(tmp_path, {"k8s4r_compiled": {"robots": {}}}, action, {option: "mine"})
    assert f"there is no variable mine: first run k8s4r.robot.{before} with `register: mine`" in said


@pytest.mark.parametrize("job", [{"name": "{{ wanted }}"}, {"name": "{{ wanted }}", "namespace": "{{ wanted }}"}])
def test_a_job_is_removed_by_a_name_that_a_variable_holds(tmp_path, job):
    """What Ansible's templates give is text with marks of its own, and a plan is sealed as plain values."""
    said = play(tmp_path, {"wanted": "shop"}, "compile", {"state": "absent", **job})
    assert "failed=0" in said


@pytest.mark.parametrize(("action", "facts"), [("prepare", {"k8s4r_compiled": "text"}), ("collect", {"k8s4r_prepared": ["x"]})])
def test_a_variable_that_is_no_result_is_named(tmp_path, action, facts):
    said = play(tmp_path, facts, action, {})
    assert f"the variable {next(iter(facts))} is not the result of k8s4r.robot." in said
    assert "Traceback" not in said


def test_a_mistyped_choice_is_told_by_the_name_that_the_person_used(tmp_path):
    said = play(tmp_path, {"x": 1}, "compile", {"job": "x.yml", "verify_entries": "ture"})
    assert 'verify_entries: found "ture": expected true or false' in said
