# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Robots that an older engine deployed: taken over by this one, whole or in the middle of a switch."""

from __future__ import annotations

import json
import typing as t

import pytest

from ansible_collections.k8s4r.robot.plugins.module_utils._engine import plan
from tests.integration import former
from tests.integration.engine.harness import Machine, pid, request_of
from tests.integration.engine.interrupted import assert_whole, drive, old_and_new
from tests.integration.engine.plans import job

# The same as interrupted.py's, as that engine's modules are called.
DRIVER = """
import os, signal
from k8s4r_engine import health, perform, switch
from k8s4r_engine.robot import Robot

health.STEADY = 0.2
steps = 0

class Killed(perform.Performer):
    def perform(self, step):
        global steps
        if {kill_before!r} in (steps, step["do"]):
            os.kill(os.getpid(), signal.SIGKILL)
        super().perform(step)
        steps += 1

switch.run(Robot(), {release!r}, lambda text: None, Killed)
print("steps", steps)
"""
UNPACK = "import io, sys, zipfile; zipfile.ZipFile(io.BytesIO(sys.stdin.buffer.read())).extractall(sys.argv[1])"


class Former:
    """The older engine of a robot, kept there as a run of its collection left it."""

    def __init__(self, machine: Machine, digest: str, archive: bytes) -> None:
        self.machine = machine
        self.home = f"/var/lib/k8s4r/engine/{digest}"
        unpack = f"mkdir -p -m 0700 {self.home} && python3 -I -S -c '{UNPACK}' {self.home}"
        assert machine.execute(unpack, archive).status == 0

    def call(self, **request: t.Any) -> dict[str, t.Any]:
        outcome = self.machine.execute(f"python3 -I -S {self.home}/__main__.py", json.dumps(request).encode())
        assert outcome.status == 0, outcome
        return json.loads(outcome.stdout.partition("K8S4R-RESULT\n")[2])

    def finish(self, answer: dict[str, t.Any]) -> dict[str, t.Any]:
        while answer["status"] == "pending":
            answer = self.call(op="poll", release=answer["release"])
        return answer

    def prepare(self, *jobs: dict[str, t.Any]) -> dict[str, t.Any]:
        return self.finish(self.call(**request_of(*jobs), plan=plan.robot(list(jobs))))

    def deploy(self, *jobs: dict[str, t.Any]) -> dict[str, t.Any]:
        return self.finish(self.call(op="switch", release=self.prepare(*jobs)["release"]))

    def drive(self, release: str, kill_before: str | int | None = None) -> int | None:
        """The number of steps that a switch took, or None when it was killed before one of them (a number or a verb)."""
        front = f"import sys; sys.path.insert(0, {self.home!r})\n"
        outcome = self.machine.execute("python3 -I -S -", (front + DRIVER.format(kill_before=kill_before, release=release)).encode())
        assert "Traceback" not in outcome.stderr, outcome.stderr
        return None if outcome.status else int(outcome.stdout.split()[-1])


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    return former.engine(former.build(tmp_path_factory.mktemp("former")))


@pytest.fixture
def older(machine, packed):
    return Former(machine, *packed)


def test_nothing_restarts_and_an_edit_restarts_what_it_is_about(machine, older):
    old, new = old_and_new()
    assert older.deploy(job(old))["status"] == "committed"
    before = {task: pid(machine, old.unit(task)) for task in old.tasks}
    assert machine.ask(job(old)) == {"status": "unchanged"}
    assert machine.prepare(job(old))["status"] == "recorded"
    assert {task: pid(machine, old.unit(task)) for task in old.tasks} == before
    assert machine.deploy(job(new))["status"] == "committed"
    assert pid(machine, new.unit("same")) == before["same"]
    assert pid(machine, new.unit("changed")) != before["changed"]
    assert_whole(machine, new, old)


GONE = plan.job("default", "shop", [])


def test_removal_leaves_nothing(machine, older):
    old, _new = old_and_new()
    older.deploy(job(old))
    assert machine.deploy(GONE)["status"] == "committed"
    machine.absent("cd /var/lib/k8s4r || exit; ls -A ledger store releases tasks groups pending /etc/k8s4r/groups | grep -v :$ | grep .")
    machine.absent("{ systemctl list-units --all --plain --no-legend 'k8s4r-task*'; getent passwd; } | grep ^k8s4r")


@pytest.fixture
def half_way(machine, older):
    """``half_way(step)``: the older engine has died before a step of its switch from the old release to the new; the switch's name."""
    old, new = old_and_new()

    def leave(step: str) -> str:
        # That engine cannot read what this one has committed: it begins on a robot that holds nothing.
        assert machine.deploy(GONE)["status"] in ("committed", "recorded")
        assert older.deploy(job(old))["status"] == "committed"
        release = older.prepare(job(new))["release"]
        assert older.drive(release, kill_before=step) is None
        return release

    return leave


# Steps of that switch, and with them what is done when it dies: the files alone, the restarts, the commit.
FILES, RESTARTS, COMMIT = "stop", "healthy", "remove"


@pytest.mark.parametrize("step", [FILES, RESTARTS, COMMIT])
def test_a_switch_left_half_done_is_finished_by_the_next_run(machine, half_way, step):
    old, new = old_and_new()
    release = half_way(step)
    assert machine.ask(job(new)) == {"status": "plan-needed"}
    prepared = machine.prepare(job(new))
    assert prepared["steps"][0] == f"roll back release {release}, whose switch was interrupted"
    drive(machine, prepared["release"])
    assert_whole(machine, new, old)


@pytest.mark.parametrize(("step", "status"), [(FILES, "rolled-back"), (RESTARTS, "rolled-back"), (COMMIT, "committed")])
def test_a_switch_left_half_done_is_taken_back_at_boot(machine, half_way, step, status):
    old, new = old_and_new()
    release = half_way(step)
    drive(machine, release, recover=True)
    machine.sh("while systemctl list-jobs --no-legend | grep -q k8s4r; do sleep 0.05; done")
    assert machine.call(op="poll", release=release)["status"] == status
    assert_whole(machine, *((old, new) if status == "rolled-back" else (new, old)))


def test_a_run_that_only_prepared_makes_the_boot_unit_its_own(machine, half_way):
    old, new = old_and_new()
    release = half_way(RESTARTS)
    machine.prepare(job(new))
    machine.fleet.power_cut(machine.name)
    machine.fleet.start(machine.name)
    machine.fleet.wait_ssh(machine.name)
    assert machine.sh("readlink /var/lib/k8s4r/engine/current").strip() == machine.engine.rpartition("/")[2]
    assert machine.call(op="poll", release=release)["status"] == "rolled-back"
    machine.sh("rm /var/lib/k8s4r/releases/*")
    assert_whole(machine, old, new)
