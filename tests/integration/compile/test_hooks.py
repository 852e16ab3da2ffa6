# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hooks, sidecars and leaders on the oldest systemd and the newest: what runs when, how often, and what ends with what."""

from __future__ import annotations

import typing as t

import pytest

from tests.integration.compile.conftest import ENDS, each_of
from tests.integration.compile.jobs import job, plans, shell, without_groups
from tests.integration.engine.harness import Machine

machine = each_of(ENDS)

LOG = "$NOMAD_ALLOC_DIR/log"
DRIVERS = ("exec", "raw_exec")


def says(name: str, hook: str = "", script: str = "", **keys: t.Any) -> dict[str, t.Any]:
    """A task that notes its name, and then runs to its end."""
    return shell(name, f"{script or ':'}; echo {name} >>{LOG}", **keys, **_lifecycle(hook))


def stays(name: str, hook: str = "", until: str = "", **keys: t.Any) -> dict[str, t.Any]:
    """A task that notes when it starts, and when it is asked to end. It ends by itself, too, with what is in the file `until`."""
    script = f"""
    trap 'echo {name} down >>{LOG}; exit 0' TERM
    echo {name} up >>{LOG}
    until [ -n "{until}" ] && [ -e "$NOMAD_ALLOC_DIR/{until}" ]; do sleep 0.1; done
    echo {name} ended >>{LOG}
    exit "$(cat "$NOMAD_ALLOC_DIR/{until}")"
    """
    return shell(name, script, **keys, **_lifecycle(hook, sidecar=True))


def _lifecycle(hook: str, **keys: t.Any) -> dict[str, t.Any]:
    return {"lifecycle": {"hook": hook, **keys}} if hook else {}


def unit(plan: dict[str, t.Any], name: str) -> str:
    return next(r["name"] for r in plan["groups"][0]["resources"] if r["kind"] == "unit" and r["called"] == f"r0 {name}")


def target(plan: dict[str, t.Any]) -> str:
    return next(r["name"] for r in plan["groups"][0]["resources"] if r.get("name", "").endswith(".target"))


class Noted:
    """What the tasks of a job have noted."""

    def __init__(self, machine: Machine, name: str) -> None:
        self.machine = machine
        self.alloc = machine.sh(f"echo /var/lib/k8s4r/groups/{name}-g-*/alloc").strip()

    def lines(self) -> list[str]:
        return self.machine.sh(f"cat {self.alloc}/log").splitlines()

    def wait(self, line: str, times: int = 1) -> list[str]:
        """Wait until a line has been noted so often."""
        self.machine.until(f"[ $(grep -c -x -e '{line}' {self.alloc}/log) -ge {times} ]")
        return self.lines()

    def put(self, name: str, content: int = 0) -> None:
        """The file that ends a task that waits for it."""
        self.machine.sh(f"echo {content} >{self.alloc}/.{name} && mv {self.alloc}/.{name} {self.alloc}/{name}")


