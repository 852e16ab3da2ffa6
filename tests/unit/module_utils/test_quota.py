# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose a project is, and what a robot said of its quotas; a virtual machine shows what a file system makes of both."""

from __future__ import annotations

import pytest

from ansible_collections.k8s4r.robot.plugins.module_utils._engine import plan
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.resources import kinds
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.resources.quotas import claims
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.say.errors import CommandFailed
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.system import capabilities

QUOTA = plan.quota("web-a", 70000, 2**20, ["/var/lib/k8s4r/tasks/b", "/var/lib/k8s4r/tasks/a"], "here")


def test_a_project_with_files_is_somebody_elses_unless_this_robot_has_given_it_out(robot, monkeypatch):
    monkeypatch.setattr(claims, "NAMED", ())
    assert list(claims.taken("here", 70000, 0, robot)) == []
    with pytest.raises(CommandFailed, match="3 files that are not this job's have project 70000"):
        claims.claim(70000, 3, robot)
    claims.claim(70000, 0, robot)
    claims.claim(80000, 0, robot)
    # Links and what was moved elsewhere are of it for good.
    claims.claim(70000, 3, robot)
    assert list(claims.taken("here", 70000, 3, robot)) == []
    assert len(list(claims.taken("here", 90000, 3, robot))) == 1


@pytest.mark.parametrize(("line", "theirs"), [("maps:70000", 1), ("70000:/srv/maps", 1), ("maps:7000", 0), ("#170000:x", 0)])
def test_a_project_that_somebody_has_named_is_theirs(robot, monkeypatch, tmp_path, line, theirs):
    (tmp_path / "projid").write_text(f"other:5\n{line}\n")
    monkeypatch.setattr(claims, "NAMED", (str(tmp_path / "no"), str(tmp_path / "projid")))
    found = list(claims.taken("here", 70000, 0, robot))
    assert [text.startswith(f"here: {tmp_path}/projid names project 70000") for text in found] == [True] * theirs


def test_the_order_of_directories_and_less_than_a_block_are_no_difference():
    same = {**QUOTA, "size": 2**20 - 1, "directories": QUOTA["directories"][::-1]}
    assert kinds.expected(QUOTA) == kinds.expected(same)
    assert kinds.expected(QUOTA) != kinds.expected({**QUOTA, "size": 2**20 + 1})
    assert kinds.expected(QUOTA) != kinds.expected({**QUOTA, "directories": QUOTA["directories"][:1]})


def test_what_is_assumed_of_a_robot_is_out_of_date_where_it_says_more_than_it_used_to():
    truth = {"systemd": "252", "disk.quota": "ext4"}
    assert capabilities.differ({"systemd": "252"}, truth) == ["disk.quota"]
    assert capabilities.differ({**truth, "disk.quota": "no", "gone": "x"}, truth) == ["disk.quota", "gone"]
    assert capabilities.differ(truth, truth) == []
    # A removal assumes nothing.
    assert capabilities.differ({}, truth) == []
