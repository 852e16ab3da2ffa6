# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a task ends, on every systemd that we support: who is asked, by which signal, how often, and what is left."""

from __future__ import annotations

import re
import typing as t

from tests.integration.compile.jobs import plans, shell, without_groups
from tests.integration.engine.harness import Machine

# By their names in the jobs below.
WAYS: dict[str, dict[str, t.Any]] = {"exec": {}, "rawexec": {"driver": "raw_exec"}, "group": {"isolation": {"pid": "group"}}}

# A launcher and its node. Each notes every signal that it gets; the launcher hands none on, waits for its node, and drains.
LAUNCHER = """
import os, pathlib, signal, sys, time
notes = pathlib.Path(os.environ["NOMAD_ALLOC_DIR"])
asked = []
def note(number, _frame):
    asked.append(number)
    with open(notes / (os.environ["NOMAD_TASK_NAME"] + "." + who), "a") as stream:
        stream.write(signal.Signals(number).name + " ")
who = "launcher"
number = getattr(signal, sys.argv[1])
for each in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGUSR1, signal.SIGRTMIN):
    signal.signal(each, note)
node = os.fork()
if not node:
    who = "node"
    # What leaves the session is still of the task.
    os.setsid()
    while number not in asked:
        time.sleep(0.05)
    sys.exit()
(notes / (os.environ["NOMAD_TASK_NAME"] + ".up")).touch()
while number not in asked:
    time.sleep(0.05)
end = time.monotonic() + 1
while time.monotonic() < end:
    time.sleep(0.05)
(notes / (os.environ["NOMAD_TASK_NAME"] + ".drained")).touch()
"""

# For the node, in place of its wait: as many processes as it gets.
FILL = """    sys.exit()
if True:
    held = []
    while True:
        try:
            child = os.fork()
        except OSError:
            break
        if not child:
            while True:
                time.sleep(1)
        held.append(child)
    (notes / (os.environ["NOMAD_TASK_NAME"] + ".filled")).touch()
"""

SIGNALS = ("SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP", "SIGUSR1", "SIGRTMIN")


def task(name: str, signal: str, way: str = "exec", **keys: t.Any) -> dict[str, t.Any]:
    program = {"command": "/usr/bin/python3", "args": ["-I", "-S", "-c", LAUNCHER, signal]}
    return {"name": name, "config": {"execConfig": program}, "killSignal": signal, "killTimeout": "20s", **WAYS[way], **keys}


def planned(machine: Machine, *tasks: dict[str, t.Any]) -> dict[str, t.Any]:
    (plan,) = plans(machine, {"name": "stop", "taskGroups": [{"name": "g", "tasks": tasks}]})
    return plan


def up(machine: Machine, *tasks: dict[str, t.Any]) -> tuple[dict[str, t.Any], str]:
    """Deploy a job of these tasks and wait until all are up; the plan, and the directory of their notes."""
    plan = planned(machine, *tasks)
    assert machine.deploy(plan)["status"] == "committed"
    alloc = machine.sh("echo /var/lib/k8s4r/groups/stop-g-*/alloc").strip()
    names = " ".join(f"{alloc}/{each['name']}.up" for each in tasks)
    machine.until(f"ls {names} >/dev/null 2>&1")
    # So that a test may ask for what is left of them.
    machine.sh("pgrep -f NOMAD_ALLOC_DIR")
    return plan, alloc


def units(plan: dict[str, t.Any]) -> list[str]:
    return [r["name"] for r in plan["groups"][0]["resources"] if r["kind"] == "unit" and r.get("run") == "always" and "-task-" in r["name"]]


def states(machine: Machine, plan: dict[str, t.Any]) -> set[str]:
    return {machine.sh(f"systemctl show -p ActiveState -p Result --value {name}").replace("\n", " ").strip() for name in units(plan)}


