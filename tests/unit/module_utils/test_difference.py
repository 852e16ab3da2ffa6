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
SECRET = dict(plan.file("/etc/k8s4r/groups/a/env", "", secret=True), digest="d")


def entries(do, resource, now, contents=None, known=()):
    return difference.of_steps(
        [{"do": do, "resource": resource, "now": now}],
        difference.Contents(contents or {}),
        {kinds.place(each): each for each in known},
    )


def shown(*arguments, **keywords):
    """What is shown before and after one step, of a file."""
    (entry,) = entries(*arguments, **keywords)
    assert entry["before_header"] == entry["after_header"] == kinds.place(arguments[1])
    return entry["before"], entry["after"]


def line(*arguments, **keywords):
    """What is shown of one step, of anything else."""
    (entry,) = entries(*arguments, **keywords)
    assert list(entry) == ["prepared"]
    return entry["prepared"]


def test_a_directory_is_one_line():
    assert line("make", DIRECTORY, None) == "+ directory /var/lib/k8s4r/tasks/a (u:g 0750)\n"
    assert line("remove", DIRECTORY, kinds.expected(DIRECTORY)) == "- directory /var/lib/k8s4r/tasks/a\n"
    assert line("discard", DIRECTORY, kinds.expected(DIRECTORY)) == "- directory /var/lib/k8s4r/tasks/a\n"


def test_a_directory_that_is_there_is_not_shown_as_new():
    other_mode = {**kinds.expected(DIRECTORY), "mode": "0777"}
    assert line("make", DIRECTORY, other_mode) == "~ directory /var/lib/k8s4r/tasks/a (mode 0777 -> 0750)\n"


def test_a_quota_is_shown_with_its_limit():
    quota = plan.quota("web-a", 70000, 2**20 + 1, ["/var/lib/k8s4r/tasks/a"], "here")
    assert line("make", quota, None) == "+ quota web-a (1025 KiB)\n"
    assert line("make", quota, {**kinds.expected(quota), "limit": "7 KiB"}) == "~ quota web-a (limit 7 KiB -> 1025 KiB)\n"


def test_directories_stand_together():
    steps = [{"do": "make", "resource": {**DIRECTORY, "path": path}, "now": None} for path in ("/var/lib/a", "/var/lib/b")]
    (entry,) = difference.of_steps(steps, difference.Contents({}), {})
    assert entry["prepared"] == "+ directory /var/lib/a (u:g 0750)\n+ directory /var/lib/b (u:g 0750)\n"


def test_a_file(tmp_path):
    resource = dict(plan.file(str(tmp_path / "file"), ""), digest="new")
    now = {**kinds.expected(resource), "content": "old"}
    (tmp_path / "file").write_text("A=1\n")
    assert shown("make", resource, None, {"new": b"A=2\n"}) == ("", "A=2\n")
    assert shown("make", resource, now, {"new": b"A=2\n"}) == ("A=1\n", "A=2\n")
    assert line("remove", resource, now) == f"- file {tmp_path}/file\n"
    os.unlink(tmp_path / "file")
    assert shown("make", resource, now, {"new": b"A=2\n"}) == ("", "A=2\n")


def test_a_program_of_ours_is_shown_where_it_has_changed_and_named_where_it_is_new(tmp_path):
    resource = dict(plan.file(str(tmp_path / "file"), ""), digest="new", ours=True)
    assert line("make", resource, None, {"new": b"exit\n"}) == f"+ file {tmp_path}/file (root:root 0644)\n"
    (tmp_path / "file").write_text("rm\n")
    assert shown("make", resource, {**kinds.expected(resource), "content": "old"}, {"new": b"exit\n"}) == ("rm\n", "exit\n")


def test_a_file_whose_mode_alone_changes_is_shown_by_what_it_had():
    resource = dict(plan.file("/etc/k8s4r/groups/a/file", ""), digest="d")
    now = {**kinds.expected(resource), "mode": "0666"}
    assert line("make", resource, now, {"d": b"A=1\n"}) == "~ file /etc/k8s4r/groups/a/file (mode 0666 -> 0644)\n"


