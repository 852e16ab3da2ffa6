# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the compiler makes, taken by the engine: its golden cases, checked by the systemd of a robot."""

from __future__ import annotations

import pytest

from ansible_collections.k8s4r.robot.plugins.plugin_utils.compile.robot import compile_robot
from ansible_collections.k8s4r.robot.plugins.plugin_utils.fleet.placement import place
from ansible_collections.k8s4r.robot.plugins.plugin_utils.fleet.robots import Fleet, Robot
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job import reader
from tests import golden

JOB = """\
name: night-watch
taskGroups:
  - name: eyes
    count: 2
    initTasks:
      - name: prepare
        config: {execConfig: {command: /bin/sh, args: [-c, "echo ready > /tmp/prepared"]}}
    tasks:
      - name: look
        config: {execConfig: {command: sleep, args: [infinity]}}
        resources: {cpu: 100m, memory: 16Mi}
      - name: listen
        driver: raw_exec
        config: {execConfig: {command: /bin/sh, args: [-c, "cat /tmp/prepared && exec sleep infinity"]}}
"""


@pytest.mark.parametrize("case", golden.names())
def test_a_golden_plan_is_taken(machine, case):
    machine.sh("for u in motor bus; do id $u >/dev/null 2>&1 || useradd --system $u; done")
    machine.sh("install -D /bin/true /opt/planner/bin/planner")
    for robot, compiled in golden.compile_case(case).items():
        answer = machine.prepare(*compiled.plan["jobs"], check=True)
        assert answer["status"] == "prepared", (robot, answer)
        assert answer["steps"]


def test_a_compiled_job_runs(machine):
    jobs, _warnings = reader.load([reader.Source("job.yml", JOB)])
    fleet = Fleet((Robot("robot1", "192.0.2.1", capabilities=machine.call(op="probe")["capabilities"]),), "fleet.example")
    compiled = compile_robot(jobs, fleet, place(jobs, fleet), "robot1")
    done = machine.deploy(*compiled.plan["jobs"])
    assert done["status"] == "committed", done
    assert machine.ask(*compiled.plan["jobs"]) == {"status": "unchanged"}
