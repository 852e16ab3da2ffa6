# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The end of a switch, where a part of it fails: what of it needs no systemd."""

from __future__ import annotations

import errno

import pytest

from ansible_collections.k8s4r.robot.plugins.module_utils._engine import plan
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.change import conclusion, groups, perform, recovery, survey
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.change.health.wait import Unhealthy
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.resources.images import api
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.say.errors import CommandFailed
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.state import ledger, results

JOB = {"namespace": "n", "name": "j"}
NEW = {"needs": [], "ports": [], "secrets": None, "resources": [plan.directory("/var/lib/k8s4r/groups/never-there")]}
STEPS = [
    {"do": "stop", "text": "", "units": []},
    {"do": "commit", "text": "", "leftovers": []},
    {"do": "remove", "text": "", "resource": NEW["resources"][0]},
]


class Performer(perform.Performer):
    """Notes what it is to do. ``fails``: {(verb, group): why}."""

    done: list[tuple[str, str]] = []
    fails: dict[tuple[str, str], Exception] = {}

    def perform(self, step):
        self.done.append((step["do"], self.group["id"]))
        if self.done[-1] in self.fails:
            raise self.fails[self.done[-1]]
        if step["do"] in ("commit", "make"):
            super().perform(step)


@pytest.fixture
def performer(monkeypatch):
    monkeypatch.setattr(Performer, "done", [])
    monkeypatch.setattr(Performer, "fails", {})
    monkeypatch.setattr(survey, "plan_steps", lambda *_args, **_more: STEPS)
    return Performer


@pytest.fixture
def switch(robot, performer):
    """All groups have come to their commit; as an engine finds it that goes on with it."""
    members = [{**NEW, "id": id, "name": id} for id in ("a", "b")]
    job = {**JOB, "digest": "d", "before": ledger.state_of(robot.ledger.of(JOB)), "base": {}, "groups": members}
    manifest = {"release": "r2", "who": "me", "robot": "", "keep_data": False, "jobs": [job]}
    robot.keep_manifest(manifest)
    entries = {"a": {"phase": "commit", "errors": []}, "b": {"phase": "commit", "errors": []}}
    journal = {"release": "r2", "began": 1.0, "groups": entries, "changes": [], "spare": []}
    robot.write_journal(journal)

    def run():
        of_both = groups.Switch(robot, manifest, journal, perform.silence, performer)
        of_both.apply([(job, group) for group in job["groups"]])
        conclusion.conclude(robot, manifest, journal)
        return results.load(robot, "r2")

    return run


def recorded(robot):
    return {id: group["release"] for id, group in robot.ledger.of(JOB)["groups"].items()}


def test_where_a_unit_does_not_stop_all_groups_are_written_down_all_the_same(robot, performer, switch):
    performer.fails["stop", "a"] = CommandFailed("systemctl stop did not stop x.service")
    done = switch()
    assert (done["status"], done["groups"]) == ("failed", {"a": "failed", "b": "committed"})
    assert recorded(robot) == {"a": "r2", "b": "r2"}
    assert performer.done == [("stop", "a"), ("stop", "b"), ("commit", "a"), ("commit", "b")]
    assert robot.journal() is None


def test_what_cannot_be_written_down_is_by_the_next_run(robot, performer, switch, monkeypatch):
    """Until then nothing is removed, and what the new release has is not forgotten."""
    performer.fails["commit", "b"] = OSError(errno.ENOSPC, "No space left on device", "/dev/null")
    done = switch()
    assert (done["status"], done["groups"]) == ("failed", {"a": "commit", "b": "commit"})
    (text,) = done["errors"]
    assert text.startswith("b: disk full: ")
    assert text.endswith("; the new release runs, but this is not written down yet: the next run and each boot try again")
    assert (recorded(robot), robot.manifest("r2") is None) == ({"a": "r2"}, False)
    assert "remove" not in [verb for verb, _group in performer.done]
    monkeypatch.setattr(recovery, "Switch", lambda *given: groups.Switch(*given, performer))
    recovery.roll_back(robot, perform.silence)
    assert robot.journal()["groups"]["b"] == {"phase": "commit", "errors": [text]}
    performer.fails.clear()
    recovery.roll_back(robot, perform.silence)
    assert results.load(robot, "r2")["status"] == "committed"
    assert recorded(robot) == {"a": "r2", "b": "r2"}
    assert ledger.state_of(robot.ledger.of(JOB)) == ledger.whole("d")
    assert (robot.journal(), robot.manifest("r2")) == (None, None)