@pytest.mark.parametrize("driver", DRIVERS)
def test_each_hook_has_its_time(machine, driver):
    keys = {"driver": driver}
    tasks = [
        says("cleanup", "poststop", **keys),
        stays("watcher", "poststart", **keys),
        says("register", "poststart", **keys),
        stays("app", leader=True, **keys),
        stays("helper", **keys),
        stays("shipper", "prestart", **keys),
        says("prepare", "prestart", f"until grep -qsx 'shipper up' {LOG}; do sleep 0.1; done", **keys),
    ]
    plan = job(machine, "times", *tasks)
    assert machine.deploy(plan)["status"] == "committed"
    noted = Noted(machine, "times")
    for line in ("app up", "helper up", "shipper up", "watcher up", "register"):
        lines = noted.wait(line)
    assert lines.index("shipper up") < lines.index("prepare") < min(lines.index("app up"), lines.index("helper up"))
    assert "cleanup" not in lines
    began = {name: int(machine.sh(f"systemctl show -p ExecMainStartTimestampMonotonic --value {unit(plan, name)}")) for name in
             ("register", "watcher", "app", "helper")}  # fmt: skip
    assert min(began["register"], began["watcher"]) > max(began["app"], began["helper"])
    assert machine.ask(plan)["status"] == "unchanged"

    machine.sh(f"systemctl stop {target(plan)}")
    machine.down(*(unit(plan, task["name"]) for task in tasks))
    # systemd has one order: what starts after the main tasks is stopped before them.
    assert noted.lines()[len(lines) :] == ["watcher down", "app down", "helper down", "shipper down", "cleanup"]

    machine.sh(f"systemctl start {target(plan)}")
    lines = noted.wait("app up", 2)
    assert lines.count("prepare") == 2
    assert machine.deploy(without_groups(plan))["status"] == "committed"


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_crash_runs_no_hook_and_a_change_runs_them_all(machine, driver):
    def plan(speed: str) -> dict[str, t.Any]:
        app = stays("app", driver=driver, env={"SPEED": speed}, restartPolicy={"delay": "0s"})
        hooks = [says("prepare", "prestart", driver=driver), says("register", "poststart", driver=driver)]
        # It fails, and that is no failure of what comes next.
        last = says("cleanup", "poststop", "trap 'exit 5' EXIT", driver=driver)
        return job(machine, "whole", app, last, *hooks, stays("shipper", "prestart", driver=driver))

    first = plan("slow")
    assert machine.deploy(first)["status"] == "committed"
    noted = Noted(machine, "whole")
    noted.wait("app up")
    machine.sh(f"systemctl kill --signal=KILL {unit(first, 'app')}")
    lines = noted.wait("app up", 2)
    assert [lines.count(name) for name in ("prepare", "register", "cleanup", "shipper up", "shipper down")] == [1, 1, 0, 1, 0]

    answer = machine.deploy(plan("fast"))
    assert answer["status"] == "committed", answer
    noted.wait("register", 2)
    after = noted.wait("app up", 3)[len(lines) :]
    assert after.index("app down") < after.index("shipper down") < after.index("cleanup") < after.index("prepare") < after.index("app up")
    assert machine.ask(plan("fast"))["status"] == "unchanged"


def test_a_poststop_hook_that_goes_runs_when_its_instance_has_stopped(machine):
    """By the new units, it would not follow the others any more. So too where another one takes its place."""
    park, dock = says("park", "poststop"), says("dock", "poststop")
    first, renamed, without = (job(machine, "parks", stays("app"), *hooks) for hooks in ([park], [dock], []))
    assert machine.deploy(first)["status"] == "committed"
    noted = Noted(machine, "parks")
    for plan, went in ((renamed, "park"), (without, "dock")):
        noted.wait("app up")
        machine.sh(f": >{noted.alloc}/log")
        assert machine.deploy(plan)["status"] == "committed"
        noted.wait("app up")
        assert noted.lines() == ["app down", went, "app up"]
        assert machine.ask(plan) == {"status": "unchanged"}


def test_a_prestart_that_fails_brings_the_group_back(machine):
    good = job(machine, "back", stays("app"), says("prepare", "prestart"))
    assert machine.deploy(good)["status"] == "committed"
    noted = Noted(machine, "back")
    noted.wait("app up")
    failing = says("prepare", "prestart", f"echo tried >>{LOG}; echo no map >&2; exit 3", restartPolicy={"attempts": 1, "delay": "0s"})
    answer = machine.deploy(job(machine, "back", stays("app", env={"NEW": "1"}), failing, says("register", "poststart")))
    assert answer["status"] == "rolled-back"
    (error,) = answer["errors"]
    assert "r0 prepare" in error
    assert "its program ended with exit status 3" in error
    assert error.count("no map") == 1
    lines = noted.wait("app up", 2)
    # It was tried again, as its policy has it.
    assert lines.count("tried") == 2
    assert lines.count("app up") == 2
    assert "register" not in lines
    assert machine.ask(good)["status"] in ("unchanged", "plan-needed")


def test_a_hook_that_hangs_is_waited_for_as_long_as_the_job_says(machine):
    hangs = says("prepare", "prestart", "echo waiting for the lidar >&2; sleep 1001")
    (plan,) = plans(
        machine, {"name": "hang", "update": {"healthyDeadline": "10s"}, "taskGroups": [{"name": "g", "tasks": [stays("app"), hangs]}]}
    )
    answer = machine.deploy(plan)
    assert answer["status"] == "rolled-back"
    (error,) = answer["errors"]
    assert "r0 prepare" in error
    assert "has not ended within 10 s; give it a timeout, or raise update.healthyDeadline" in error
    assert "waiting for the lidar" in error
    machine.gone("sleep 1001")