def test_the_program_alone_is_asked_once_and_may_drain(machine):
    """A launcher that hands the signal on must not find that its nodes have it already; of some signals `unshare` would die."""
    tasks = [task(f"{way}-{signal.lower()}", signal, way) for way in WAYS for signal in SIGNALS]
    plan, alloc = up(machine, *tasks)
    machine.sh(f"systemctl stop {' '.join(units(plan))}")
    for each in tasks:
        machine.sh(f"test -e {alloc}/{each['name']}.drained")
        assert machine.sh(f"cat {alloc}/{each['name']}.launcher").split() == [each["killSignal"]], each["name"]
        machine.absent(f"test -e {alloc}/{each['name']}.node")
    assert states(machine, plan) == {"success inactive"}
    machine.gone("NOMAD_ALLOC_DIR")
    # Of this the log of a task says nothing.
    machine.absent(f"journalctl --sync; journalctl -o cat {' '.join('-u ' + name for name in units(plan))} | grep -w Killed")


def test_a_program_among_the_robots_processes_is_asked_once_too(machine):
    plan, alloc = up(machine, task("one", "SIGQUIT", isolation={"pid": "host"}))
    machine.sh(f"systemctl stop {units(plan)[0]}")
    assert machine.sh(f"cat {alloc}/one.launcher").split() == ["SIGQUIT"]
    machine.sh(f"test -e {alloc}/one.drained")
    assert states(machine, plan) == {"success inactive"}


def test_a_task_that_gets_namespaces_and_has_them_no_longer_is_asked_in_its_own_way(machine):
    """By the unit that started it: the new one would kill it at once, or ask whom it does not reach."""
    _plan, alloc = up(machine, task("turns", "SIGUSR1", "rawexec"))
    for way in ("exec", "rawexec", "group"):
        machine.sh(f"rm {alloc}/turns.*")
        result = machine.deploy(planned(machine, task("turns", "SIGUSR1", way)))
        assert (result["status"], result["notices"]) == ("committed", []), result
        assert machine.sh(f"cat {alloc}/turns.launcher").split() == ["SIGUSR1"], way
        machine.sh(f"test -e {alloc}/turns.drained")
        machine.until(f"ls {alloc}/turns.up >/dev/null 2>&1")


def test_a_program_without_a_handler_ends_when_it_is_asked_and_a_shell_can_have_one(machine):
    """Of a signal that was ignored when they started, neither would know anything."""
    script = "trap 'touch $NOMAD_ALLOC_DIR/handled; exit' TERM; touch $NOMAD_ALLOC_DIR/$NOMAD_TASK_NAME.up; while :; do sleep 0.1; done"
    plain = "touch $NOMAD_ALLOC_DIR/$NOMAD_TASK_NAME.up; exec sleep 1000"
    scripts = (("traps", script), ("plain", plain))
    tasks = [shell(f"{name}-{way}", text, killTimeout="20s", **keys) for way, keys in WAYS.items() for name, text in scripts]
    plan, alloc = up(machine, *tasks)
    machine.sh(f"timeout 100 systemctl stop {' '.join(units(plan))}")
    machine.sh(f"test -e {alloc}/handled")
    assert states(machine, plan) == {"success inactive"}


def test_root_is_asked_like_any_other(machine):
    plan, alloc = up(machine, task("one", "SIGQUIT", user="root"))
    machine.sh(f"systemctl stop {units(plan)[0]}")
    machine.sh(f"test -e {alloc}/one.drained")


def test_all_processes_are_asked_where_the_job_says_so(machine):
    plan, alloc = up(machine, *(task(way, "SIGUSR1", way, killMode="all") for way in WAYS))
    machine.sh(f"systemctl stop {' '.join(units(plan))}")
    for way in WAYS:
        for who in ("launcher", "node"):
            # Of raw_exec, systemd asks those again that are left when the program has ended.
            assert set(machine.sh(f"cat {alloc}/{way}.{who}").split()) == {"SIGUSR1"}, (way, who)
    assert states(machine, plan) == {"success inactive"}