def test_what_is_still_not_written_down_is_behind_the_next_switch_or_overtaken_by_it(robot, performer, switch):
    performer.fails["commit", "b"] = OSError(errno.ENOSPC, "No space left on device", "/dev/null")
    switch()
    other = {"jobs": [{**JOB, "groups": [{**NEW, "id": "a", "name": "a"}]}]}
    (behind,), overtaken = recovery.left_over(robot.journal(), other)
    assert (behind["about"], overtaken) == (["b"], ["r2"])


NAME = "k8s4r.local/g:0123456789ab"


@pytest.fixture
def back(robot, performer, monkeypatch, tmp_path):
    """A group of a container and another task goes back while Docker is down: its phase, and how it is recorded. ``tried``: the image that
    the new release has by the same name, if any. ``path``: of a file of the last good release.
    """
    monkeypatch.setattr(api, "SOCKET", "/nonexistent/docker.sock")

    def run(tried=None, path=str(tmp_path / "file")):
        image = {**plan.image(NAME, "a:1", "missing", "w"), "digest": robot.store.put(b"sha256:old\n")}
        file = {**plan.file(path, "x"), "digest": robot.store.put(b"x"), "owner": "root", "group": "root"}
        for resource in (image, file):
            del resource["content"]
        units = [{**plan.unit(f"k8s4r-{name}.service", "", run="always", reads=reads), "digest": name} for name, reads in READS.items()]
        record = {**NEW, "name": "a", "release": "r1", "committed": 1.0, "leftovers": [], "started": {}}
        record["resources"] = [image, file, *units]
        robot.ledger.save({**JOB, **ledger.whole("d"), "groups": {"a": record}})
        new = {**image, "digest": robot.store.put(tried)} if tried else image
        member = {**NEW, "id": "a", "name": "a", "resources": [new]}
        job = {**JOB, "digest": "d", "before": ledger.whole("d"), "base": {}, "groups": [member]}
        journal = {"release": "r2", "began": 1.0, "groups": {"a": {"phase": "forward", "errors": []}}, "changes": [], "spare": []}
        makes = [{"do": "make", "text": "", "resource": resource} for resource in (image, file)]
        start = {"do": "start", "text": "", "units": [unit["name"] for unit in units]}
        steps = [*makes, start, {**start, "do": "healthy"}, STEPS[1], {**STEPS[2], "resource": file}]
        monkeypatch.setattr(survey, "plan_steps", lambda *_args, **_more: steps)
        manifest = {"release": "r2", "who": "me", "robot": "", "keep_data": False, "jobs": [job]}
        groups.Switch(robot, manifest, journal, perform.silence, performer).recover([(job, member)])
        return robot.journal()["groups"]["a"], robot.ledger.group(JOB, "a")

    return run


READS = {"box": [f"{plan.CALLED}/{NAME}"], "other": []}
ALL = ["make", "make", "start", "healthy", "commit", "remove"]


def test_on_the_way_back_an_image_that_the_switch_did_not_touch_needs_no_engine(performer, back):
    """As after a loss of power: Docker starts later than groups go back, at each boot."""
    entry, record = back()
    assert (entry["phase"], entry["errors"]) == ("rolled-back", [])
    assert [verb for verb, _group in performer.done] == ALL
    assert set(record["started"]) == {"k8s4r-box.service", "k8s4r-other.service"}


def test_without_an_image_the_rest_of_the_group_comes_back(performer, back):
    """What is left is tried again, and the container then starts anew."""
    entry, record = back(tried=b"sha256:new\n")
    (text,) = entry["errors"]
    assert (entry["phase"], text.startswith("a: rolling back failed: image a:1: ")) == ("stuck", True), text
    assert "report" not in text
    assert [verb for verb, _group in performer.done] == ALL
    assert (record["release"], set(record["started"])) == ("r1", {"k8s4r-other.service"})


def test_a_group_without_an_image_stays_stuck_when_something_else_of_it_fails_too(performer, back):
    performer.fails["healthy", "a"] = Unhealthy(["other is down"])
    entry, _record = back(tried=b"sha256:new\n")
    assert (entry["phase"], len(entry["errors"])) == ("stuck", 2)
    assert entry["errors"][1] == "a: the last good release does not start either: other is down"


def test_nothing_starts_without_a_file_that_is_missing(performer, back):
    entry, _record = back(path="/proc/none/file")
    assert entry["phase"] == "stuck"
    assert [verb for verb, _group in performer.done] == ["make", "make"]
