# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What else a job may say of containers: scripts of health checks, templates that change, hooks; and the example of the documentation."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
import yaml

from tests.integration.compile import inside
from tests.integration.compile.boxes import DOCKER, SOON, box, containers, nothing_runs, unit
from tests.integration.compile.inside import alloc
from tests.integration.compile.jobs import plans, without_groups

EXAMPLE = pathlib.Path(__file__).parents[3] / "examples" / "docker.yml"


@pytest.fixture
def machine(docker):

    return docker


def test_a_script_is_as_one_that_the_container_has_started_and_leaves_nothing(machine):
    inside.a_script_is_as_one_that_the_container_has_started_and_leaves_nothing(machine, DOCKER)


def test_a_container_that_goes_away_under_its_check_is_no_success(machine):
    inside.a_container_that_goes_away_under_its_check_is_no_success(machine, DOCKER)


def test_a_changed_template_reaches_the_program_in_its_container(machine):
    inside.a_changed_template_reaches_the_program_in_its_container(machine, DOCKER)


def test_hooks_may_be_containers(machine):
    def whole(before: str, main: str) -> dict[str, t.Any]:
        hook = {**box(before), "name": "before", "lifecycle": {"hook": "prestart"}}
        beside = {**box(), "name": "beside", "lifecycle": {"hook": "prestart", "sidecar": True}}
        after = {**box("cat /alloc/ready >>/alloc/after"), "name": "after", "lifecycle": {"hook": "poststart"}}
        tasks = [box(f"cat /alloc/ready >/alloc/{main}; exec sleep 1000"), hook, beside, after]
        (plan,) = plans(machine, {"name": "box", "taskGroups": [{"name": "g", "tasks": tasks}], "update": SOON})
        return plan

    plan = whole("sleep 1; echo one >/alloc/ready", "first")
    assert machine.deploy(plan)["status"] == "committed"
    place = alloc(machine)
    machine.until(f"[ -s {place}/first ] && [ -s {place}/after ] && [ $(pgrep -xc sleep) = 2 ]")
    assert machine.sh(f"cat {place}/first {place}/after") == "one\none\n"
    before = containers(machine)
    assert len(before) == 2
    # The whole of it comes back if a hook fails.
    result = machine.deploy(whole("exit 3", "second"))
    assert result["status"] == "rolled-back", result
    machine.absent(f"test -e {place}/second")
    machine.until("[ $(pgrep -xc sleep) = 2 ]")
    assert not set(before).intersection(containers(machine))
    assert machine.deploy(without_groups(plan))["status"] == "committed"
    nothing_runs(machine)


def test_init_tasks_are_containers(machine):
    inside.init_tasks_are_containers(machine, DOCKER, "raw_exec")


def test_the_example_runs_unmodified(machine):
    machine.sh("tar -C /root/image -c . | docker import - busybox:1.36")
    document = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
    (plan,) = plans(machine, document)
    assert machine.deploy(plan)["status"] == "committed"
    machine.until("grep -q . /var/lib/k8s4r/tasks/recorder-*/local/log")
    # It does something about the signal that ends it.
    name = unit(machine, "recorder-recorder-r0-record")
    machine.sh(f"systemctl stop {name}")
    assert machine.sh(f"systemctl show -p Result --value {name}").strip() == "success"
    assert machine.deploy(without_groups(plan))["status"] == "committed"
    assert machine.sh("docker ps -aq") == ""
