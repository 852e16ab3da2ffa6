# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What else a job may say of containers: scripts of health checks, templates that change, hooks; and the example of the documentation."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
import yaml

from tests.integration.compile import housed, inside
from tests.integration.compile.boxes import DOCKER, SOON, box, containers, deployed, job, nothing_runs, said, unit
from tests.integration.compile.inside import alloc
from tests.integration.compile.jobs import plans, shell, without_groups

EXAMPLE = pathlib.Path(__file__).parents[3] / "examples" / "docker.yml"


@pytest.fixture
def machine(docker):

    return docker


def test_a_script_is_as_one_that_the_container_has_started_and_leaves_nothing(machine):
    inside.a_script_is_as_one_that_the_container_has_started_and_leaves_nothing(machine, DOCKER)


def test_a_container_that_goes_away_under_its_check_is_no_success(machine):
    inside.a_container_that_goes_away_under_its_check_is_no_success(machine, DOCKER)


@pytest.mark.parametrize("engine", ["trixie"], indirect=True)
def test_a_container_is_in_the_network_of_its_pod_with_all_that_the_pod_shares(machine):
    housed.a_container_and_a_program_of_a_pod_are_together(machine, DOCKER)


# As soon as the slice of the container has a process, which is that of the container that enters the pod for it.
INTERRUPTED = """
systemctl stop {unit}; systemctl start --no-block {unit}
until cat /sys/fs/cgroup/systemd/k8s4r.slice/*/*-box_g_r0_t_*.slice/*/cgroup.procs 2>/dev/null | grep -q .; do :; done
kill -9 $(systemctl show -p MainPID --value {unit})
"""
SYS_ADMIN = 1 << 21


@pytest.mark.parametrize("engine", ["trixie"], indirect=True)
def test_nothing_but_its_container_is_in_a_pod_whatever_becomes_of_a_start_and_of_docker(machine):
    beside = {"name": "beside", "config": {"execConfig": {"command": "sleep", "args": ["2000"]}}}
    group = {
        "network": {"type": "none", "mode": "group"},
        "restartPolicy": {"attempts": 9, "delay": "1s", "interval": "1h", "mode": "fail"},
    }
    # Docker, when it stops, asks it to end and waits ten seconds.
    plan = deployed(machine, box("trap 'exit 1' TERM; sleep 1000 & wait"), beside, group=group)
    name, (pod,) = unit(machine), (each["id"] for each in housed.pods(plan).values())
    up = f"[ $(systemctl show -p SubState --value {name}) = running ] && [ $(docker ps -aq | wc -l) = 1 ] && {housed.is_in(pod)}"

    def alone() -> None:
        machine.until(up)
        assert "k8s4r.local/pod" not in machine.sh("docker images --all")
        allowed = machine.sh("grep -h CapBnd: /proc/$(cat /run/k8s4r/containers/box-g-r0-t-*/pid)/status").split()[1]
        assert not int(allowed, 16) & SYS_ADMIN

    alone()
    machine.sh(INTERRUPTED.format(unit=name))
    alone()
    others = machine.sh(f"pgrep -fx 'sleep 2000'; systemctl show -p MainPID --value k8s4r-pod-{pod}.service")
    (before,) = containers(machine)
    machine.sh("systemctl restart docker")
    machine.until(f"docker ps -q --no-trunc | grep -q . && ! docker ps -q --no-trunc | grep -q {before}")
    alone()
    assert machine.sh(f"pgrep -fx 'sleep 2000'; systemctl show -p MainPID --value k8s4r-pod-{pod}.service") == others
    assert machine.ask(plan) == {"status": "unchanged"}
    assert machine.deploy(without_groups(plan))["status"] == "committed"
    nothing_runs(machine)


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


# It takes its time, and Docker is told to wait for whatever it wants.
LAST = "echo begins >>/alloc/over; echo $NOMAD_TASK_NAME; if test -e /alloc/hang; then sleep 2000; fi; sleep 0.3; echo ends >>/alloc/over"