def test_of_tasks_that_share_processes_the_one_that_is_stopped_is_asked_alone(machine):
    whom = ("main", "all")
    plan, alloc = up(machine, *(task(name, "SIGUSR1", "group", killMode=name) for name in whom), task("stays", "SIGUSR1", "group"))
    for number, name in enumerate(whom):
        machine.sh(f"systemctl stop {units(plan)[number]}")
        machine.sh(f"test -e {alloc}/{name}.drained")
        assert [machine.state(unit) for unit in units(plan)] == ["inactive"] * (number + 1) + ["active"] * (2 - number)
        machine.absent(f"ls {alloc} | grep -E '({'|'.join((*whom[number + 1 :], 'stays'))})[.](launcher|node)'")


def test_a_program_that_does_not_end_is_killed_with_all_that_it_started_and_that_is_said(machine):
    # It waits for another signal than the one by which it is asked.
    deaf = [task(way, "SIGPWR", way, killSignal="SIGUSR1", killTimeout="10s") for way in WAYS]
    deaf += [task(f"late-{way}", "SIGPWR", way, killSignal="SIGUSR1", killTimeout="10s", shutdownDelay="1s") for way in WAYS]
    plan, alloc = up(machine, *deaf)
    machine.sh(f"systemctl stop {' '.join(units(plan))}")
    assert states(machine, plan) == {"timeout failed"}
    for each in deaf:
        assert machine.sh(f"cat {alloc}/{each['name']}.launcher").split() == ["SIGUSR1"]
    machine.gone("NOMAD_ALLOC_DIR")


def test_a_task_goes_on_for_its_shutdown_delay_and_is_then_asked_as_ever(machine):
    tasks = [task(f"{way}-{whom}", "SIGUSR1", way, killMode=whom, shutdownDelay="3s") for way in WAYS for whom in ("main", "all")]
    plan, alloc = up(machine, *tasks)
    asked = float(machine.sh("date +%s.%N"))
    machine.sh(f"systemctl stop {' '.join(units(plan))}")
    for each in tasks:
        for who in ("launcher", "node") if each["killMode"] == "all" else ("launcher",):
            assert float(machine.sh(f"stat -c %.9Y {alloc}/{each['name']}.{who}")) - asked >= 3, (each["name"], who)
            assert machine.sh(f"cat {alloc}/{each['name']}.{who}").split() == ["SIGUSR1"], (each["name"], who)
        if each["killMode"] == "main":
            machine.absent(f"test -e {alloc}/{each['name']}.node")
        machine.sh(f"test -e {alloc}/{each['name']}.drained")
    assert states(machine, plan) == {"success inactive"}
    machine.gone("NOMAD_ALLOC_DIR")


def test_a_task_that_ends_within_its_shutdown_delay_is_not_waited_for(machine):
    plan, _alloc = up(machine, *(task(way, "SIGTERM", way, shutdownDelay="1000s") for way in WAYS))
    machine.sh(f"systemctl --no-block stop {' '.join(units(plan))}")
    for unit in units(plan):
        machine.until(f"systemctl show -p ActiveState -p SubState --value {unit} | grep -qx stop")
    machine.sh("pgrep -f NOMAD_ALLOC_DIR")
    machine.sh("pkill -TERM -f '[N]OMAD_ALLOC_DIR.*SIGTERM'")
    machine.down(*units(plan))
    assert states(machine, plan) == {"success inactive"}


def test_a_task_that_is_stopped_before_its_program_runs_harms_nothing_of_the_robot(machine):
    """Until then its main process is in the robot's own PID namespace: as this one is, which takes its place."""
    plan, _alloc = up(machine, task("one", "SIGTERM", killMode="all"))
    machine.sh("systemd-run --quiet --unit k8stest-witness sleep 1000")
    try:
        for whom in ("main", "all"):
            stop = f"MAINPID=$(systemctl show -p MainPID --value k8stest-witness) sh /etc/k8s4r/groups/stop-g-*/bin/stop-program 15 {whom}"
            machine.sh(f"timeout 100 sh -c '{stop}'")
            assert machine.state("k8stest-witness") == "active"
            assert {machine.state(name) for name in units(plan)} == {"active"}
    finally:
        machine.sh("systemctl stop k8stest-witness")


