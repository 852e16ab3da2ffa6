# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the engine, root on the robot, does not take from a plan."""

from __future__ import annotations

import pytest

from ansible_collections.k8s4r.robot.plugins.module_utils._engine import plan
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.judge import validate

JOBS = [{"namespace": "n", "name": "j", "digest": "d"}]


def errors(*resources, **more):
    return validate.errors(plan.robot([plan.job("n", "j", [plan.group("g", "g", resources, **more)])]), JOBS)


GOOD = [
    plan.user("k8s4r-a-0123abcd", "a"),
    plan.directory("/var/lib/k8s4r/tasks/a", "k8s4r-a", "k8s4r-a", "0750", data=True),
    plan.file("/etc/k8s4r/groups/a/env", "A=1", mode="0600", secret=True),
    plan.file("/etc/systemd/system/k8s4r-a.service.d/more.conf", "[Service]"),
    plan.link("/etc/systemd/system/multi-user.target.wants/k8s4r-a.target", "../k8s4r-a.target"),
    plan.unit("k8s4r-a.service", "", run="once", reads=["/etc/k8s4r/groups/a/env"], done="/var/lib/k8s4r/groups/a/done"),
    plan.unit("k8s4r-a.target", "", run="always"),
    plan.quota("a", 70000, 2**20, ["/var/lib/k8s4r/tasks/a"], "here"),
]


def test_a_sound_plan():
    assert errors(*GOOD) == []


@pytest.mark.parametrize(
    "resource",
    [
        plan.file("/etc/shadow", "x"),
        plan.file("/etc/k8s4r/groups/../../shadow", "x"),
        plan.file("/etc/k8s4r/groups//x", "x"),
        plan.file("/etc/k8s4r/groups/", "x"),
        plan.file("/etc/k8s4r/groups/a\0b", "x"),
        plan.file("/etc/k8s4r/groups/" + "x" * 300, "x"),
        plan.file("/etc/k8s4r/groups/a", "x", mode="999"),
        plan.file("/etc/k8s4r/groups/a", "x", owner="root:root"),
        plan.file("/etc/sysusers.d/k8s4r-a.conf", "u root 0"),
        plan.file("/etc/systemd/system/k8s4r-a.service", "x"),
        plan.file("/var/lib/k8s4r/key", "x"),
        plan.directory("/var/lib/k8s4r/engine"),
        plan.link("/etc/k8s4r/groups/a", "a\nb"),
        plan.user("root", "x"),
        plan.user("k8s4r-a", "two\nlines"),
        plan.unit("sshd.service", ""),
        plan.unit("k8s4r-a/../b.service", ""),
        plan.unit("k8s4r-recover.service", ""),
        plan.unit("k8s4r-switch-1.service", ""),
        plan.unit("k8s4r-a.service", "", run="sometimes"),
        plan.unit("k8s4r-a.service", "", reads=["/etc/k8s4r/groups/nowhere"]),
        plan.unit("k8s4r-a.service", "", done="/etc/passwd"),
        plan.unit("k8s4r-a.service", "", label=3),
        plan.quota("a", 70000, 2**20, ["/var/lib/k8s4r/tasks/a"], "here", label=3),
        plan.quota("a", 0, 2**20, ["/var/lib/k8s4r/tasks/a"], "here"),
        plan.quota("a", 2**31, 2**20, ["/var/lib/k8s4r/tasks/a"], "here"),
        plan.quota("a", 70000, 0, ["/var/lib/k8s4r/tasks/a"], "here"),
        plan.quota("a", 70000, 2**20, [], "here"),
        plan.quota("a", 70000, 2**20, ["/home"], "here"),
        plan.quota("a", 70000, 2**20, ["/var/lib/k8s4r/tasks/a b"], "here"),
        plan.quota("a", 70000, 2**20, [3], "here"),
        plan.quota("two\nlines", 70000, 2**20, ["/var/lib/k8s4r/tasks/a"], "here"),
        {"kind": "door"},
        {"kind": ["file"]},
        {"kind": "file", "path": 3},
        "text",
    ],
)
def test_an_unsound_resource(resource):
    found = errors(resource)
    assert found
    assert all(error.startswith("plan.jobs[0].groups[0].resources[0]") for error in found)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        *((key, 3, "must be a string") for key in ("logs", "checks", "container", "done")),
        *((key, "3", "must be a number") for key in ("settles", "deadline", "pause")),
        *((key, [], "must be a mapping") for key in ("refreshes", "told")),
        ("refreshes", {"/a": 3}, "must be a mapping of strings"),
        ("listens", {}, "must be a list of ports"),
        ("listens", [{"address": "::"}], "must be a list of ports"),
        ("checks", "/etc/passwd", "must be a file in /etc/k8s4r/checks"),
        ("logs", "/etc/passwd", "/etc/passwd is outside the directories that the engine may change"),
    ],
)
def test_what_a_unit_may_have_beside_its_file(key, value, said):
    assert errors({**plan.unit("k8s4r-a.service", ""), key: value}) == [f"plan.jobs[0].groups[0].resources[0].{key}: {said}"]


def test_all_errors_at_once():
    assert len(errors(plan.file("/a", "x", owner=""), plan.unit("x", "", run="y"))) == 4


def test_the_place_of_an_error_is_exact():
    (error,) = errors(plan.unit("k8s4r-a.service", "", done="/etc/passwd"))
    assert error == "plan.jobs[0].groups[0].resources[0].done: /etc/passwd is outside the directories that the engine may change"


def test_one_place_for_two():
    (error,) = errors(plan.directory("/etc/k8s4r/groups/a"), plan.link("/etc/k8s4r/groups/a", "x"))
    assert error == "plan.jobs[0].groups[0].resources[1]: /etc/k8s4r/groups/a is already at plan.jobs[0].groups[0].resources[0]"


def test_checks():
    assert errors(checks=[plan.check("c", ["/bin/true", "{dir}"], {"a": "b"})]) == []
    assert len(errors(checks=[plan.check("c", ["true"], {"../a": "b"})])) == 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"checks": [{}]},
        {"checks": [plan.check("c", [1], {})]},
        {"needs": [3]},
        {"programs": [{"path": "/bin/sh"}]},
        {"ports": ["x"]},
        {"ports": [plan.port("127.0.0.1", "80", "here")]},
        {"ports": [plan.port("127.0.0.1", 65536, "here")]},
        {"ports": [plan.port("127.0.0.1", 80, "here", protocol="sctp")]},
        {"ports": [plan.port("127.0.0.1", 80, "here", called="r0 a", chosen=True)]},
        {"ports": [plan.port("127.0.0.1", 20000, "here", chosen=True)]},
        {"ports": [plan.port("127.0.0.1", 20000, "here", called=7)]},
        {"ports": [{**plan.port("127.0.0.1", 20000, "here"), "never": 20001}]},
        {"secrets": [7]},
    ],
)
def test_an_unsound_member(wrong):
    (name,) = wrong
    found = errors(*GOOD, **wrong)
    assert found
    assert all(error.startswith(f"plan.jobs[0].groups[0].{name}") for error in found)


def test_a_plan_of_another_kind():
    assert validate.errors({"format": 2}, JOBS)
    assert validate.errors([], JOBS)
    assert validate.errors(plan.robot([]), JOBS) == ["plan.jobs: differ from the jobs of the request"]
