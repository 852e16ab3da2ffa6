# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An engine killed at any step: the robot ends on a whole release, by itself or by the next run."""

from __future__ import annotations

import json

import pytest

from ansible_collections.k8s4r.robot.plugins.module_utils._engine import plan
from tests.integration.engine.harness import environment, pid
from tests.integration.engine.interrupted import assert_whole, drive, old_and_new
from tests.integration.engine.plans import WAITING, Group, job

HALF = "/etc/systemd/system/.k8s4r-group-web.target.k8s4r~"


@pytest.fixture
def keep_data():
    return False


@pytest.fixture
def steps(machine, keep_data):
    """Deploys the old release; how many steps there are to the new one."""
    old, new = old_and_new()
    # Both have been there once, so that data of the other one may be kept.
    for release in (old, new, old):
        assert machine.deploy(job(release), keep_data=keep_data)["status"] == "committed"
    count = drive(machine, machine.prepare(job(new), keep_data=keep_data)["release"])
    assert_whole(machine, new, old, keep_data)
    assert machine.deploy(job(old), keep_data=keep_data)["status"] == "committed"
    return count


def test_killed_at_every_step_and_gone_back_at_boot(machine, steps):
    old, new = old_and_new()
    outcomes = set()
    for step in range(steps + 1):
        release = machine.prepare(job(new))["release"]
        killed = drive(machine, release, kill_before=step) is None
        assert killed == (step < steps)
        if killed:
            # After a power cut there may be the file that was to replace one, and that one as it was.
            machine.sh(f"echo half >{HALF}")
        drive(machine, release, recover=True)
        done = json.loads(machine.sh(f"cat /run/k8s4r/results/{release}.json"))["status"]
        outcomes.add(done)
        # At boot nobody waits for the units.
        machine.sh("while systemctl list-jobs --no-legend | grep -q k8s4r; do sleep 0.05; done")
        if done == "rolled-back":
            assert_whole(machine, old, new)
        else:
            assert_whole(machine, new, old)
            drive(machine, machine.prepare(job(old))["release"])
    assert outcomes == {"rolled-back", "committed"}


@pytest.mark.parametrize("keep_data", [True])
def test_killed_at_every_step_and_resumed(machine, steps, keep_data):
    """With leftovers on the robot: the data of the other release is kept."""
    old, new = old_and_new()
    source, target = old, new
    for step in range(steps):
        release = machine.prepare(job(target), keep_data=keep_data)["release"]
        assert drive(machine, release, kill_before=step) is None
        assert drive(machine, release) is not None
        assert_whole(machine, target, source, keep_data)
        source, target = target, source


def test_killed_at_every_step_and_mended_by_the_next_run(machine, steps):
    old, new = old_and_new()
    source, target = old, new
    for step in range(steps):
        release = machine.prepare(job(target))["release"]
        assert drive(machine, release, kill_before=step) is None
        assert machine.ask(job(target)) == {"status": "plan-needed"}
        prepared = machine.prepare(job(target))
        assert prepared["steps"]
        drive(machine, prepared["release"])
        assert_whole(machine, target, source)
        source, target = target, source


def test_to_go_back_after_an_interruption_is_a_change(machine):
    """Also where it is all that there is to do."""
    old, new = old_and_new()
    machine.deploy(job(old))
    release = machine.prepare(job(new))["release"]
    assert drive(machine, release, kill_before="healthy") is None
    done = machine.deploy(job(old))
    assert (done["status"], done["changes"]) == ("committed", [f"roll back release {release}, whose switch was interrupted"]), done
    assert_whole(machine, old, new)


def test_the_ports_of_an_interrupted_release_are_its_successors_and_so_is_what_serves_it(machine):
    """Going back takes along what nobody needs then, such as the program that writes logs; the successor needs it again."""
    group = Group()
    group.more = [plan.file(f"{plan.LOGS}/main", '{"maxFiles": 1, "maxFileSize": 1000, "onFull": "block"}\n')]
    group.tasks["main"] = ("/usr/bin/python3 -m http.server --bind 127.0.0.1 5434", "A=1")
    group.ports = [plan.port("127.0.0.1", 5434, "here")]
    release = machine.prepare(job(group))["release"]
    assert drive(machine, release, kill_before="healthy") is None
    machine.listens(5434)
    done = machine.deploy(job(group))
    assert done["status"] == "committed", done
    assert machine.state("k8s4r-logs.service") == "active"
    assert machine.ask(job(group)) == {"status": "unchanged"}


@pytest.mark.parametrize("verb", ["daemon-reload", "restart"])
def test_what_writes_logs_takes_in_a_new_unit_file_that_a_killed_switch_has_written(machine, verb):
    group = Group()
    group.more = [plan.file(f"{plan.LOGS}/main", '{"maxFiles": 1, "maxFileSize": 1000, "onFull": "block"}\n')]
    machine.deploy(job(group))
    writer = "k8s4r-logs.service"
    before = pid(machine, writer)
    program = f"""
from k8s4r_engine.logs import units
from k8s4r_engine.state.robot import Robot
from k8s4r_engine.system import own, systemd

def as_of_another_version(engine, program, content=units.content):
    return content(engine, program) + "[Service]\\nEnvironment=NEW=1\\n"

def need(argv, timeout=60, need=systemd.need):
    if KILLED and {verb!r} in argv:
        raise SystemExit(9)
    return need(argv, timeout=timeout)

units.content = as_of_another_version
systemd.need = need
units.ensure(Robot())
"""
    assert machine.script(f"KILLED = True{program}").status == 9
    assert pid(machine, writer) == before
    for again in (True, False):
        assert machine.script(f"KILLED = False{program}").status == 0
        now = pid(machine, writer)
        assert (now != before) is again
        before = now
    assert "NEW=1" in environment(machine, writer)


def test_killed_in_its_unit_it_goes_on_by_itself(machine):
    group = Group()
    machine.sh("rm -f /run/goes-on")
    group.more = [plan.unit("k8s4r-init-slow.service", WAITING, run="init")]
    release = machine.prepare(job(group))["release"]
    assert machine.call(op="switch", release=release)["status"] == "pending"
    machine.sh(f"systemctl kill -s KILL k8s4r-switch-{release}.service; touch /run/goes-on")
    done = machine.finish(machine.call(op="poll", release=release))
    assert done["status"] == "committed", done
    assert machine.ask(job(group)) == {"status": "unchanged"}


@pytest.mark.parametrize(
    ("step", "status"), [("healthy", "rolled-back"), ("remove", "committed")], ids=["before all is well", "before the old one is removed"]
)
def test_a_real_boot_in_the_middle_of_a_switch(machine, step, status):
    old, new = old_and_new()
    machine.deploy(job(old))
    release = machine.prepare(job(new))["release"]
    assert drive(machine, release, kill_before=step) is None
    machine.fleet.power_cut(machine.name)
    machine.fleet.start(machine.name)
    machine.fleet.wait_ssh(machine.name)
    assert machine.sh("systemctl is-system-running --wait").strip() == "running"
    assert machine.call(op="poll", release=release)["status"] == status
    assert_whole(machine, *((old, new) if status == "rolled-back" else (new, old)))