@pytest.mark.parametrize("driver", DRIVERS)
def test_when_the_leader_of_a_batch_job_has_run_to_its_end_so_has_its_instance(machine, driver):
    keys = {"driver": driver}
    tasks = [
        stays("app", until="end", leader=True, **keys),
        stays("other", **keys),
        stays("shipper", "prestart", **keys),
        stays("watcher", "poststart", **keys),
        says("prepare", "prestart", **keys),
        says("cleanup", "poststop", **keys),
    ]
    plan = job(machine, "led", *tasks, type="batch")
    assert machine.deploy(plan)["status"] == "committed"
    noted = Noted(machine, "led")
    for name in ("app", "other", "shipper", "watcher"):
        noted.wait(f"{name} up")
    noted.put("end")
    lines = noted.wait("cleanup")
    machine.down(*(unit(plan, task["name"]) for task in tasks))
    end = lines[lines.index("app ended") :]
    assert end == ["app ended", "watcher down", "other down", "shipper down", "cleanup"]
    # Nothing is left to do: not for a deployment, and not for a boot.
    assert machine.ask(plan)["status"] == "unchanged"
    (group,) = machine.call(op="status")["jobs"][0]["groups"].values()
    assert {each["well"] for each in group["units"].values()} == {True}
    machine.sh(f"systemctl stop {target(plan)} && systemctl start {target(plan)}")
    assert {machine.state(unit(plan, task["name"])) for task in tasks} == {"inactive"}
    assert noted.lines() == lines
    # What is changed runs again, all of it.
    noted.machine.sh(f"rm {noted.alloc}/end")
    again = job(machine, "led", *tasks, type="batch", meta={"run": "2"})
    assert machine.deploy(again)["status"] == "committed"
    assert noted.wait("other up", 2).count("prepare") == 2


def test_the_last_main_task_of_a_batch_job_ends_its_sidecars(machine):
    tasks = [stays("app", until="end"), stays("other", until="end"), stays("slow", until="late"), stays("shipper", "prestart")]
    plan = job(machine, "last", *tasks, says("cleanup", "poststop"), type="batch")
    assert machine.deploy(plan)["status"] == "committed"
    noted = Noted(machine, "last")
    for name in ("app", "other", "slow", "shipper"):
        noted.wait(f"{name} up")
    noted.put("end")
    machine.down(unit(plan, "app"), unit(plan, "other"))
    assert machine.state(unit(plan, "shipper")) == "active"
    noted.put("late")
    assert noted.wait("cleanup")[-3:] == ["slow ended", "shipper down", "cleanup"]
    machine.down(unit(plan, "cleanup"))
    assert machine.ask(plan)["status"] == "unchanged"


@pytest.mark.parametrize("driver", DRIVERS)
def test_when_all_main_tasks_are_given_up_the_sidecars_end_and_the_poststop_hook_runs_once(machine, driver):
    keys = {"driver": driver}
    given_up = {"attempts": 0, "mode": "fail", "interval": "1h", "delay": "0s"}
    # They end together: each may take the other one for up.
    mains = [stays(f"app{number}", until="end", restartPolicy=given_up, **keys) for number in range(3)]
    tasks = [*mains, stays("shipper", "prestart", **keys), says("cleanup", "poststop", "trap 'exit 9' EXIT", **keys)]
    plan = job(machine, "given", *tasks)
    assert machine.deploy(plan)["status"] == "committed"
    noted = Noted(machine, "given")
    noted.wait("shipper up")
    for number in range(3):
        noted.wait(f"app{number} up")
    noted.put("end", 4)
    noted.wait("cleanup")
    machine.down(*(unit(plan, task["name"]) for task in tasks))
    assert noted.lines()[-2:] == ["shipper down", "cleanup"]
    assert noted.lines().count("cleanup") == 1
    (group,) = machine.call(op="status")["jobs"][0]["groups"].values()
    how = {values["called"]: values["how"] for values in group["units"].values()}
    assert how["r0 app0"].endswith("; its restart policy has given up"), how
    assert how["r0 cleanup"] == "its poststop program failed with exit status 9"
    # The next deployment starts the instance as a whole.
    machine.sh(f"rm {noted.alloc}/end")
    assert machine.deploy(plan)["status"] == "committed"
    assert noted.wait("shipper up", 2).count("app2 up") >= 1


def test_a_poststop_hook_that_takes_too_long_is_killed(machine):
    plan = job(machine, "long", stays("app"), says("cleanup", "poststop", "sleep 1000", timeout="1s"))
    assert machine.deploy(plan)["status"] == "committed"
    assert machine.deploy(without_groups(plan))["status"] == "committed"
    machine.gone("sleep 1000")
