# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is run, and told, inside of a container that goes on: the same, whatever engine has started it."""

from __future__ import annotations

import typing as t

from tests.integration.compile.boxes import SOON, Engine, deployed, job, unit
from tests.integration.compile.jobs import plans, without_groups
from tests.integration.engine.harness import Machine

# What a program in the container has, and sees. Of cgroup v1, systemd may have moved a program among those for devices, which it has no
# need of.
VIEW = "pwd; id; env | busybox grep -v -e ^K8S4R_CHECK= -e ^SHLVL= | busybox sort; busybox grep -v :devices: /proc/self/cgroup"
VIEW += "; busybox grep -e ^Cap -e ^Seccomp -e ^NoNewPrivs /proc/self/status"


def alloc(machine: Machine) -> str:
    return machine.sh("echo /var/lib/k8s4r/groups/box-g-*/alloc").strip()


def checked(engine: Engine, *checks: tuple[str, str, str]) -> dict[str, t.Any]:
    """A container with these script checks, each with its timeout."""
    common = {"type": "script", "command": "sh", "interval": "1s"}
    made = [{"name": name, "args": ["-c", script], "timeout": timeout, **common} for name, script, timeout in checks]
    # In another directory, and as nobody in particular.
    keys = {"WorkDir": "/alloc", "user": "games", "services": [{"name": "s", "portLabel": "22", "checks": made}]}
    return engine.box(f"({VIEW}) >task.part; busybox mv task.part task; exec sleep 1000", **keys)


def status(machine: Machine) -> dict[str, tuple[str, str]]:
    (found,) = machine.call(op="status")["jobs"]
    (group,) = found["groups"].values()
    return {check["name"]: (check["status"], check["said"]) for check in group["units"][unit(machine)]["checks"]}


def a_script_is_as_one_that_the_container_has_started_and_leaves_nothing(machine: Machine, engine: Engine) -> None:
    task = checked(
        engine,
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
    assert "canary" not in machine.sh(f"cat /etc/k8s4r/checks/*; {engine.name} inspect $({engine.name} ps -q)")
    machine.until("! pgrep -f 'sleep 100[12]'")
    assert status(machine) == {"look": ("passing", "exit status 0"), "slow": ("passing", "exit status 0")}
    machine.sh(f"touch {place}/ill {place}/slow")
    machine.until('grep -q \'"said":"no result within 10 s"\' /run/k8s4r/checks/*')
    machine.sh(f"rm {place}/slow")
    machine.until("! pgrep -f 'sleep 100[3]'")
    machine.until('grep -q \'"said":"exit status 1"\' /run/k8s4r/checks/*')
    assert status(machine)["look"][0] == "warning"
    # Nothing of all that has made another container.
    assert len(engine.containers(machine)) == 1


# A check, and somebody who ends its container meanwhile.
RUN = """
import os, signal, threading, time
from k8s4r_engine.checks.containers import engines
place = {place!r}
check = {{"name": "c", "argv": {argv!r}, "timeout": 30.0}}
if {kill!r}:
    def kill():
        time.sleep(1)
        os.kill(int(open(place + "/pid").read()), signal.SIGKILL)
    threading.Thread(target=kill).start()
print(*engines.run(check, place, {main}))
"""


def a_container_that_goes_away_under_its_check_is_no_success(machine: Machine, engine: Engine) -> None:
    deployed(machine, engine.box())
    place = machine.sh("echo /run/k8s4r/containers/*").strip()
    main = machine.sh(f"systemctl show -p MainPID --value {unit(machine)}").strip()

    def ran(*argv: str, kill: bool = False) -> str:
        return machine.script(RUN.format(place=place, main=main, argv=argv, kill=kill)).stdout.strip()

    assert ran("sh", "-c", "echo well") == "passing exit status 0 well"
    assert ran("false") == "warning exit status 1"
    assert ran("/nowhere").startswith("critical ")
    assert ran("sh", "-c", "trap 'exit 0' TERM; sleep 20", kill=True).startswith("critical ")


def template(place: str, text: str, mode: str, **keys: t.Any) -> dict[str, t.Any]:
    return {"destPath": f"local/{place}", "embeddedTmpl": text, "changeMode": mode, **keys}


def a_changed_template_reaches_the_program_in_its_container(machine: Machine, engine: Engine) -> None:
    script = "trap 'cat /local/signal >>/alloc/got' HUP; touch /alloc/up; while :; do sleep 0.1; done"

    def asked(text: str, told: str) -> dict[str, t.Any]:
        command = {"command": "sh", "args": ["-c", f"echo $NOMAD_TASK_DIR $(cat /local/script) >>/alloc/told; {told}"], "timeout": "30s"}
        templates = [
            template("signal", f"{text}\n", "signal", changeSignal="SIGHUP"),
            template("script", text, "script", changeScript=command),
        ]
        return job(machine, engine.box(script, templates=templates))

    assert machine.deploy(asked("one", "true"))["status"] == "committed"
    place, name = alloc(machine), unit(machine)
    machine.until(f"test -e {place}/up")
    before, main = engine.containers(machine), machine.sh(f"systemctl show -p MainPID {name}")
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
    assert (engine.containers(machine), machine.sh(f"systemctl show -p MainPID {name}")) == (before, main)


def init_tasks_are_containers(machine: Machine, engine: Engine) -> None:
    """The first step prepares, the second goes on. A hook comes when all have ended."""
    machine.sh("rm -rf /srv/x; mkdir -p /srv/x")
    volumes = [{"source": "/srv/x", "target": "/x"}]

    def whole(first: str) -> dict[str, t.Any]:
        steps = [
            {**engine.box(first, Volumes=volumes), "name": "first"},
            {
                **engine.box("test -e /x/made || exit 9; sleep 1; touch /x/ready; exec sleep 1001", Volumes=volumes),
                "name": "served",
                "daemon": True,
                "readiness": {"file": "/srv/x/ready"},
            },
        ]
        last = {**engine.box("cat /alloc/seen >>/x/over", Volumes=volumes), "name": "last", "lifecycle": {"hook": "poststop"}}
        main = engine.box("cat /x/made /x/ready >/alloc/seen && exec sleep 1000", Volumes=volumes)
        groups = [{"name": "g", "initTasks": steps, "tasks": [main, last]}]
        (plan,) = plans(machine, {"name": "box", "taskGroups": groups, "update": SOON}, secret={"KEY": "canary"})
        return plan

    plan = whole("echo once >>/x/made")
    result = machine.deploy(plan)
    assert result["status"] == "committed", result
    machine.until(f"[ -s {alloc(machine)}/seen ]")
    assert machine.sh(f"cat {alloc(machine)}/seen") == "once\n"
    before = engine.containers(machine)
    assert (len(before), machine.ask(plan)["status"]) == (2, "unchanged")
    # The one that goes on comes again, and nothing else with it.
    machine.sh("pkill -9 -x -f 'sleep 1001'")
    machine.until(f"pgrep -x -f 'sleep 1001' >/dev/null && [ $({engine.name} ps -q | wc -l) = 2 ]")
    assert len(set(before).intersection(engine.containers(machine))) == 1
    machine.absent("test -e /srv/x/over")
    result = machine.deploy(whole("exit 3"))
    assert result["status"] == "rolled-back", result
    machine.until("grep -q once /srv/x/over && pgrep -x -f 'sleep 1000' >/dev/null")
    machine.sh("rm /srv/x/over")
    result = machine.deploy(without_groups(plan))
    assert result["status"] == "committed", result
    assert "once" in machine.sh("cat /srv/x/over")
    engine.nothing_runs(machine)
