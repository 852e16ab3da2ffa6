# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that end while, or just after, they are told of changed files; and who does not wait for others to tell them."""

from __future__ import annotations

import contextlib
import typing as t

import pytest

from tests.integration.compile.conftest import ENDS, each_of
from tests.integration.compile.jobs import job, plans, shell
from tests.integration.compile.test_templates import STILL, alloc, deployed, seen, template, unit
from tests.integration.engine.harness import Machine

machine = each_of(ENDS)

ENDED_BY_IT = "its program ended when it was told of changed files ({})"
AGAIN = {"restartPolicy": {"attempts": 3, "delay": "0s", "mode": "fail"}}


def signalled(text: str) -> dict[str, t.Any]:
    return template("local/watched", text, changeMode="signal", changeSignal="SIGHUP")


@contextlib.contextmanager
def slow_reloads(machine: Machine, seconds: int) -> t.Iterator[None]:
    """As on a robot that has no time for the end of a reload. (What is said of one unit alone would be taken for damage.)"""
    place = "/run/systemd/system/k8s4r-task-.service.d"
    machine.sh(f"mkdir -p {place}; printf '[Service]\\nExecReload=/bin/sleep {seconds}\\n' >{place}/slow.conf; systemctl daemon-reload")
    try:
        yield
    finally:
        machine.sh(f"rm -r {place}; systemctl daemon-reload")


@pytest.mark.parametrize(("attempts", "status", "there"), [(3, "committed", "two"), (0, "rolled-back", "one")])
def test_a_program_that_dies_of_the_signal_before_the_reload_is_over_is_judged_by_its_restart(machine, attempts, status, there):
    """systemd then sees the end of the program before that of the helper, and calls the reload failed."""

    def task(text: str) -> dict[str, t.Any]:
        return shell("dies", STILL, templates=[signalled(text)], restartPolicy={"attempts": attempts, "delay": "0s", "mode": "fail"})

    machine.clean(engine=True)
    deployed(machine, task("one"))
    with slow_reloads(machine, 2):
        result = machine.deploy(job(machine, "web", task("two")))
    assert result["status"] == status, result
    said = [*result["notices"], *result.get("errors", [])]
    assert [line for line in said if ENDED_BY_IT.format("signal SIGHUP") in line], result
    assert not [line for line in said if "could not take in" in line], result
    assert (machine.state(unit(machine, "dies")), seen(machine, "dies", "local/watched")) == ("active", there)


def test_a_program_is_looked_at_from_the_end_of_its_reload(machine):
    script = "trap 'sleep 3.5; exit 1' HUP; touch $NOMAD_ALLOC_DIR/late.up; while :; do sleep 0.1; done"

    def task(text: str) -> dict[str, t.Any]:
        return shell("late", script, templates=[signalled(text)], **AGAIN)

    machine.clean(engine=True)
    deployed(machine, task("one"), update={"minHealthyTime": "2s"})
    with slow_reloads(machine, 3):
        result = machine.deploy(job(machine, "web", task("two"), update={"minHealthyTime": "2s"}))
    assert (result["status"], [ENDED_BY_IT.format("signal SIGHUP") in line for line in result["notices"]]) == ("committed", [True]), result


def test_a_script_that_goes_with_its_program_is_judged_by_the_restart(machine):
    """systemd kills what is left of a unit when its program has ended."""

    def task(text: str) -> dict[str, t.Any]:
        kill = {"command": "/bin/sh", "args": ["-c", "pkill -KILL -x -f 'sleep 1000'; sleep 100"], "timeout": "60s"}
        return shell("dies", STILL, templates=[template("local/watched", text, changeMode="script", changeScript=kill)], **AGAIN)

    machine.clean(engine=True)
    deployed(machine, task("one"))
    result = machine.deploy(job(machine, "web", task("two")))
    assert (result["status"], len(result["notices"])) == ("committed", 1), result
    assert ENDED_BY_IT.format("script /bin/sh") in result["notices"][0]
    assert (machine.state(unit(machine, "dies")), seen(machine, "dies", "local/watched")) == ("active", "two")


def test_a_program_is_told_while_what_it_was_started_after_is_not_up_again(machine):
    """That may take an hour."""
    hears = "trap 'touch $NOMAD_ALLOC_DIR/told' HUP; touch $NOMAD_ALLOC_DIR/hears.up; while :; do sleep 0.1; done"

    def plan(text: str) -> dict[str, t.Any]:
        again = f"[ -e {found}/hears.up ] && [ ! -e {found}/told ]"
        wait = f"rm -f /run/ready; while {again}; do sleep 0.1; done; touch /run/ready; exec sleep 1000"
        step = {**shell("starts", wait, driver="raw_exec"), "daemon": True, "readiness": {"file": "/run/ready", "timeout": "120s"}}
        group = {"name": "g", "initTasks": [step], "tasks": [shell("hears", hears, templates=[signalled(text)])]}
        return plans(machine, {"name": "web", "taskGroups": [group]})[0]

    machine.clean(engine=True)
    found = "/var/lib/k8s4r/groups/web-g-*/alloc"
    assert machine.deploy(plan("one"))["status"] == "committed"
    machine.until(f"[ -e {found}/hears.up ]")
    machine.sh("systemctl stop 'k8s4r-init-web-g-starts-*'")
    result = machine.deploy(plan("two"))
    assert result["status"] == "committed", result
    assert any(line.startswith("refresh ") for line in result["changes"]), result["changes"]
    machine.sh(f"test -e {alloc(machine)}/told")


def test_what_others_want_back_while_it_is_stopped_is_stopped(machine):
    """They end with it, and are started again, with all that they want, before it is down: systemd drops the stop."""
    serves = "rm -f /run/gone; trap 'touch /run/gone; sleep 3; rm /run/gone; exit' TERM; touch /run/ready; while :; do sleep 0.1; done"

    def plan(text: str) -> dict[str, t.Any]:
        step = {
            **shell("serves", serves, driver="raw_exec", env={"VERSION": text}),
            "daemon": True,
            "readiness": {"file": "/run/ready"},
        }
        asks = shell("asks", "touch $NOMAD_ALLOC_DIR/asks.up; until [ -e /run/gone ]; do sleep 0.1; done; exit 1", driver="raw_exec")
        policy = {"attempts": 1000, "interval": "1h", "delay": "100ms", "mode": "fail"}
        group = {"name": "g", "initTasks": [step], "tasks": [{**asks, "restartPolicy": policy}]}
        return plans(machine, {"name": "web", "taskGroups": [group]})[0]

    machine.clean(engine=True)
    machine.sh("rm -f /run/ready /run/gone")
    assert machine.deploy(plan("one"))["status"] == "committed"
    machine.until("ls /var/lib/k8s4r/groups/web-g-*/alloc/asks.up >/dev/null 2>&1")
    result = machine.deploy(plan("two"))
    assert result["status"] == "committed", result
