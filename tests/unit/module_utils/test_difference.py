# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What --diff shows of a release: what is there now and what will be, and never a secret."""

from __future__ import annotations

import os

import pytest

from ansible_collections.k8s4r.robot.plugins.module_utils._engine import plan
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.change import difference
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.resources import kinds

DIRECTORY = plan.directory("/var/lib/k8s4r/tasks/a", "u", "g", "0750")
ATTRIBUTES = "group: g\nmode: 0750\nowner: u\ntype: directory\n"
SECRET = dict(plan.file("/etc/k8s4r/groups/a/env", "", secret=True), digest="d")


def shown(do, resource, now, contents=None, secrets=()):
    """What is shown before and after one step."""
    (entry,) = difference.of_steps([{"do": do, "resource": resource, "now": now}], contents or {}, secrets)
    assert entry["before_header"] == entry["after_header"] == kinds.place(resource)
    return entry["before"], entry["after"]


def test_a_directory():
    assert shown("make", DIRECTORY, None) == ("", ATTRIBUTES)
    assert shown("remove", DIRECTORY, kinds.expected(DIRECTORY)) == (ATTRIBUTES, "")


def test_a_directory_that_is_there_is_not_shown_as_new():
    other_mode = {**kinds.expected(DIRECTORY), "mode": "0777"}
    assert shown("make", DIRECTORY, other_mode) == (ATTRIBUTES.replace("0750", "0777"), ATTRIBUTES)


def test_a_file(tmp_path):
    resource = dict(plan.file(str(tmp_path / "file"), ""), digest="new")
    now = {**kinds.expected(resource), "content": "old"}
    (tmp_path / "file").write_text("A=1\n")
    assert shown("make", resource, None, {"new": b"A=2\n"}) == ("", "A=2\n")
    assert shown("make", resource, now, {"new": b"A=2\n"}) == ("A=1\n", "A=2\n")
    assert shown("remove", resource, now) == ("A=1\n", "")
    os.unlink(tmp_path / "file")
    assert shown("remove", resource, now) == ("", "")


def test_a_file_whose_mode_alone_changes_is_shown_by_what_it_had():
    resource = dict(plan.file("/etc/k8s4r/groups/a/file", ""), digest="d")
    now = {**kinds.expected(resource), "mode": "0666"}
    after = "group: root\nmode: 0644\nowner: root\ntype: file\n"
    assert shown("make", resource, now, {"d": b"A=1\n"}) == (after.replace("0644", "0666"), after)


def test_a_directory_where_a_file_shall_be():
    resource = dict(plan.file("/etc/k8s4r/groups/a/file", ""), digest="d")
    assert shown("make", resource, kinds.expected(DIRECTORY), {"d": b"A=1\n"}) == (ATTRIBUTES, "A=1\n")


@pytest.mark.parametrize(
    ("do", "now", "before", "after"),
    [
        ("make", None, "", "(secret, changed)\n"),
        ("make", {**kinds.expected(SECRET), "content": "other"}, "(secret)\n", "(secret, changed)\n"),
        ("remove", kinds.expected(SECRET), "(secret)\n", ""),
    ],
)
def test_a_secret_is_only_changed(do, now, before, after):
    assert shown(do, SECRET, now, {"d": b"sesame"}, {SECRET["path"]}) == (before, after)


def test_a_secret_whose_mode_alone_changes_has_not_changed():
    before, after = shown("make", SECRET, {**kinds.expected(SECRET), "mode": "0666"}, {"d": b"sesame"}, {SECRET["path"]})
    assert before == after.replace("0644", "0666")
    assert "secret" not in after


def test_a_user_whose_declaration_is_there_without_it():
    user = plan.user("k8s4r-a", "a")
    before, after = shown("make", user, {**kinds.expected(user), "exists": False})
    assert before != after


def test_json_on_one_line_is_shown_line_by_line():
    assert difference._text(b'{"b":1,"a":[2]}') == '{\n "a": [\n  2\n ],\n "b": 1\n}\n'
    assert difference._text(b"{ no json") == "{ no json"