def test_a_directory_where_a_file_shall_be():
    resource = dict(plan.file("/etc/k8s4r/groups/a/file", ""), digest="d")
    assert shown("make", resource, kinds.expected(DIRECTORY), {"d": b"A=1\n"}) == ("", "A=1\n")


def test_a_file_where_a_directory_shall_be():
    now = kinds.expected(dict(plan.file("/etc/k8s4r/groups/a/file", ""), digest="d"))
    assert line("make", DIRECTORY, now).startswith("~ directory /var/lib/k8s4r/tasks/a (group root -> g")


@pytest.mark.parametrize(
    ("now", "before"),
    [(None, ""), ({**kinds.expected(SECRET), "content": "other"}, "(secret)\n")],
)
@pytest.mark.parametrize("known", [(SECRET,), ()])
def test_a_secret_is_only_changed(now, before, known):
    assert shown("make", SECRET, now, {"d": b"sesame"}, known) == (before, "(secret, changed)\n")


def test_what_was_secret_is_not_shown_where_it_no_longer_is(tmp_path):
    (tmp_path / "file").write_text("sesame")
    before = dict(plan.file(str(tmp_path / "file"), "", secret=True), digest="old")
    after = {**before, "secret": False, "digest": "new"}
    assert shown("make", after, kinds.expected(before), {"new": b"open"}, [before]) == ("(secret)\n", "(secret, changed)\n")


def test_a_secret_whose_mode_alone_changes_has_not_changed():
    assert line("make", SECRET, {**kinds.expected(SECRET), "mode": "0666"}, {"d": b"sesame"}, [SECRET]) == (
        "~ file /etc/k8s4r/groups/a/env (mode 0666 -> 0644)\n"
    )


def test_a_user_whose_declaration_is_there_without_it():
    user = plan.user("k8s4r-a", "a")
    assert line("make", user, {**kinds.expected(user), "exists": False}) == "~ user k8s4r-a (exists False -> True)\n"


OLD, NEW = 'GONE="1"\nMODE="slow"\nPASSWORD="sesame"\n', 'MODE="fast"\nPASSWORD="open"\nTOKEN="canary"\n'


def variables(tmp_path, hides, hides_then):
    """What is shown of an environment file, of which these values are hidden, before and after."""
    (tmp_path / "env").write_text(OLD)
    before = dict(plan.file(str(tmp_path / "env"), "", secret=True, hidden=hides), digest="old")
    after = dict(plan.file(str(tmp_path / "env"), "", secret=True, hidden=hides_then), digest="new")
    return shown("make", after, kinds.expected(before), {"new": NEW.encode()}, [before])


def test_of_an_environment_file_names_are_shown_and_values_that_are_no_secret(tmp_path):
    assert variables(tmp_path, ["PASSWORD"], ["PASSWORD", "TOKEN"]) == (
        "GONE=1\nMODE=slow\nPASSWORD=(secret)\n",
        "MODE=fast\nPASSWORD=(secret, changed)\nTOKEN=(secret, changed)\n",
    )


def test_without_a_word_on_which_are_secret_all_values_are(tmp_path):
    before, after = variables(tmp_path, None, None)
    assert [text.split("=")[0] for text in after.splitlines()] == ["MODE", "PASSWORD", "TOKEN"]
    assert not any(value in before + after for value in ("slow", "fast", "sesame", "open", "canary"))


def test_what_was_secret_then_is_not_shown_now(tmp_path):
    before, after = variables(tmp_path, None, [])
    assert ("sesame" in before, "open" in after) == (False, True)


def test_json_on_one_line_is_shown_line_by_line():
    assert difference._text(b'{"b":1,"a":[2]}') == '{\n "a": [\n  2\n ],\n "b": 1\n}\n'
    assert difference._text(b"{ no json") == "{ no json"