def test_a_task_at_its_limit_of_processes_is_asked_too(machine):
    """What asks it is a process of the same unit."""
    full = [task(name, "SIGTERM", name, resources={"tasks": 8}) for name in ("exec", "group")]
    full += [task(f"late-{name}", "SIGTERM", name, resources={"tasks": 8}, shutdownDelay="0.1s") for name in ("exec", "rawexec")]
    for each in full:
        # It starts what it may.
        each["config"]["execConfig"]["args"][3] = LAUNCHER.replace("    sys.exit()\n", FILL, 1)
    plan, alloc = up(machine, *full)
    for each, unit in zip(full, units(plan), strict=True):
        machine.until(f"[ -e {alloc}/{each['name']}.filled ]")
        machine.sh(f"systemctl stop {unit}")
        assert machine.sh(f"cat {alloc}/{each['name']}.launcher").split() == ["SIGTERM"]
        machine.sh(f"test -e {alloc}/{each['name']}.drained")


def test_no_time_at_all_is_a_stop_at_once(machine):
    """And neither the 5 s of a task that says nothing, nor systemd's 90 s, nor no limit, which is what 0 means to systemd."""
    deaf = [task(way, "SIGPWR", way, killSignal="SIGUSR1", killTimeout="0s") for way in WAYS]
    plan, alloc = up(machine, *deaf)

    def longest() -> float:
        machine.sh(f"systemctl start {' '.join(units(plan))}")
        machine.until(f"[ $(ls {alloc}/*.up | wc -l) = {len(deaf)} ]")
        machine.sh(f"rm {alloc}/*.up; timeout 100 systemctl stop {' '.join(units(plan))}")
        assert states(machine, plan) == {"timeout failed"}
        shown = [
            machine.sh(f"systemctl show -p ActiveExitTimestampMonotonic -p InactiveEnterTimestampMonotonic {name}") for name in units(plan)
        ]
        times = [dict(line.split("=") for line in each.splitlines()) for each in shown]
        return max(int(each["InactiveEnterTimestampMonotonic"]) - int(each["ActiveExitTimestampMonotonic"]) for each in times) / 1e6

    # A machine that stands still for seconds does not do so each time.
    assert any(longest() < 4 for _try in range(3))
    machine.gone("NOMAD_ALLOC_DIR")


def test_the_longest_run_ends_as_a_stop_does(machine):
    tasks = [task(way, "SIGQUIT", way, timeout="8s") for way in WAYS]
    (plan,) = plans(machine, {"name": "stop", "taskGroups": [{"name": "g", "tasks": tasks}]})
    assert machine.deploy(plan)["status"] == "committed"
    alloc = machine.sh("echo /var/lib/k8s4r/groups/stop-g-*/alloc").strip()
    for way in WAYS:
        note = f"{alloc}/{way}"
        machine.until(f"[ -e {note}.drained ]")
        assert set(machine.sh(f"cat {note}.launcher").split()) == {"SIGQUIT"}
    assert machine.deploy(without_groups(plan))["status"] == "committed"


def test_a_run_says_which_program_it_had_to_kill(machine):
    """systemd forgets it with the next start."""

    def tasks(value: str) -> list[dict[str, t.Any]]:
        deaf = "trap '' TERM; touch $NOMAD_ALLOC_DIR/$NOMAD_TASK_NAME.up; while :; do sleep 1; done"
        return [shell(name, deaf, killTimeout="1s", env={"VALUE": value}) for name in ("deaf", "goes")] + [
            task("hears", "SIGTERM", env={"VALUE": value})
        ]

    up(machine, *tasks("one"))
    (plan,) = plans(machine, {"name": "stop", "taskGroups": [{"name": "g", "tasks": [tasks("two")[0], tasks("two")[2]]}]})
    result = machine.deploy(plan)
    assert result["status"] == "committed"
    what = "its program did not end when it was asked to, and was killed"
    goes, deaf = sorted(result["notices"], key=len)
    assert re.fullmatch(rf"k8s4r-task-stop-g-r0-goes-\w+\.service: {what}", goes)
    assert re.fullmatch(rf"r0 deaf \(k8s4r-task-stop-g-r0-deaf-\w+\.service\): {what}", deaf)
