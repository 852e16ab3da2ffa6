# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's own state: key, store, ledger, journal, manifest and what is thrown away."""

from __future__ import annotations

import concurrent.futures
import hashlib
import os
import re
import stat
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ansible_collections.k8s4r.robot.plugins.module_utils._engine import plan
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.state import formats, garbage, ledger, manifest
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.state.robot import Robot
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.model import vocabulary

JOB = {"namespace": "n", "name": "j"}


def record(name="j", groups=None):
    return {"namespace": "n", "name": name, **ledger.whole("d"), "groups": groups or {}}


def group(resources=(), **more):
    return dict({"name": "g", "release": "r1", "resources": list(resources), "leftovers": [], "secrets": None, "ports": []}, **more)


def test_the_key_is_made_once_and_private(robot):
    path = robot.state + "/key"
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    before = robot.digest(b"content")
    robot.make()
    assert Robot(robot.state, robot.runtime).digest("content") == before


def test_first_runs_at_once_agree_on_one_key(tmp_path):
    for round_ in range(5):
        where = str(tmp_path / f"state{round_}"), str(tmp_path / f"run{round_}")
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            robots = [pool.submit(Robot, *where) for _run in range(8)]
            for made in [pool.submit(robot.result().make) for robot in robots]:
                made.result()
        assert len({robot.result().digest("x") for robot in robots}) == 1


def test_two_robots_have_different_digests(robot, tmp_path):
    assert Robot(str(tmp_path / "other"), str(tmp_path / "run")).digest(b"x") != robot.digest(b"x")


def test_private_directories(robot):
    for name in ("ledger", "store", "releases", "engine", "reserve"):
        assert stat.S_IMODE(os.stat(f"{robot.state}/{name}").st_mode) == 0o700
    for name in ("requests", "results"):
        assert stat.S_IMODE(os.stat(f"{robot.runtime}/{name}").st_mode) == 0o700


def test_no_two_jobs_share_a_file(robot):
    assert robot.ledger.path("a.b", "c") != robot.ledger.path("a", "b.c")
    robot.ledger.save(record(groups={"g": group()}))
    assert ledger.state_of(robot.ledger.of(JOB)) == ledger.whole("d")
    assert robot.ledger.read() == ([robot.ledger.of(JOB)], [])


@given(st.text(alphabet="aZ0._-/ é", max_size=66) | st.text())
@example("a-")
@example("a.")
@example("a" * 63)
@example("a" * 64)
def test_names_are_those_of_the_job_format(name):
    assert ledger.valid_name(name) == (re.fullmatch(vocabulary.NAME, name) is not None)


def test_a_job_of_which_nothing_is_left_has_no_file(robot):
    robot.ledger.save(record(groups={"g": group()}))
    robot.ledger.save(record())
    assert os.listdir(robot.state + "/ledger") == []
    assert robot.ledger.of(JOB) == {"namespace": "n", "name": "j", "state": "empty", "plan": "", "groups": {}, "robot": ""}


def test_contents_come_back(robot):
    digest = robot.store.put(b"\0secret")
    assert robot.store.read(digest) == b"\0secret"
    assert stat.S_IMODE(os.stat(robot.store.path(digest)).st_mode) == 0o600
    # Nobody who reads it can try guesses at the content against it: it needs the robot's key.
    assert digest != hashlib.blake2b(b"\0secret", digest_size=16).hexdigest()


