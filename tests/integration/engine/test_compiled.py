# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the compiler makes, taken by the engine: its golden cases, checked by the systemd of a robot."""

from __future__ import annotations

import json

import pytest

from ansible_collections.k8s4r.robot.plugins.plugin_utils.compile.mesh import peers
from ansible_collections.k8s4r.robot.plugins.plugin_utils.compile.robot import compile_robot
from ansible_collections.k8s4r.robot.plugins.plugin_utils.fleet.placement import place
from ansible_collections.k8s4r.robot.plugins.plugin_utils.fleet.robots import Fleet, Robot
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.read import reader
from tests import golden
from tests.integration.engine.harness import Machine

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


# What the cases run and use: a plan that expects what is not on the robot is refused.
DEVICES = "/dev/ttyUSB0 /dev/video0 /dev/serial/by-id/usb-lidar"
PLACES = "/srv/maps '/srv/a place'"
PROGRAMS = "/usr/local/bin/java /opt/rover/run /opt/robot /opt/other /opt/app /opt/prepare /opt/second /opt/third /usr/local/bin/app"


@pytest.fixture(scope="module")
def furnished(fleet):
    """A robot for all cases, which a check leaves as it is; and whether it can hold anybody to a size on its disk."""
    machine = Machine(fleet, "robot1")
    machine.clean()
    machine.sh("for u in motor bus; do id $u >/dev/null 2>&1 || useradd --system $u; done")
    machine.sh(f"mkdir -p /dev/serial/by-id {PLACES}; touch {DEVICES}")
    machine.sh(f"for p in {PROGRAMS}; do install -D /bin/true $p; done; ip address replace 192.0.2.11/32 dev lo")
    return machine, machine.call(op="probe")["capabilities"]["disk.quota"] != "no"


@pytest.mark.parametrize("case", golden.names())
def test_a_golden_plan_is_taken(furnished, case):
    machine, enforces = furnished
    for robot, compiled in golden.compile_case(case).items():
        answer = machine.prepare(*compiled.plan["jobs"], check=True)
        groups = [group for job in compiled.plan["jobs"] for group in job["groups"]]
        if not enforces and any(resource["kind"] == "quota" for group in groups for resource in group["resources"]):
            # Compiled for a robot that can, and taken by one but for that.
            assert all("without project quotas" in error for error in answer["errors"]), (robot, answer)
            continue
        images = [resource for group in groups for resource in group["resources"] if resource["kind"] == "image"]
        if images:
            # It has none of these engines; tests/integration/compile/test_docker.py and test_podman.py have robots that do.
            engines = tuple(f"this robot has no {image.get('engine', 'docker').capitalize()}" for image in images)
            assert answer["status"] == "refused", (robot, answer)
            assert all(any(engine in error for engine in engines) for error in answer["errors"]), (robot, answer)
            continue
        assert answer["status"] == "planned", (robot, answer)
        assert answer["steps"]


SECRETS = """\
name: secretive
taskGroups:
  - name: g
    tasks:
      - name: main
        driver: {driver}
        config: {{execConfig: {{command: /bin/sh, args: [-c, {script}]}}}}
"""
FILLS = 'echo inside > "$NOMAD_SECRETS_DIR/x"; head -c 2M /dev/zero > "$NOMAD_SECRETS_DIR/y" || : > "$NOMAD_ALLOC_DIR/full"'
LINKS = 'ln -s /etc/systemd/system "$NOMAD_SECRETS_DIR/own"; mkdir "$NOMAD_SECRETS_DIR/more"'


def compiled_jobs(machine, text):
    jobs, _warnings = reader.load([reader.Source("job.yml", text)])
    fleet = Fleet((Robot("robot1", "192.0.2.1", capabilities=machine.call(op="probe")["capabilities"]),), "fleet.example")
    placement = place(jobs, fleet)
    return compile_robot(jobs, fleet, placement, "robot1", peers.known_services(jobs, fleet, placement)).plan["jobs"]


def secretive(machine, driver, script):
    return machine.deploy(*compiled_jobs(machine, SECRETS.format(driver=driver, script=json.dumps(f"{script}; exec sleep infinity"))))


def test_a_compiled_job_runs(machine):
    jobs = compiled_jobs(machine, JOB)
    done = machine.deploy(*jobs)
    assert done["status"] == "committed", done
    assert machine.ask(*jobs) == {"status": "unchanged"}


# Each daemon is ready half a second after its start, and the task fails if it comes before one of them.
READINESS = """\
name: patient
taskGroups:
  - name: g
    initTasks:
      - name: by-file
        daemon: true
        readiness: {file: /tmp/a file}
        config: {execConfig: {command: /bin/sh, args: [-c, "sleep 0.5; touch '/tmp/a file'; exec sleep infinity"]}}
      - name: by-command
        daemon: true
        readiness: {command: "test -e /tmp/answer && echo yes"}
        config: {execConfig: {command: /bin/sh, args: [-c, "sleep 0.5; touch /tmp/answer; exec sleep infinity"]}}
      - name: by-port
        daemon: true
        readiness: {port: 18123}
        config:
          execConfig:
            command: python3
            args: [-c, "import socket, time; time.sleep(0.5); s = socket.create_server(('127.0.0.1', 18123)); time.sleep(1e6)"]
    tasks:
      - name: main
        config:
          execConfig:
            command: /bin/sh
            args:
              - -c
              - |
                test -e '/tmp/a file' && test -e /tmp/answer || exit 1
                python3 -c "import socket; socket.create_connection(('127.0.0.1', 18123))" || exit 1
                echo started >> "$NOMAD_ALLOC_DIR/starts"
                exec sleep infinity
"""


def test_a_task_starts_when_every_daemon_before_it_is_ready(machine):
    done = machine.deploy(*compiled_jobs(machine, READINESS))
    assert done["status"] == "committed", done
    machine.until("[ -s /var/lib/k8s4r/groups/*/alloc/starts ]")
    assert machine.sh("cat /var/lib/k8s4r/groups/*/alloc/starts") == "started\n"


def test_an_exec_tasks_secrets_are_in_nobody_elses_view_and_bounded(machine):
    assert secretive(machine, "exec", FILLS)["status"] == "committed"
    machine.until("[ -e /var/lib/k8s4r/groups/*/alloc/full ]")
    machine.absent("grep -rls inside /var/lib/k8s4r/tasks /run/k8s4r")


def test_what_a_raw_exec_task_leaves_in_its_secrets_leads_no_root_command_astray(machine):
    """Both drivers once used one directory, the task user's under raw_exec and root's under exec, and a link in it was followed."""
    before = machine.sh("stat -c '%U %a' /etc/systemd/system")
    assert secretive(machine, "raw_exec", LINKS)["status"] == "committed"
    assert secretive(machine, "exec", "true")["status"] == "committed"
    assert machine.sh("stat -c '%U %a' /etc/systemd/system") == before
