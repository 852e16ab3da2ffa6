# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the engine leaves on a robot for another one: what is older is understood, what is newer refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.k8s4r.robot.plugins.module_utils._engine import plan
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.change import staging
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.requests import status
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.say import jsontext
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.say.errors import Refusal
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.state import formats, ledger, results
from ansible_collections.k8s4r.robot.plugins.plugin_utils.show import table

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


def test_a_journal_of_version_2_spares_nothing(robot):
    put(robot.journal_path, {"version": 2, "release": "r2", "began": 1.0, "groups": {}, "changes": []})
    assert robot.journal()["spare"] == []


def leave_ledger(robot):
    put(robot.ledger.path("other", "job"), {"version": formats.VERSION + 1})


def leave_journal(robot):
    put(robot.journal_path, {"version": formats.VERSION + 1})


def leave_manifest(robot):
    put(robot.manifest_path("r9"), {"version": formats.VERSION + 1})


REQUEST = {"jobs": [{**JOB, "digest": "d"}], "who": "me", "plan": plan.robot([plan.job("n", "j", [])])}


@pytest.mark.parametrize("leave", [leave_ledger, leave_journal, leave_manifest])
def test_what_a_newer_engine_left_is_refused_and_nothing_touched(robot, leave, tmp_path):
    leave(robot)
    before = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    for work in (lambda: staging.stage(robot, REQUEST, "r1"), lambda: staging.check(robot, REQUEST)):
        with pytest.raises(Refusal, match=r"this robot was last deployed by a newer version of k8s4r\.robot") as refusal:
            work()
        assert "upgrade the collection on this controller" in str(refusal.value)
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == before


@pytest.mark.parametrize("leave", [leave_journal, leave_manifest])
def test_everything_that_cannot_be_read_is_named_at_once(robot, leave):
    leave_ledger(robot)
    leave(robot)
    path = robot.journal_path if leave is leave_journal else robot.manifest_path("r9")
    with pytest.raises(Refusal) as refusal:
        staging.check(robot, REQUEST)
    assert [place in text for place, text in zip((robot.ledger.path("other", "job"), path), refusal.value.errors)] == [True] * 2


@pytest.mark.parametrize("content", ["", "{", "[" * 100000, json.dumps({"version": formats.VERSION + 1})])
def test_a_stale_manifest_bars_no_job(robot, content):
    Path(robot.manifest_path("stale")).write_text(content, encoding="utf-8")
    os.utime(robot.manifest_path("stale"), (0, 0))
    assert staging.check(robot, REQUEST)["status"] == "planned"


def test_the_manifest_of_an_interrupted_switch_is_never_stale(robot):
    leave_manifest(robot)
    os.utime(robot.manifest_path("r9"), (0, 0))
    robot.write_journal({"release": "r9", "began": 1.0, "groups": {}, "changes": []})
    with pytest.raises(Refusal, match=r"r9\.json"):
        staging.check(robot, REQUEST)


def damages():
    for value in ("2", None, 2.0, True, 0, -7, [], {}):
        yield json.dumps({**JOB, "version": value, "state": "partial", "plan": "", "groups": {}}).encode()
    # Of version 2 in all but its number.
    yield json.dumps({**JOB, "state": "partial", "plan": "", "groups": {}}).encode()
    yield from (b"[]", b"2", b"null", b'"x"', b"", b"{", b"\xff", b"[" * 100000)


@pytest.mark.parametrize("content", list(damages()), ids=lambda content: content.decode("latin-1")[:60])
def test_a_damaged_file_is_named_with_what_to_do(robot, content):
    path = robot.ledger.path("n", "j")
    Path(path).write_bytes(content)
    with pytest.raises(Refusal) as refusal:
        robot.ledger.of(JOB)
    (text,) = refusal.value.errors
    assert text.startswith(f"{path} is damaged")
    assert "remove this file and run again" in text


def test_a_manifest_of_version_2_without_its_number_is_damaged(robot):
    job = {**JOB, "digest": "new", "before": ledger.whole("d"), "base": {}, "groups": []}
    put(robot.manifest_path("r2"), {"release": "r2", "who": "me", "keep_data": False, "jobs": [job]})
    with pytest.raises(Refusal, match="is damaged"):
        robot.manifest("r2")


def test_status_shows_the_jobs_that_can_be_read(robot):
    leave_ledger(robot)
    leave_journal(robot)
    robot.ledger.save({**JOB, **ledger.whole("d"), "groups": {"g": GROUP}})
    shown = status.answer(robot)
    assert [job["name"] for job in shown["jobs"]] == ["j"]
    assert [path in text for path, text in zip((robot.ledger.path("other", "job"), robot.journal_path), shown["unread"])] == [True] * 2
    lines = table.overview({"r1": {**shown, "jobs": []}})
    assert [text in line for text, line in zip(shown["unread"], lines[1:])] == [True] * 2


def test_status_looks_again_where_a_switch_has_ended_meanwhile(robot, monkeypatch):
    """Else its new units would be told of as those of no job."""
    looks = []
    look = status.damage.units_of_no_job

    def switched(records):
        looks.append([record["name"] for record in records])
        robot.ledger.save({**JOB, **ledger.whole("d"), "groups": {"g": GROUP}})
        return look(records)

    monkeypatch.setattr(status.damage, "units_of_no_job", switched)
    assert [job["name"] for job in status.answer(robot, sample=0)["jobs"]] == ["j"]
    assert looks == [[], ["j"]]
    status.answer(robot, sample=0)
    assert looks == [[], ["j"], ["j"]]


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


CUT_OFF = '{"a": "b'


def test_a_text_that_was_cut_off_is_an_error_before_json_is_imported_too():
    loads = f"import runpy; loads = runpy.run_path({jsontext.__file__!r})['loads']"
    program = f"{loads}\ntry:\n    loads({CUT_OFF!r})\nexcept ValueError:\n    print('told')"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("told\n", "")


def test_json_that_is_nested_too_deeply_is_none():
    with pytest.raises(ValueError, match="nested too deeply"):
        jsontext.loads("[" * 200000)
