# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the engine leaves on a robot for another one: what is older is understood, what is newer refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.k8s4r.robot.plugins.module_utils._engine import plan
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.change import staging
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.requests import recover
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.say import jsontext
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.say.errors import Refusal
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.state import formats, ledger, results
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.state.robot import Robot

JOB = {"namespace": "n", "name": "j"}
GROUP = {
    "name": "g",
    "release": "r1",
    "committed": 1.5,
    "resources": [],
    "leftovers": [],
    "started": {},
    "needs": [],
    "ports": [],
    "secrets": None,
}


@pytest.fixture
def robot(tmp_path):
    robot = Robot(str(tmp_path / "state"), str(tmp_path / "run"))
    robot.make()
    return robot


def put(path, value):
    with open(path, "w", encoding="utf-8") as stream:
        json.dump(value, stream)


@pytest.mark.parametrize(("digest", "state"), [("d", ledger.whole("d")), (None, {"state": "partial", "plan": ""})])
def test_a_ledger_of_version_1(robot, digest, state):
    put(robot.ledger.path("n", "j"), {**JOB, "digest": digest, "groups": {"g": GROUP}})
    record = robot.ledger.of(JOB)
    assert ledger.state_of(record) == state
    assert "digest" not in record
    robot.ledger.save(record)
    with open(robot.ledger.path("n", "j"), encoding="utf-8") as stream:
        assert json.load(stream)["version"] == formats.VERSION
    assert ledger.state_of(robot.ledger.of(JOB)) == state


@pytest.mark.parametrize(
    ("digest", "base", "before"),
    [
        ("d", {"g": "r1"}, ledger.whole("d")),
        (None, {"g": "r1"}, {"state": "partial", "plan": ""}),
        (None, {}, {"state": "empty", "plan": ""}),
    ],
)
def test_a_manifest_of_version_1(robot, digest, base, before):
    job = {**JOB, "digest": "new", "before": digest, "base": base, "groups": []}
    put(robot.manifest_path("r2"), {"release": "r2", "who": "me", "keep_data": False, "jobs": [job]})
    assert robot.manifest("r2")["jobs"][0]["before"] == before


@pytest.mark.parametrize(("release", "missing", "status"), [("r2", [], "staged"), (None, ["envoy"], "lacking"), (None, [], "recorded")])
def test_a_result_of_version_1(robot, release, missing, status):
    old = {"op": "prepare", "status": "prepared", "release": release, "changed": True, "steps": [], "diff": ["x"], "missing": missing}
    put(robot.result_path("r2"), old)
    found = results.load(robot, "r2")
    assert (found["status"], found["diff"], "changed" in found) == (status, ["x"], False)
    assert "changed" not in found
    put(robot.result_path("r2"), {"op": "switch", "status": "committed", "release": "r2"})
    assert results.load(robot, "r2")["status"] == "committed"


def leave_ledger(robot):
    put(robot.ledger.path("other", "job"), {"version": formats.VERSION + 1})


def leave_journal(robot):
    put(robot.journal_path, {"version": formats.VERSION + 1})


def leave_manifest(robot):
    put(robot.manifest_path("r9"), {"version": formats.VERSION + 1})


@pytest.mark.parametrize("leave", [leave_ledger, leave_journal, leave_manifest])
def test_what_a_newer_engine_left_is_refused_and_nothing_touched(robot, leave, tmp_path):
    leave(robot)
    before = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    wanted = plan.robot([plan.job("n", "j", [])])
    request = {"jobs": [{**JOB, "digest": "d"}], "who": "me", "plan": wanted}
    for work in (lambda: staging.stage(robot, request, "r1"), lambda: staging.check(robot, request), lambda: recover.at_boot(robot)):
        with pytest.raises(Refusal, match=r"this robot was last deployed by a newer version of k8s4r\.robot") as refusal:
            work()
        assert "upgrade the collection on this controller" in str(refusal.value)
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == before


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(json_values)
def test_json_is_as_the_standard_library_has_it(value):
    assert jsontext.dumps(value) == json.dumps(value, sort_keys=True, separators=(",", ":"))
    assert jsontext.loads(json.dumps(value, indent=1)) == value
    assert jsontext.loads(json.dumps(value, ensure_ascii=False)) == value


@pytest.mark.parametrize("text", ["", " ", "{", "[1,]", "1 2", "nul", "{'a': 1}", "NaN", '"\n"'])
def test_what_is_not_json_is_an_error(text):
    with pytest.raises(ValueError, match=r"."):
        jsontext.loads(text)
