# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a robot says that its groups serve and call, and how those that call hear of something new."""

from __future__ import annotations

import grp
import os
import pwd

import pytest

from ansible_collections.k8s4r.robot.plugins.module_utils._engine import plan
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.change import perform, switch
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.mesh import known
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.requests import prepare, status, tell
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.say.errors import Refusal
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.state import ledger, manifest
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.state.lock import Lock
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.system import capabilities

HTTP, CALLER = "default/shop/api/http", "default/front/web"
ME = {"owner": pwd.getpwuid(os.getuid()).pw_name, "group": grp.getgrgid(os.getgid()).gr_name, "mode": "0640"}


class Caller:
    """A robot with a group that calls a service."""

    def __init__(self, robot, directory):
        self.robot, self.path = robot, str(directory / "endpoints-upstream-api.json")
        file = {"kind": "file", "path": self.path, "secret": False, "union": None, "follows": HTTP, **ME}
        self.resources = [
            {**file, "digest": robot.store.put(b"old")},
            {**file, "path": str(directory / "template"), "digest": robot.store.put(b"x"), "secret": True},
            {**file, "path": str(directory / "several"), "digest": robot.store.put(b"y"), "follows": f"{HTTP} a/b/c/d"},
            {**file, "path": str(directory / "own"), "digest": robot.store.put(b"z"), "follows": f"{CALLER}/http"},
        ]
        self.save()
        with open(self.path, "w", encoding="utf-8") as stream:
            stream.write("old")

    def save(self, **more):
        group = {"name": CALLER, "release": "one", "resources": self.resources, "leftovers": [], "ports": [], "needs": [], "secrets": None}
        groups = {"front-web-1": {**group, "committed": 0, "started": {}, **more}}
        self.robot.ledger.save({"namespace": "default", "name": "front", "state": "whole", "plan": "one", "groups": groups, "robot": ""})

    def file(self, path="", content="new"):
        return {"namespace": "default", "job": "front", "id": "front-web-1", "path": path or self.path, "content": content}

    def request(self, *files, **more):
        return {"files": list(files) or [self.file()], "who": "tester", **more}

    def content(self):
        with open(self.path, encoding="utf-8") as stream:
            return stream.read()


@pytest.fixture
def caller(robot, tmp_path):
    return Caller(robot, tmp_path)


def test_a_check_says_what_would_change_and_changes_nothing(caller):
    before = known.digest(caller.robot)
    answer = tell.answer(caller.robot, caller.request(check=True, diff=True))
    assert answer["changes"] == [f"change file {caller.path}"]
    assert answer["follows"] == {caller.path: {"group": CALLER, "follows": HTTP, "before": "old"}}
    assert [(each["before"], each["after"]) for each in answer["diff"]] == [("old", "new")]
    assert (caller.content(), known.digest(caller.robot)) == ("old", before)


def test_a_release_that_was_prepared_before_does_not_take_it_back(caller, monkeypatch):
    """The other one's run has not heard of it, and would not hear of it again."""
    robot, job = caller.robot, {"namespace": "default", "name": "front"}
    before = ledger.state_of(robot.ledger.of(job))
    staged = {**job, "digest": "two", "before": before, "base": manifest.base(robot.ledger.of(job)), "groups": []}
    robot.keep_manifest({"release": "two", "who": "another", "robot": "", "keep_data": False, "jobs": [staged]})
    tell.answer(robot, caller.request())
    # What comes behind the refusal needs a robot.
    monkeypatch.setattr(switch, "boot_unit", None)
    with pytest.raises(Refusal) as refused:
        switch.run(robot, "two", perform.silence)
    text = "default/front: another run changed this job on this robot after this run had prepared it; run again"
    assert refused.value.errors == [text]


def test_who_is_told_has_it_on_the_disk_and_in_the_ledger(caller):
    answer = tell.answer(caller.robot, caller.request())
    assert caller.content() == "new"
    record = caller.robot.ledger.of({"namespace": "default", "name": "front"})
    # Its job is as whole as it was, and was deployed by whom it was.
    assert (record["state"], record["plan"]) == ("whole", "one")
    told, *others = record["groups"]["front-web-1"]["resources"]
    assert caller.robot.store.read(told["digest"]) == b"new"
    assert {**told, "digest": ""} == {**caller.resources[0], "digest": ""}
    assert others == caller.resources[1:]
    assert answer["mesh"] == known.of(caller.robot)
    assert answer["mesh"]["digest"] == known.digest(caller.robot)
    # It may be told once more: an answer can be lost.
    assert tell.answer(caller.robot, caller.request())["status"] == "ok"


