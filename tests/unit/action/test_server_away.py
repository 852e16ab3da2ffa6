# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The SPIRE server's machine is out of reach, or would be mistaken for this one: asked only when needed, and said plainly."""

from __future__ import annotations

import json
import os
import pathlib

import pytest
import yaml

from tests import loaded
from tests.lint.tools import CHECKOUT

AGENT = "spiffe://fleet.example/spire/agent/x509pop/robot1"
ENTRY = {"entry_id": "k8s4r.1", "spiffe_id": "spiffe://fleet.example/ns/default/job/web/group/a", "parent_id": AGENT, "selectors": []}
# Nothing listens there.
AWAY = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}
HERE = {"ansible_connection": "local"}


def run(tmp_path: pathlib.Path, action: str, options: dict, *, hub: dict, prepared: dict, **compiled: object) -> tuple[int, str]:
    """Exit status and output of an action on a robot that is this machine, after `compile` and `prepare` answered so."""
    delegated = {"delegate_to": "hub", "run_once": True} if action != "collect" else {"run_once": True}
    return after_prepare(tmp_path, {f"k8s4r.robot.{action}": options, **delegated}, hub, prepared, compiled)


def after_prepare(tmp_path: pathlib.Path, task: dict, hub: dict, prepared: dict, compiled: dict, *argv: str) -> tuple[int, str]:
    """The same of any task."""
    robots = {"robot1": {"jobs": [{"namespace": "default", "name": "web", "empty": True}], "agent": AGENT}}
    facts = {
        "k8s4r_compiled": {"robots": robots, "state": "present", "identities": False, "verify_entries": False, **compiled},
        "k8s4r_prepared": {"status": "committed", "steps": ["x"], "missing": [], "entries_differ": False, **prepared},
    }
    inventory = {"all": {"children": {"robots": {"hosts": {"robot1": HERE}}, "spire_server": {"hosts": {"hub": hub}}}}}
    (tmp_path / "inventory.json").write_text(json.dumps(inventory), encoding="utf-8")
    tasks = [{"ansible.builtin.set_fact": facts}, task]
    play = tmp_path / "play.yml"
    play.write_text(json.dumps([{"hosts": "robots", "gather_facts": False, "tasks": tasks}]), encoding="utf-8")
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(CHECKOUT / "build"), "ANSIBLE_NOCOLOR": "1", "K8S4R_HOME": str(tmp_path)}
    done = loaded.run(*argv, "-i", tmp_path / "inventory.json", play, environment=environment, directory=tmp_path)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("state", ["present", "exact"])
def test_nothing_is_asked_where_nothing_has_or_needs_an_identity(tmp_path, state):
    status, said = run(tmp_path, "entries", {"state": state}, hub=AWAY, prepared={"entries": [], "needed": ["envoy"]})
    assert (status, "cannot be reached" in said, "unreachable=1" in said) == (0, False, False), said


NEEDED = [
    ("present", {"entries": [ENTRY]}, "no robot was switched, because the jobs need identities"),
    ("exact", {"entries": [], "needed": ["spire_agent"]}, "identities that are no longer needed are still registered there"),
]


@pytest.mark.parametrize(("state", "prepared", "words"), NEEDED)
def test_a_server_that_is_needed_and_away_is_named_and_no_robot_blamed(tmp_path, state, prepared, words):
    status, said = run(tmp_path, "entries", {"state": state, "delete": False}, hub=AWAY, prepared=prepared)
    assert status == 2
    assert "hub, the machine of the SPIRE server, cannot be reached (" in said
    assert words in said
    assert "unreachable=0" in said


def test_where_nobody_knows_whether_entries_are_left_a_warning_is_enough(tmp_path):
    options = {"state": "exact", "delete": False}
    status, said = run(tmp_path, "entries", options, hub=AWAY, prepared={"status": "unchanged"}, identities=True)
    assert status == 0
    assert "if it has identities of these jobs, they are still registered" in said


MISTAKEN = [
    ("entries", {}, {"entries": [ENTRY]}),
    ("collect", {}, {"status": "staged", "entries": [ENTRY]}),
    ("collect", {}, {"status": "lacking", "missing": ["spire_agent"]}),
    ("server", {"host": "hub"}, {}),
]


@pytest.mark.parametrize(("action", "options", "prepared"), MISTAKEN)
def test_a_robot_that_deploys_to_itself_is_not_taken_for_the_servers_machine(tmp_path, action, options, prepared):
    """So it is with ansible-pull, where every machine has the connection `local`."""
    status, said = run(tmp_path, action, options, hub=HERE, prepared=prepared)
    assert status == 2
    assert "robot1: the jobs need identities, which are registered on hub" in said
    assert "Run it from a controller" in said


def test_a_robot_that_deploys_to_itself_needs_no_server_for_jobs_without_identities(tmp_path):
    assert run(tmp_path, "collect", {}, hub=HERE, prepared={"status": "staged", "entries": []})[0] == 0


TASKS = CHECKOUT / "playbooks" / "tasks"


@pytest.mark.parametrize("asks", [False, True])
def test_a_run_whose_callers_are_told_asks_the_server_only_where_an_identity_may_change(tmp_path, asks):
    included = {"ansible.builtin.include_tasks": str(TASKS / "switch_with_followers.yml")}
    task = {**included, "vars": {"k8s4r_collected": {"identities": asks, "moves": {}, "followers": {}}}}
    prepared = {"status": "staged", "entries": [ENTRY], "diff": [], "endpoints": []}
    # In check mode, no robot is asked to switch.
    status, said = after_prepare(tmp_path, task, AWAY, prepared, {}, "--check")
    assert (status, "cannot be reached" in said) == ((2, True) if asks else (0, False)), said


@pytest.mark.parametrize("name", ["switch_with_followers", "moved"])
def test_no_turn_asks_the_server_about_identities_that_stay(name):
    tasks = yaml.safe_load((TASKS / f"{name}.yml").read_text(encoding="utf-8"))
    asking = [task for task in tasks if "identities" in task.get("ansible.builtin.import_tasks", "")]
    assert [task.get("when") for task in asking] == ["k8s4r_collected.identities"] * len(asking)
    assert asking
