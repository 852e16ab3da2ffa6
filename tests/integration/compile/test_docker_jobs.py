# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What else a job may say of containers: scripts of health checks, templates that change, hooks; and the example of the documentation."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
import yaml

from tests.integration.compile.boxes import SOON, box, containers, deployed, job, nothing_runs, unit
from tests.integration.compile.jobs import plans, without_groups
from tests.integration.engine.harness import Machine

EXAMPLE = pathlib.Path(__file__).parents[3] / "examples" / "docker.yml"
# What a program in the container has, and sees.
VIEW = "pwd; id; env | busybox grep -v -e ^K8S4R_CHECK= -e ^SHLVL= | busybox sort; cat /proc/self/cgroup"
VIEW += "; busybox grep -e ^Cap -e ^Seccomp -e ^NoNewPrivs /proc/self/status"


@pytest.fixture
def machine(docker):
    docker.sh("for name in date grep sort; do ln -sf busybox /root/image/bin/$name; done")
    return docker


def alloc(machine: Machine) -> str:
    return machine.sh("echo /var/lib/k8s4r/groups/box-g-*/alloc").strip()


def checked(*checks: tuple[str, str, str]) -> dict[str, t.Any]:
    """A container with these script checks, each with its timeout."""
    common = {"type": "script", "command": "sh", "interval": "1s"}
    made = [{"name": name, "args": ["-c", script], "timeout": timeout, **common} for name, script, timeout in checks]
    # In another directory, and as nobody in particular.
    keys = {"WorkDir": "/alloc", "user": "games", "services": [{"name": "s", "portLabel": "22", "checks": made}]}
    return box(f"({VIEW}) >task.part; busybox mv task.part task; exec sleep 1000", **keys)


def status(machine: Machine) -> dict[str, tuple[str, str]]:
    (found,) = machine.call(op="status")["jobs"]
    (group,) = found["groups"].values()
    return {check["name"]: (check["status"], check["said"]) for check in group["units"][unit(machine)]["checks"]}


def test_a_script_is_as_one_that_the_container_has_started_and_leaves_nothing(machine):
    task = checked(
        # What it leaves behind has its output open, or no more of its variables.
        ("look", f"({VIEW}) >look.part; busybox mv look.part look; sleep 1001 & env -i sleep 1002 & ! test -e ill", "20s"),
        ("slow", "test ! -e slow || sleep 1003", "10s"),
    )
    document = {"name": "box", "taskGroups": [{"name": "g", "tasks": [task]}], "update": {"minHealthyTime": "500ms"}}
    (plan,) = plans(machine, document, secret={"KEY": "it's a $canary"})
    result = machine.deploy(plan)
    assert result["status"] == "committed", result
    place = alloc(machine)
    found = machine.sh(f"cat {place}/look")
    assert found == machine.sh(f"cat {place}/task")
    assert "KEY=it's a $canary\n" in found
    assert "NOMAD_TASK_DIR=/local\n" in found
    assert "canary" not in machine.sh("cat /etc/k8s4r/checks/*; docker inspect $(docker ps -q)")
    machine.until("! pgrep -f 'sleep 100[12]'")
    assert status(machine) == {"look": ("passing", "exit status 0"), "slow": ("passing", "exit status 0")}
    machine.sh(f"touch {place}/ill {place}/slow")
    machine.until('grep -q \'"said":"no result within 10 s"\' /run/k8s4r/checks/*')
    machine.sh(f"rm {place}/slow")
    machine.until("! pgrep -f 'sleep 100[3]'")
    machine.until('grep -q \'"said":"exit status 1"\' /run/k8s4r/checks/*')
    assert status(machine)["look"][0] == "warning"
    # Nothing of all that has made another container.
    assert len(containers(machine)) == 1


# A check, and somebody who ends its container meanwhile.
RUN = """
import os, signal, threading, time
from k8s4r_engine.checks import container
place = {place!r}
check = {{"name": "c", "argv": ["sh", "-c", {script!r}], "timeout": 30.0}}
if {kill!r}:
    def kill():
        time.sleep(1)
        os.kill(int(open(place + "/pid").read()), signal.SIGKILL)
    threading.Thread(target=kill).start()
print(*container.run(check, place))
"""


def test_a_container_that_goes_away_under_its_check_is_no_success(machine):
    deployed(machine, box())
    place = machine.sh("echo /run/k8s4r/containers/*").strip()

    def ran(script: str, kill: bool = False) -> str:
        return machine.script(RUN.format(place=place, script=script, kill=kill)).stdout.strip()

    assert ran("echo well") == "passing exit status 0 well"
    assert ran("/nowhere").startswith("critical exit status 127 ")
    assert ran("trap 'exit 0' TERM; sleep 20", kill=True).startswith("critical ")


def template(place: str, text: str, mode: str, **keys: t.Any) -> dict[str, t.Any]:
    return {"destPath": f"local/{place}", "embeddedTmpl": text, "changeMode": mode, **keys}


def test_a_changed_template_reaches_the_program_in_its_container(machine):
    script = "trap 'cat /local/signal >>/alloc/got' HUP; touch /alloc/up; while :; do sleep 0.1; done"

    def asked(text: str, told: str) -> dict[str, t.Any]:
        command = {"command": "sh", "args": ["-c", f"echo $NOMAD_TASK_DIR $(cat /local/script) >>/alloc/told; {told}"], "timeout": "5s"}
        templates = [
            template("signal", f"{text}\n", "signal", changeSignal="SIGHUP"),
            template("script", text, "script", changeScript=command),
        ]
        return job(machine, box(script, templates=templates))

    assert machine.deploy(asked("one", "true"))["status"] == "committed"
    place, name = alloc(machine), unit(machine)
    machine.until(f"test -e {place}/up")
    before, main = containers(machine), machine.sh(f"systemctl show -p MainPID {name}")
    result = machine.deploy(asked("two", "true"))
    assert result["status"] == "committed", result
    machine.until(f"[ -s {place}/got ]")
    assert machine.sh(f"cat {place}/got {place}/told") == "two\n/local two\n"
    # One that fails has all come back, and told so.
    result = machine.deploy(asked("three", "echo broken; exit 3"))
    assert result["status"] == "rolled-back", result
    assert "the script for local/script: exit status 3: broken" in str(result["errors"]), result
    machine.until(f"[ $(tail -n 1 {place}/got) = two ]")
    assert machine.sh("cat /var/lib/k8s4r/tasks/box-g-r0-t-*/local/script") == "two"
    assert (containers(machine), machine.sh(f"systemctl show -p MainPID {name}")) == (before, main)


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
