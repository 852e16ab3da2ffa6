# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Robots that are not there, go away, are taken, or break: the others end whole, and the next run mends it."""

from __future__ import annotations

import threading
import time

import pytest

from tests.integration.deploy.harness import sleeper
from tests.integration.engine.harness import Machine
from tests.robots.host import wait_for

pytestmark = pytest.mark.robots


def test_a_robot_that_is_not_there_does_not_keep_the_others(deployment, fleet):
    """A dead link is given up after two tries, of at most 100 s together; the rest is what a deployment takes."""
    started = time.monotonic()
    deployment.deploy(sleeper()).well()
    usually = time.monotonic() - started
    fleet.cut_network("robot2")
    try:
        started = time.monotonic()
        run = deployment.deploy(sleeper(value="two"))
        assert time.monotonic() - started < 100 + usually
        assert run.status == 4
        run.refused("robot2: off, run again")
        assert deployment.value("robot1") == "two"
    finally:
        fleet.restore_network("robot2")
    run = deployment.deploy(sleeper(value="two")).well()
    assert (run.changed["robot1"], run.changed["robot2"] > 0) == (0, True)
    assert deployment.value("robot2") == "two"


def test_jobs_without_identities_are_deployed_and_removed_while_the_machine_of_the_spire_server_is_off(deployment):
    deployment.lose_spire_server()
    for run in (deployment.deploy(sleeper()), deployment.remove(job="job.yml"), deployment.remove(job="job.yml")):
        assert "cannot be reached" not in run.well().output
    connected = "name: api\ntaskGroups: [{name: back, network: {services: [{name: api, port: 18080, to: '127.0.0.1:1'}]}}]\n"
    deployment.deploy(connected).refused("hub, the machine of the SPIRE server, cannot be reached")
    assert "api-back" not in deployment.footprint("robot1") + deployment.footprint("robot2")


def test_a_robot_lost_in_the_middle_of_its_switch_ends_whole_by_itself(deployment, fleet):
    deployment.deploy(sleeper()).well()
    lost = threading.Event()

    def cut_when_it_switches() -> None:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            if "active" in fleet.console("robot2", "systemctl is-active 'k8s4r-switch-*' || true", check=False).split():
                fleet.cut_network("robot2")
                lost.set()
                return
            time.sleep(0.05)

    watcher = threading.Thread(target=cut_when_it_switches)
    watcher.start()
    slow = sleeper(value="two").replace(
        "    tasks:", "    initTasks: [{name: wait, config: {execConfig: {command: /bin/sleep, args: ['12']}}}]\n    tasks:"
    )
    try:
        run = deployment.deploy(slow)
        watcher.join()
        assert lost.is_set()
        assert run.status == 4
        run.refused("robot2")
        assert deployment.value("robot1") == "two"
        held = "cat /etc/k8s4r/groups/*/env/* 2>/dev/null"
        wait_for(lambda: "two" in fleet.console("robot2", held, check=False), 120, "the robot does not go on")
    finally:
        watcher.join()
        fleet.restore_network("robot2")
    switches = "systemctl list-units --plain --no-legend 'k8s4r-switch-*'"
    wait_for(lambda: not fleet.console("robot2", switches, check=False).strip(), 120, "the switch does not end")
    fleet.wait_ssh("robot2")
    deployment.deploy(slow).well()
    assert deployment.value("robot2") == "two"


def test_a_second_run_is_told_who_holds_the_robot(deployment):
    deployment.deploy(sleeper()).well()
    holder = '{"who": "anna@bench", "since": 1780000000, "purpose": "switch"}'
    deployment.sh("robot2", f"printf '%s' '{holder}' > /run/k8s4r/lock; systemd-run --quiet --unit holder flock /run/k8s4r/lock sleep 600")
    Machine(deployment.fleet, "robot2").until("! flock --nonblock /run/k8s4r/lock true")
    try:
        run = deployment.deploy(sleeper(value="two"))
    finally:
        deployment.sh("robot2", "systemctl stop holder")
    run.refused("robot2: anna@bench is changing this robot")
    assert deployment.value("robot1") == "one"


def test_a_task_that_fails_is_reported_and_taken_back(deployment):
    deployment.deploy(sleeper()).well()
    run = deployment.deploy(sleeper(value="two", script="'echo cannot open the camera >&2; exit 3'"))
    run.refused("the switch failed and was rolled back", "default/hello/web", "exit status 3", "cannot open the camera")
    assert deployment.value("robot1") == deployment.value("robot2") == "one"


def test_the_engine_is_sent_again_where_it_is_gone(deployment):
    deployment.deploy(sleeper()).well()
    deployment.sh("robot1", "rm -rf /var/lib/k8s4r/engine")
    assert set(deployment.deploy(sleeper()).well().changed.values()) == {0}
    assert deployment.sh("robot1", "ls /var/lib/k8s4r/engine").strip()


def test_a_slow_robot_may_take_its_time_to_check_a_plan(deployment, fleet):
    """In check mode it does so within one call: longer than a lost link goes unnoticed otherwise."""
    deployment.deploy(sleeper()).well()
    slow = "/usr/local/sbin/systemd-analyze"
    fleet.console("robot2", f"printf '#!/bin/sh\\nsleep 9\\nexec /usr/bin/systemd-analyze \"$@\"\\n' > {slow}; chmod +x {slow}")
    try:
        run = deployment.deploy(sleeper(value="two"), "--check").well()
    finally:
        fleet.console("robot2", f"rm {slow}")
    assert all(run.changed.values())
