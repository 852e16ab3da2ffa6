# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restart policies on every systemd that we support, and what root does at a task's end cannot be led astray by it."""

from __future__ import annotations

import re

import pytest

from ansible_collections.k8s4r.robot.plugins.module_utils._engine import plan
from tests.integration.compile.jobs import plans, shell
from tests.integration.engine.harness import TRIES, compiled

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
    name = "restarts" + driver.replace("_", "")
    (job,) = compiled(machine.name, JOB.format(driver=driver, name=name))
    assert machine.deploy(job)["status"] == "committed"
    unit = next(r["name"] for r in job["groups"][0]["resources"] if r.get("run") == "always" and "task" in r["name"])
    alloc = machine.sh(f"echo /var/lib/k8s4r/groups/{name}-g-*/alloc").strip()
    machine.until(f"[ -e {alloc}/starts ]")
    machine.sh(f"systemctl restart {unit}")
    machine.sh(f"touch {alloc}/end")
    machine.until(f"grep -q 'giving up' /var/lib/k8s4r/tasks/{name}-g-r0-app-*/logs/stdout.log")
    machine.down(unit)
    # The first start, the one that was asked for, and two attempts.
    assert machine.sh(f"cat {alloc}/starts").count("start") == 4
    ran = machine.execute(f"cat {alloc}/bin/*.ran").stdout.split()
    assert "0" not in ran
    (group,) = machine.call(op="status")["jobs"][0]["groups"].values()
    how = group["units"][unit]["how"]
    assert (
        how.startswith("its program ended with exit status 3"),
        how.endswith("; its restart policy has given up, after 2 restarts"),
    ) == (True, True), how
    # Whoever starts it by hand takes it up again.
    machine.sh(f"rm {alloc}/end; systemctl start {unit}")
    (group,) = machine.call(op="status")["jobs"][0]["groups"].values()
    assert (group["units"][unit]["well"], group["units"][unit]["how"]) == (True, None)


@pytest.mark.parametrize(("least", "status"), [("9s", "rolled-back"), ("2s", "committed")])
def test_a_task_that_ends_again_and_again_is_healthy_only_where_it_lives_for_long_enough(machine, least, status):
    """It does so every three seconds."""
    tasks = [shell("dies", "sleep 3; exit 7"), shell("lives", "exec sleep 1000")]
    policy = {"attempts": 50, "interval": "1h", "delay": "1s"}
    groups = [{"name": "g", "tasks": tasks, "restartPolicy": policy}]
    (job,) = plans(machine, {"name": "loops", "taskGroups": groups, "update": {"minHealthyTime": least}})
    result = machine.deploy(job)
    assert result["status"] == status, result
    if status == "rolled-back":
        (said,) = result["errors"]
        assert "r0 dies" in said
        assert "its program ended with exit status 7" in said


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
    (job,) = compiled(machine.name, BATCH.format(driver=driver))
    assert machine.deploy(job)["status"] == "committed"
    unit = next(r["name"] for r in job["groups"][0]["resources"] if r.get("run") == "once")
    alloc, done = (machine.sh(f"echo /var/lib/k8s4r/groups/saves-g-*/{name}").strip() for name in ("alloc", "done"))
    machine.sh(f"until [ -e {alloc}/ready ]; do sleep 0.1; done; systemctl stop 'k8s4r-group-saves-*' {unit}")
    if driver == "raw_exec":
        # Under exec the unshare of Debian 11 (util-linux 2.36) ends at SIGTERM itself, and takes the program along.
        assert machine.sh(f"cat {alloc}/log") == "saved\n"
    assert machine.sh(f"ls {done}") == ""
    machine.sh(f"systemctl start {unit} && systemctl is-active {unit}")
    machine.sh(f"touch {alloc}/end; until ls {done}/saves-*; do sleep 0.1; done 2>/dev/null")


