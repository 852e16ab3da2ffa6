# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes from a robot, and what of it stays for now."""

from __future__ import annotations

import pytest

from ansible_collections.k8s4r.robot.plugins.module_utils._engine import plan
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.change import survey


@pytest.fixture(autouse=True)
def disk(monkeypatch):
    monkeypatch.setattr(survey.files, "size", lambda _path: 1000)


def task(name, run="none"):
    """What a schedule runs, where nothing else is said."""
    id = name.replace(" ", "-")
    data = plan.directory(f"{plan.TASKS}/{id}", data=True)
    return [data, plan.unit(f"k8s4r-task-{id}.service", "[Service]\n", run=run, called=name)]


def scheduled(*names):
    """A group of which a schedule runs these tasks."""
    return [
        *(each for name in names for each in task(name)),
        plan.unit("k8s4r-run-a.service", " ".join(names), called="run"),
        plan.unit("k8s4r-run-a.timer", "[Timer]\n", run="always", called="schedule"),
        plan.unit("k8s4r-group-a.target", "[Unit]\n", run="always"),
    ]


def wanted(resources, ports=()):
    return {"id": "a", "name": "default/shop/web", "resources": resources, "ports": list(ports)}


def going(old, new, keep_data=False):
    return survey.going(wanted(new), {"resources": old, "leftovers": []}, keep_data)


def test_of_a_schedule_its_tasks_go_and_not_only_what_starts_them():
    found = going(scheduled("r0 report", "r1 report"), [])
    assert (found["whole"], found["units"], found["data"]) == (True, ["r0 report", "r1 report", "schedule"], 2000)


@pytest.mark.parametrize("name", ["r1 report", "r0 side"])
def test_one_of_several_tasks_of_a_schedule_goes(name):
    found = going(scheduled("r0 report", name), scheduled("r0 report"))
    assert (found["whole"], found["units"], found["data"]) == (False, [name], 1000)
    # Without data, too.
    assert going(scheduled("r0 report", name), scheduled("r0 report"), keep_data=True)["units"] == [name]


def test_what_no_schedule_starts_any_more_goes():
    assert going(scheduled("r0 report"), task("r0 report", run="once"))["units"] == ["schedule"]


def test_of_a_group_that_was_removed_before_only_data_goes():
    left = {"resources": [], "leftovers": [task("r0 report")[0]]}
    assert survey.going(wanted([]), left, False)["units"] == []
    assert survey.going(wanted([]), left, True) is None


def test_an_instance_of_a_schedule_that_stays_has_its_port_until_something_else_gets_it():
    port = plan.port("0.0.0.0", 80, "job.yml", called="r1 http")
    record, new = {"resources": scheduled("r0 report", "r1 report"), "ports": [port], "leftovers": []}, wanted(scheduled("r0 report"))
    stays = survey.with_what_stays(new, record, [])
    assert stays["ports"] == [port]
    assert [each["name"] for each in stays["resources"] if each.get("leaving") and "name" in each] == ["k8s4r-task-r1-report.service"]
    assert survey.ousted(new, record, []) == []
    assert survey.with_what_stays(new, record, [port])["ports"] == []
    # A run of it may be under way.
    assert survey.ousted(new, record, [port]) == ["k8s4r-task-r1-report.service"]