def test_the_last_hook_is_a_container_that_has_its_limits_and_runs_at_a_shutdown_too(machine):
    limits = "cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes pids/pids.max memory.max pids.max"
    last = {
        **box(f"({limits}) >/alloc/limits 2>/dev/null; {LAST}", resources={"memory": "64Mi", "tasks": 99}),
        "name": "last",
        "lifecycle": {"hook": "poststop"},
        "timeout": "15s",
    }
    plan = deployed(machine, box(), last)
    place, once = alloc(machine), ["begins", "ends"]
    target = next(each["name"] for each in plan["groups"][0]["resources"] if each.get("name", "").endswith(".target"))
    assert len(containers(machine)) == 1
    assert machine.ask(plan)["status"] == "unchanged"
    for stop in (f"systemctl stop {target}", "systemctl stop k8s4r.slice"):
        machine.sh(stop)
        machine.until(f"grep -qs ends {place}/over")
        assert machine.sh(f"cat {place}/over").split() == once, stop
        assert machine.sh(f"cat {place}/limits").split() == [str(64 << 20), "99"]
        nothing_runs(machine)
        machine.sh(f"rm {place}/over; systemctl start {target}")
        machine.until("pgrep -x sleep >/dev/null")
    machine.fleet.reboot(machine.name)
    machine.until("pgrep -x sleep >/dev/null")
    assert machine.sh(f"cat {place}/over").split() == once
    # One that does not end goes with its time, and without Docker's help.
    machine.sh(f"rm {place}/over; touch {place}/hang; systemctl stop --no-block {target}")
    machine.until("pgrep -x -f 'sleep 2000' >/dev/null")
    machine.sh("mv /usr/sbin/dockerd /usr/sbin/dockerd.away; kill -9 $(pgrep -x dockerd)")
    try:
        machine.until("! pgrep -x sleep >/dev/null")
    finally:
        machine.sh(
            "mv /usr/sbin/dockerd.away /usr/sbin/dockerd; systemctl reset-failed docker.service docker.socket; systemctl start docker"
        )
    nothing_runs(machine)
    assert machine.sh(f"cat {place}/over").split() == once[:1]
    machine.sh(f"rm {place}/hang {place}/over; systemctl start {target}")
    assert machine.deploy(without_groups(plan))["status"] == "committed"
    nothing_runs(machine)


def test_init_tasks_are_containers(machine):
    inside.init_tasks_are_containers(machine, DOCKER)


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


def test_a_task_that_becomes_a_container_and_one_again_is_asked_to_end_in_its_own_way(machine):
    """By the unit that started it: the new one would not know how, and would leave the container behind."""
    script = "trap 'echo asked >{0}/{1}; exit 0' USR1; echo {1} up; while :; do sleep 0.2; done"
    program = {**shell("t", script.format("$NOMAD_ALLOC_DIR", "program")), "killSignal": "SIGUSR1"}
    container = box(script.format("/alloc", "container"), killSignal="SIGUSR1")
    deployed(machine, program)
    for task, before in ((container, "program"), (program, "container")):
        said(machine, f"{before} up")
        result = machine.deploy(job(machine, task))
        assert (result["status"], result["notices"]) == ("committed", []), result
        assert machine.sh(f"cat /var/lib/k8s4r/groups/box-g-*/alloc/{before}") == "asked\n"
    # And on the way back, where it runs and is not well.
    machine.sh("rm /var/lib/k8s4r/groups/box-g-*/alloc/container")
    check = {"name": "c", "type": "tcp", "interval": "1s", "timeout": "1s"}
    unwell = {**container, "services": [{"name": "s", "portLabel": "9", "checks": [check]}]}
    result = machine.deploy(job(machine, unwell, update={"minHealthyTime": "500ms", "healthyDeadline": "20s"}))
    assert (result["status"], result["notices"]) == ("rolled-back", []), result
    assert machine.sh("cat /var/lib/k8s4r/groups/box-g-*/alloc/container") == "asked\n"
    assert machine.sh("docker ps -aq") == ""