RUNS = """
name: runs
type: batch
taskGroups:
  - name: g
    tasks:
      - {{name: app, config: {{execConfig: {{command: /bin/sh, args: [-c, "echo ran >>$NOMAD_ALLOC_DIR/log; exit {code}"]}}}}}}
      - {{name: other, driver: raw_exec, config: {{execConfig: {{command: /bin/sh, args: [-c, "{other}"]}}}}}}
"""


def test_a_batch_job_that_goes_back_does_not_run_once_more(machine):
    (first,) = compiled(machine.name, RUNS.format(code=0, other="exit 0"))
    assert machine.deploy(first)["status"] == "committed"
    alloc, done = (machine.sh(f"echo /var/lib/k8s4r/groups/runs-g-*/{name}").strip() for name in ("alloc", "done"))
    machine.sh(f"until [ $(ls {done} | wc -l) = 2 ]; do sleep 0.1; done")
    # A program that cannot be executed. By then, the other one may have run.
    (second,) = compiled(machine.name, RUNS.format(code="$((0))", other="exit 127"))
    assert machine.deploy(second)["status"] == "rolled-back"
    assert machine.ask(first)["status"] == "unchanged"
    times = machine.sh(f"wc -l <{alloc}/log").strip()
    assert len(machine.sh(f"ls {done}").split()) == 2
    machine.sh("systemctl restart 'k8s4r-group-runs-*'")
    assert machine.sh(f"wc -l <{alloc}/log").strip() == times
    assert times in ("1", "2")


def test_how_fast_a_batch_task_fails_decides_nothing(machine):
    """It is tried again without limit, and a deployment does not go back."""
    (job,) = compiled(machine.name, RUNS.format(code=4, other="sleep 0.3; exit 4"))
    assert machine.deploy(job)["status"] == "committed"
    machine.until("[ $(cat /var/lib/k8s4r/groups/runs-g-*/alloc/log | wc -l) -ge 2 ]")


def test_programs_that_end_at_once_leave_systemd_its_ears(machine):
    """Up to systemd 248, one that ends before its execution was noticed could keep PID 1 busy for ever, and with it the robot."""
    tasks = [shell(f"t{number}", "exit 0", driver="raw_exec") for number in range(4)]
    (plan,) = plans(machine, {"name": "brief", "type": "batch", "taskGroups": [{"name": "g", "tasks": tasks}]})
    assert machine.deploy(plan)["status"] == "committed"
    again = "rm -f /var/lib/k8s4r/groups/brief-g-*/done/*; systemctl start"
    names = " ".join(r["name"] for r in plan["groups"][0]["resources"] if r.get("run") == "once")
    machine.execute(f'for u in {names}; do timeout 8 sh -c "while :; do {again} $u; done" & done; wait')
    machine.sh("timeout 100 systemctl show --property Version")


WAITS = "echo {name} >>$NOMAD_ALLOC_DIR/log; until [ -e $NOMAD_ALLOC_DIR/go ]; do sleep 0.1; done; {end}"
ENDS = {"status": "exit 143", "signal": "kill -HUP $$", "raw": "kill -TERM $$"}


def test_a_batch_task_that_ends_by_a_signal_has_failed(machine):
    """For a service, systemd takes these signals, and what a shell makes of them, for a good end."""
    policy = {"attempts": 1, "interval": "1h", "delay": "0s", "mode": "fail"}
    drivers = {"raw": "raw_exec"}
    tasks = [shell(name, WAITS.format(name=name, end=end), driver=drivers.get(name, "exec")) for name, end in ENDS.items()]
    (job,) = plans(machine, {"name": "ends", "type": "batch", "taskGroups": [{"name": "g", "restartPolicy": policy, "tasks": tasks}]})
    assert machine.deploy(job)["status"] == "committed"
    machine.sh("touch $(echo /var/lib/k8s4r/groups/ends-g-*/alloc)/go")
    units = [r["name"] for r in job["groups"][0]["resources"] if r.get("run") == "once"]
    machine.down(*units)
    ran = machine.sh("cat /var/lib/k8s4r/groups/ends-g-*/alloc/log").split()
    assert sorted(ran) == sorted(["status", "signal", "raw"] * 2)
    machine.absent("ls /var/lib/k8s4r/groups/ends-g-*/done | grep .")


