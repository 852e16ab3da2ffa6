# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A robot's status as a person reads it."""

from __future__ import annotations

from ansible_collections.k8s4r.robot.plugins.plugin_utils.run import table

UNIT = {
    "run": "always", "state": "active", "sub": "running", "result": "success", "restarts": 0, "memory": 3 * 2**20, "pid": 7,
    "exit_status": 0, "since": "2026-01-01T00:00:00Z",
}  # fmt: skip
GROUP = {
    "name": "default/web/front", "release": "r1", "committed": "2026-01-01T00:00:00Z", "kept": [],
    "ports": [{"address": "127.0.0.1", "port": 5432, "where": "x"}], "silent": [], "lacks": [], "units": {"a.service": UNIT},
}  # fmt: skip


def answer(**changes):
    return {"busy": None, "interrupted": None, "unread": [], "jobs": [{"groups": {"g": {**GROUP, **changes}}}]}


def test_groups_and_units_are_lines_in_columns():
    units = {
        "a.service": UNIT,
        "longer.service": {**UNIT, "state": "failed", "sub": "failed", "exit_status": 3, "restarts": 2, "memory": None},
    }
    head, group, first, second = table.status("robot1", answer(units=units))
    assert head == "robot1"
    assert group == "  default/web/front: release r1, committed 2026-01-01T00:00:00Z, 127.0.0.1:5432"
    assert first.split() == ["a.service", "active", "(running)", "3.0", "MiB", "since", "2026-01-01T00:00:00Z"]
    assert "failed (failed), exit status 3" in second
    assert "2 restarts" in second
    assert first.index("active") == second.index("failed")


def test_what_a_group_misses_is_seen():
    lines = table.status("robot1", answer(silent=GROUP["ports"], lacks=[{"path": "/run/agent.sock", "what": "spire_agent"}]))
    assert lines[1].endswith("127.0.0.1:5432 (NOT LISTENING)")
    assert lines[2] == "    MISSING /run/agent.sock (spire_agent)"


def test_a_robot_that_holds_nothing_or_is_at_work_says_so():
    assert table.status("robot1", {"busy": None, "interrupted": None, "unread": [], "jobs": []}) == ["robot1", "  runs no task group"]
    assert table.status("robot1", {**answer(), "busy": "anna is at work"})[0] == "robot1: anna is at work"
    assert "r2 was interrupted" in table.status("robot1", {**answer(), "interrupted": "r2"})[1]


def test_a_unit_that_is_not_loaded_and_a_group_without_units():
    nothing = dict.fromkeys(UNIT)
    assert "not loaded" in table.status("robot1", answer(units={"a.service": nothing}))[2]
    assert table.status("robot1", answer(units={}, kept=["/data"]))[1].endswith("keeps /data")