def test_a_manifest_holds_digests_and_the_groups_that_go(robot):
    robot.ledger.save(record(groups={"old": group(), "g": group(release="r7")}))
    wanted = plan.robot([plan.job("n", "j", [plan.group("g", "g", [plan.file("/etc/k8s4r/groups/g/f", "sesame")], secrets=["sesame"])])])
    kept = {}

    def keep(content):
        kept[robot.digest(content)] = content
        return robot.digest(content)

    request = {"jobs": [{"namespace": "n", "name": "j", "digest": "new"}], "who": "me", "plan": wanted}
    found = manifest.build(request, "r8", robot.ledger, keep)
    (job,) = found["jobs"]
    assert [entry["id"] for entry in job["groups"]] == ["old", "g"]
    assert (job["digest"], job["before"], job["base"]) == ("new", ledger.whole("d"), {"old": "r1", "g": "r7"})
    assert "sesame" not in str(found)
    assert set().union(*(manifest.contents(group["resources"], group) for group in job["groups"])) == set(kept)
    # What an unfinished switch may bring into the ledger before this one begins goes, too.
    begun = [{**found, "jobs": [{**job, "groups": [{**job["groups"][1], "id": "new", "name": "n"}]}, {**job, "name": "other"}]}]
    (again,) = manifest.build(request, "r9", robot.ledger, keep, begun)["jobs"]
    assert [(entry["id"], entry["resources"] == []) for entry in again["groups"]] == [("new", True), ("old", True), ("g", False)]


def test_garbage_goes_and_what_is_needed_stays(robot):
    keep, staged, old = (robot.store.put(content) for content in (b"keep", b"staged", b"old"))
    robot.ledger.save(record(groups={"g": group([{"kind": "file", "path": "/p", "digest": keep}])}))
    fresh = {"jobs": [{"groups": [group([{"kind": "file", "path": "/p", "digest": staged}])]}]}
    stale = {"jobs": [{"groups": [group([{"kind": "file", "path": "/p", "digest": old}])]}]}
    formats.save(robot.manifest_path("fresh"), fresh)
    formats.save(robot.manifest_path("stale"), stale)
    os.utime(robot.manifest_path("stale"), (0, 0))
    for request in ("left-behind", "at-work"):
        formats.save(robot.request_path(request), {})
    os.utime(robot.request_path("left-behind"), (0, 0))
    os.mkdir(robot.state + "/engine/ancient")
    os.utime(robot.state + "/engine/ancient", (0, 0))
    garbage.collect(robot)
    assert sorted(os.listdir(robot.state + "/store")) == sorted([keep, staged])
    assert os.listdir(robot.state + "/releases") == ["fresh.json"]
    assert os.listdir(robot.runtime + "/requests") == ["at-work.json"]
    assert os.listdir(robot.state + "/engine") == []


def test_the_release_under_way_is_never_garbage(robot):
    digest = robot.store.put(b"under way")
    formats.save(robot.manifest_path("r"), {"jobs": [{"groups": [group([{"kind": "file", "path": "/p", "digest": digest}])]}]})
    os.utime(robot.manifest_path("r"), (0, 0))
    robot.write_journal({"release": "r", "groups": {}, "spare": []})
    garbage.collect(robot)
    assert os.listdir(robot.state + "/store") == [digest]
    robot.end_journal()
    garbage.collect(robot)
    assert os.listdir(robot.state + "/store") == []


@pytest.mark.parametrize("content", ["{", '{"version":99}'])
def test_a_stale_manifest_goes_unread(robot, content):
    Path(robot.manifest_path("stale")).write_text(content, encoding="utf-8")
    os.utime(robot.manifest_path("stale"), (0, 0))
    unused = robot.store.put(b"unused")
    garbage.collect(robot)
    assert os.listdir(robot.state + "/releases") == []
    assert not os.path.exists(robot.store.path(unused))


@pytest.mark.parametrize("name", ["releases/fresh.json", "ledger/n@j.json"])
def test_contents_stay_while_what_may_refer_to_them_cannot_be_read(robot, name):
    kept = robot.store.put(b"kept")
    Path(robot.state, name).write_text("{", encoding="utf-8")
    garbage.collect(robot)
    assert robot.store.read(kept) == b"kept"
    assert Path(robot.state, name).exists()


@pytest.mark.parametrize("directory", ["state/releases", "state/ledger", "run/results"])
def test_what_a_killed_run_had_half_written_goes_after_an_hour(robot, directory, tmp_path):
    names = [f"{tmp_path}/{directory}/.{name}.json.k8s4r~" for name in ("n@old", "n@new")]
    for name in names:
        Path(name).write_text("{", encoding="utf-8")
    os.utime(names[0], (0, 0))
    garbage.collect(robot)
    assert [os.path.exists(name) for name in names] == [False, True]
