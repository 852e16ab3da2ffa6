# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The planner: from what is, what should be and what was, to the steps. cases.yml holds them; no robot is needed."""

from __future__ import annotations

import hashlib
import json
import pathlib

import pytest
import yaml

from ansible_collections.k8s4r.robot.plugins.module_utils._engine import plan
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.change.steps import between as steps
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.change.steps.situation import Situation, holdings, run_digests, stops
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.resources import kinds

TABLE, LEAVING = (
    yaml.safe_load(pathlib.Path(__file__).with_name(name).read_text(encoding="utf-8")) for name in ("cases.yml", "leaving.yml")
)
RUNNING = {"LoadState": "loaded", "ActiveState": "active", "SubState": "running", "NeedDaemonReload": "no"}
STATES = {
    "dead": {**RUNNING, "ActiveState": "inactive", "SubState": "dead"},
    "finished": {**RUNNING, "ActiveState": "inactive", "SubState": "dead"},
    "crashing": {**RUNNING, "ActiveState": "activating", "SubState": "auto-restart"},
    "starting": {**RUNNING, "ActiveState": "activating", "SubState": "start-pre"},
    "stale": {**RUNNING, "NeedDaemonReload": "yes"},
}
OPTIONS = ("keep_data", "spared")


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def resource(name, **other):
    """A resource of the table as the engine holds it: its content is in the store, and its digest here."""
    made = dict(TABLE["resources"][name])
    made = getattr(plan, made.pop("kind"))(**made)
    if "content" in made:
        made["digest"] = digest(made.pop("content"))
    return {**made, **other}


def resources(words):
    """A list of names, of groups' names, and of names with other values."""
    found = []
    for word in words:
        name, other = next(iter(word.items())) if isinstance(word, dict) else (word, {})
        found += [resource(member, **other) for member in TABLE["groups"].get(name, [name])]
    return found


def decided(case):
    old, wanted = resources(case.get("old", [])), resources(case.get("wanted", []))
    there = resources(case["there"]) if "there" in case else old
    seen = dict.fromkeys(map(kinds.place, [*wanted, *old]))
    seen.update({kinds.place(each): kinds.expected(each) for each in there})
    units = dict.fromkeys((each["name"] for each in there if each["kind"] == "unit"), RUNNING)
    units.update({TABLE["resources"][name]["name"]: STATES[state] for name, state in case.get("units", {}).items()})
    finished = [TABLE["resources"][name]["name"] for name, state in case.get("units", {}).items() if state == "finished"]
    started = run_digests(old, digest) if case.get("started", True) else {}
    silent = {TABLE["resources"][name]["name"]: why for name, why in case.get("silent", {}).items()}
    options = {name: case[name] for name in OPTIONS if name in case}
    if "spared" in options:
        options["spared"] = resources(options["spared"])
    if "halted" in case:
        options["halted"] = [TABLE["resources"][name]["name"] for name in case["halted"]]
    return steps.between(
        Situation(wanted, old, seen, units, finished, started, silent, case.get("dead", {}), holdings(old), stops(old)),
        digest,
        **options,
    )


def name_of(made):
    """What the table calls a resource."""
    same = (name for name in TABLE["resources"] if kinds.place(resource(name)) == kinds.place(made))
    return next(same)


def words(step):
    """A step as the table writes it. What people read of it is there as they read it."""
    verb, left = step["do"], step.get("leftovers")
    if verb == "make" or (verb == "reload" and step["text"]):
        return [step["text"]]
    if verb in ("down", "start", "refresh"):
        return [" ".join([verb, *step["units"]]), *([f"({step['text']})"] if step["text"] else [])]
    if verb in ("halt", "clear", "stop", "healthy"):
        return [" ".join([verb, *step["units"]])]
    if verb in ("remove", "discard", "extend"):
        return [f"{verb} {name_of(step['resource'])}"]
    return [f"{verb}, left are {' '.join(map(name_of, left))}" if left else verb]


@pytest.mark.parametrize("case", [*TABLE["cases"], *LEAVING["cases"]], ids=lambda case: case["case"])
def test_steps(case):
    found = decided(case)
    assert [text for step in found for text in words(step)] == case["steps"]


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("what works in a directory stands still while its files change hands", "housed"),
        ("a unit that holds a port which changes hands is down before anything else, and comes up with its new file", "task"),
    ],
)
def test_what_waits_for_its_next_try_stands_still_like_what_runs(name, unit):
    """It would come up in the middle of it."""
    (case,) = (case for case in TABLE["cases"] if case["case"] == name)
    assert words(decided({**case, "units": {unit: "crashing"}})[0]) == [case["steps"][0]] == ["halt k8s4r-task-a.service"]


@pytest.mark.parametrize("state", ["crashing", "starting"])
def test_what_is_to_run_by_itself_no_longer_does_not_come_up_once_more(state):
    found = decided({"old": ["other"], "wanted": [{"other": {"run": "none"}}], "units": {"other": state}})
    assert "stop k8s4r-task-b.service" in [text for step in found for text in words(step)]


@pytest.mark.parametrize(("changed", "forgets"), [({}, []), ({"digest": "new"}, ["/var/lib/k8s4r/done"])])
def test_what_came_to_its_end_meanwhile_does_not_run_again_unless_it_has_changed(changed, forgets):
    found = decided({"old": ["env", "once"], "wanted": [{"env": changed}, "once"], "units": {"once": "dead"}})
    assert [step["done"] for step in found if step["do"] in ("clear", "down")] == [forgets] * 2


def test_steps_hold_whole_resources():
    """The table's words name them."""
    everything = resources(["all"])
    assert [step["resource"] for step in decided({"wanted": ["all"]}) if step["do"] == "make"] == everything
    removal = decided({"old": ["all"]})
    assert [step["resource"] for step in removal if step["do"] == "remove"] == resources(["target", "task", "env", "directory"])
    assert [step["resource"] for step in removal if step["do"] == "discard"] == resources(["data", "user"])
    assert next(step for step in removal if step["do"] == "commit")["leftovers"] == everything[::-1]


def test_a_task_that_has_lost_its_artifacts_is_without_them_before_it_starts():
    def artifacts(task, *blobs):
        return {**plan.artifacts(f"{plan.TASKS}/{task}/artifacts", task, "", task, "g", "w"), "digest": "d", "blobs": [*blobs]}

    wanted = [*(plan.directory(f"{plan.TASKS}/{task}") for task in ("lost", "never", "changed")), artifacts("changed", "new")]
    old = [artifacts("lost", "b"), artifacts("never"), artifacts("changed", "b"), artifacts("gone", "b"), *wanted[:3]]
    (left,) = steps.emptied(wanted, old)
    assert json.loads(left["content"]) == {"artifacts": []}
    # Its user may be gone.
    assert left == {**artifacts("lost"), "content": left["content"], "owner": "root", "group": "root"}
    assert steps.emptied(wanted, [left, *wanted]) == []
