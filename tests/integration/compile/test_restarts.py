# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restart policies on every systemd that we support, and what root does at a task's end cannot be led astray by it."""

from __future__ import annotations

import time

import pytest

from ansible_collections.k8s4r.robot.plugins.plugin_utils.compile.mesh import peers
from ansible_collections.k8s4r.robot.plugins.plugin_utils.compile.robot import compile_robot
from ansible_collections.k8s4r.robot.plugins.plugin_utils.fleet.placement import place
from ansible_collections.k8s4r.robot.plugins.plugin_utils.fleet.robots import Fleet, Robot
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.read import reader

# Each start leaves a line; ending is told by a file, so that the switch sees a healthy task first. Whatever root would
# look up in the task's PATH is a trap.
JOB = """
name: {name}
taskGroups:
  - name: g
    restartPolicy: {{attempts: 2, interval: 1h, delay: 1s, mode: fail}}
    tasks:
      - name: app
        driver: {driver}
        env: {{PATH: "${{NOMAD_ALLOC_DIR}}/bin:/usr/bin:/bin"}}
        config:
          execConfig:
            command: /bin/sh
            args:
              - -c
              - |
                mkdir -p $NOMAD_ALLOC_DIR/bin
                for name in date mkdir systemctl systemd-run; do
                  printf '#!/bin/sh\\n/usr/bin/id -u >$0.ran' >$NOMAD_ALLOC_DIR/bin/$name
                  chmod 755 $NOMAD_ALLOC_DIR/bin/$name
                done
                echo start >>$NOMAD_ALLOC_DIR/starts
                while [ ! -e $NOMAD_ALLOC_DIR/end ]; do sleep 0.1; done
                exit 3
"""


@pytest.mark.parametrize("driver", ["exec", "raw_exec"])
def test_a_task_is_given_up_after_its_attempts_and_a_restart_on_request_is_none(machine, driver):
    # A name of its own: the journal of a unit outlives the unit.
    name = "restarts" + driver.replace("_", "")
    fleet = Fleet((Robot(machine.name, machine.name),))
    jobs, _warnings = reader.load([reader.Source("restarts.yml", JOB.format(driver=driver, name=name))])
    placement = place(jobs, fleet)
    compiled = compile_robot(jobs, fleet, placement, machine.name, peers.known_services(jobs, fleet, placement))
    assert machine.deploy(*compiled.plan["jobs"])["status"] == "committed"
    unit = next(r["name"] for r in compiled.plan["jobs"][0]["groups"][0]["resources"] if r.get("run") == "always" and "task" in r["name"])
    machine.sh(f"systemctl restart {unit}")
    alloc = machine.sh(f"echo /var/lib/k8s4r/groups/{name}-g-*/alloc").strip()
    machine.sh(f"touch {alloc}/end")
    deadline = time.monotonic() + 60
    while "giving up" not in machine.sh(f"journalctl -o cat -u {unit}"):
        assert time.monotonic() < deadline, machine.sh(f"systemctl status {unit} --no-pager; journalctl -o cat -u {unit}")
        time.sleep(0.5)
    time.sleep(2)
    assert machine.execute(f"systemctl is-active {unit}").stdout.strip() in ("failed", "inactive")
    # The first start, the one that was asked for, and two attempts.
    assert machine.sh(f"cat {alloc}/starts").count("start") == 4
    ran = machine.execute(f"cat {alloc}/bin/*.ran").stdout.split()
    assert "0" not in ran


BATCH = """
name: saves
type: batch
taskGroups:
  - name: g
    tasks:
      - name: app
        driver: {driver}
        config:
          execConfig:
            command: /bin/sh
            args:
              - -c
              - |
                trap 'echo saved >>$NOMAD_ALLOC_DIR/log; exit 0' TERM
                touch $NOMAD_ALLOC_DIR/ready
                while [ ! -e $NOMAD_ALLOC_DIR/end ]; do sleep 0.1; done
"""


@pytest.mark.parametrize("driver", ["exec", "raw_exec"])
def test_a_batch_task_that_is_stopped_has_not_finished(machine, driver):
    """It saves its state and exits with 0 when it is asked to stop, and goes on when its group starts again."""
    fleet = Fleet((Robot(machine.name, machine.name),))
    jobs, _warnings = reader.load([reader.Source("saves.yml", BATCH.format(driver=driver))])
    placement = place(jobs, fleet)
    compiled = compile_robot(jobs, fleet, placement, machine.name, peers.known_services(jobs, fleet, placement))
    assert machine.deploy(*compiled.plan["jobs"])["status"] == "committed"
    unit = next(r["name"] for r in compiled.plan["jobs"][0]["groups"][0]["resources"] if r.get("run") == "once")
    alloc, done = (machine.sh(f"echo /var/lib/k8s4r/groups/saves-g-*/{name}").strip() for name in ("alloc", "done"))
    machine.sh(f"until [ -e {alloc}/ready ]; do sleep 0.1; done; systemctl stop 'k8s4r-group-saves-*' {unit}")
    if driver == "raw_exec":
        # Under exec the unshare of Debian 11 (util-linux 2.36) ends at SIGTERM itself, and takes the program along.
        assert machine.sh(f"cat {alloc}/log") == "saved\n"
    assert machine.sh(f"ls {done}") == ""
    machine.sh(f"systemctl start {unit} && systemctl is-active {unit}")
    machine.sh(f"touch {alloc}/end; until ls {done}/saves-*; do sleep 0.1; done 2>/dev/null")