def test_what_another_run_has_told_meanwhile_is_not_taken_back(caller):
    """Which of the two knows more, nobody knows. Whoever is refused gives nothing up that its callers may still use."""
    file = {**caller.file(), "was": "old"}
    tell.answer(caller.robot, caller.request({**file, "content": "newer"}))
    with pytest.raises(Refusal) as refusal:
        tell.answer(caller.robot, caller.request(file))
    assert refusal.value.errors == [f"{caller.path}: {tell.OVERTAKEN}"]
    assert caller.content() == "newer"
    # Both may want the same.
    assert tell.answer(caller.robot, caller.request({**file, "content": "newer"}))["status"] == "ok"


@pytest.mark.parametrize("name", ["template", "several", "own", "none"])
def test_no_other_file_is_ever_written(caller, name):
    path = f"{os.path.dirname(caller.path)}/{name}"
    with pytest.raises(Refusal) as refusal:
        tell.answer(caller.robot, caller.request(caller.file(path), caller.file()))
    assert refusal.value.errors == [f"{path}: the job default/front has no such file here any more; run again"]
    assert (caller.content(), os.path.exists(path)) == ("old", False)


def test_nothing_is_told_while_a_switch_is_under_way_or_was_interrupted(caller, monkeypatch):
    monkeypatch.setattr(tell, "PATIENCE", 0.1)
    caller.robot.write_journal({"release": "one", "groups": {}, "changes": [], "spare": []})
    with pytest.raises(Refusal, match="was interrupted; deploy its job again"):
        tell.answer(caller.robot, caller.request())
    caller.robot.end_journal()
    with Lock(caller.robot.runtime, "somebody", "switch"), pytest.raises(Refusal, match="somebody is changing this robot"):
        tell.answer(caller.robot, caller.request())
    assert caller.content() == "old"


def test_what_the_ledger_of_an_older_version_has_is_no_service(caller):
    port = {"address": "::", "port": 7000, "where": "", "unit": "", "serves": ["default/front/web/http"]}
    caller.save(ports=[port])
    assert known.of(caller.robot)["serves"] == []
    caller.save(ports=[{**port, "terms": {"a": 1}}])
    assert known.of(caller.robot)["serves"] == [{"name": "default/front/web/http", "port": 7000, "terms": {"a": 1}}]


def test_a_robot_says_if_others_know_it_wrong(caller, monkeypatch):
    monkeypatch.setattr(capabilities, "probe", lambda _runtime: {"systemd": "252"})
    request = {"jobs": [], "who": "tester", "assumptions": {"systemd": "252"}}
    assert prepare.answer(caller.robot, request) == {"status": "unchanged"}
    right = {**request, "mesh": known.digest(caller.robot)}
    assert prepare.answer(caller.robot, right) == {"status": "unchanged"}
    expected = {"status": "stale", "capabilities": {"systemd": "252"}, "mesh": known.of(caller.robot)}
    assert prepare.answer(caller.robot, {**request, "mesh": ""}) == expected
    tell.answer(caller.robot, caller.request())
    assert prepare.answer(caller.robot, right)["status"] == "stale"
    # All that it has to say, it says at once.
    assert prepare.answer(caller.robot, {**right, "assumptions": {"systemd": "1"}})["mesh"] == known.of(caller.robot)
    # A removal shows what is there where it finds nothing.
    nothing = {**right, "mesh": known.digest(caller.robot), "jobs": [{"namespace": "default", "name": "x", "digest": "", "empty": True}]}
    assert prepare.answer(caller.robot, nothing) == {"status": "unchanged"}
    assert prepare.answer(caller.robot, {**nothing, "name_jobs": True}) == {"status": "unchanged", "has": ["default/front"]}
    # Nobody waits for a comparison that matters to nobody.
    os.unlink(f"{caller.robot.runtime}/mesh.json")
    assert prepare.answer(caller.robot, request) == {"status": "unchanged"}
    assert not os.path.exists(f"{caller.robot.runtime}/mesh.json")


def test_a_name_in_the_robots_own_dns_server_is_no_call():
    files = {f"{plan.NAMES}/front-web.api": HTTP, "/etc/k8s4r/groups/front-web/proxy/endpoints.json": f"{HTTP} default/shop/api/other"}
    group = {"name": CALLER, "resources": [{"kind": "file", "path": path, "follows": name} for path, name in files.items()]}
    assert status._called(group) == {HTTP, "default/shop/api/other"}
    del group["resources"][1]
    assert status._called(group) == set()