DELAYED = """
name: delayed
taskGroups:
  - name: g
    tasks:
      - name: app
        driver: raw_exec
        config: {execConfig: {command: /bin/sh, args: [-c, "while [ ! -e $NOMAD_ALLOC_DIR/end ]; do sleep 0.1; done; exit 3"]}}
        restartPolicy: {attempts: 0, interval: 1h, mode: delay}
"""


def test_the_one_timer_of_a_delayed_task_goes_with_its_unit_its_group_and_its_job(machine):
    (job,) = compiled(machine.name, DELAYED)
    assert machine.deploy(job)["status"] == "committed"
    unit, target = (
        next(r["name"] for r in job["groups"][0]["resources"] if r["kind"] == "unit" and kind in r["name"])
        for kind in ("-task-", "-group-")
    )
    timer = unit.replace(".service", ".timer")
    machine.sh("cd /var/lib/k8s4r/groups/delayed-g-*/alloc && touch end")
    # While it is ending, the helper that sets the timer is still at work.
    ended = f"systemctl show -p ActiveState --value {unit} | grep -qx 'inactive\\|failed'"
    used_up = f"for i in $(seq {TRIES}); do systemctl is-active -q {timer} && {ended} && exit; sleep 0.1; done; exit 1"
    for ends_it in (f"systemctl stop {unit}", f"systemctl stop {target}"):
        machine.sh(used_up)
        # Somebody starts it before its time: it is used up again, and the timer set anew.
        began = f"systemctl show -p ExecMainStartTimestampMonotonic --value {unit}"
        # The systemd of Debian 11 now and then loses a call when it is busy.
        again = f"[ $({began}) != $b ]"
        ask = f"systemctl --no-block start {unit}; for i in $(seq 30); do {again} && break; sleep 0.1; done"
        machine.sh(f"b=$({began}); until {again}; do {ask}; done; {used_up}")
        assert machine.sh("systemctl list-timers --all --no-legend 'k8s4r-*' | wc -l").strip() == "1"
        assert machine.sh(f"systemctl show -p Unit --value {timer}").strip() == unit
        machine.sh(ends_it)
        assert machine.state(timer) == "inactive"
        machine.sh(f"systemctl --no-block start {target} {unit}")
    machine.sh(used_up)
    (group,) = machine.call(op="status")["jobs"][0]["groups"].values()
    how = group["units"][unit]["how"]
    assert re.fullmatch(r"its program ended with exit status 3; its timer will start it again at 20\d\d-\S+Z", how), how
    assert machine.deploy(plan.job("default", "delayed", []))["status"] == "committed"
    machine.absent("systemctl list-timers --all --no-legend 'k8s4r-*' | grep .")
    machine.absent("ls /run/systemd/transient | grep k8s4r-task")


# It fails at first, as one whose port is still held by a connection of the version before, and is tried again after more than 15 s.
LATE = """
name: late
taskGroups:
  - name: g
    restartPolicy: {attempts: 10, interval: 10m, delay: 16s, mode: delay}
    tasks:
      - name: app
        config:
          execConfig:
            command: /bin/sh
            args: [-c, "[ -e $NOMAD_ALLOC_DIR/tried ] || { touch $NOMAD_ALLOC_DIR/tried; exit 1; }; exec sleep 1000"]
"""


@pytest.mark.parametrize("machine", ["bookworm"], indirect=True)
def test_a_deployment_waits_for_the_next_try_of_the_policy(machine):
    (job,) = compiled(machine.name, LATE)
    assert machine.deploy(job)["status"] == "committed"
