# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs with a schedule on the oldest systemd and the newest. A test starts what the timer starts, or sets back when it was last due."""

from __future__ import annotations

import re
import typing as t

import pytest

from ansible_collections.k8s4r.robot.plugins.plugin_utils.compile.units.schedule import calendar
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.model.job import Schedule
from tests.integration.compile.conftest import ENDS, each_of
from tests.integration.compile.jobs import job, without_groups
from tests.integration.compile.test_hooks import Noted, says, stays, unit

machine = each_of(ENDS)

# Once a year, in a month that is not this one.
RARELY = "0 0 1 {month} *"


@pytest.fixture
def rarely(machine):
    return RARELY.format(month=(int(machine.sh("date -u +%m")) + 5) % 12 + 1)


def named(plan: dict[str, t.Any], ending: str) -> str:
    return next(r["name"] for r in plan["groups"][0]["resources"] if "-run-" in r.get("name", "") and r["name"].endswith(ending))


def status(machine) -> dict[str, bool]:
    """What `status` has of the units: whether they are well."""
    (found,) = machine.call(op="status")["jobs"]
    (group,) = found["groups"].values()
    return {unit["called"]: unit["well"] for unit in group["units"].values() if unit["called"]}


@pytest.mark.parametrize(
    ("schedule", "times"),
    [
        ("*/20 6-7 28 2-3 *", ["2026-02-28 06:00:00", "2026-02-28 06:20:00", "2026-02-28 06:40:00"]),
        ("0 0 29 2 *", ["2028-02-29 00:00:00", "2032-02-29 00:00:00", "2036-02-29 00:00:00"]),
        ("30 4 */2 * fri-sat", ["2026-03-07 04:30:00", "2026-03-13 04:30:00", "2026-03-21 04:30:00"]),
    ],
)
def test_systemd_takes_the_times_as_cron_means_them(machine, schedule, times):
    (line,) = calendar(Schedule(cron=schedule))
    said = machine.sh(f"TZ=UTC systemd-analyze calendar --iterations=3 --base-time='2026-02-27 12:00:00 UTC' '{line}'")
    found = re.findall(r"(?:Next elapse|#\d+): \w+ ([0-9-]+ [0-9:]+) UTC", said)
    assert found == times, said


def test_the_tasks_run_at_their_times_and_not_when_they_are_deployed(machine, rarely):
    hooks = [stays("shipper", "prestart"), says("prepare", "prestart"), says("report", "poststart"), says("cleanup", "poststop")]
    tasks = [stays("app", until="end"), *hooks]
    plan = job(machine, "timed", *tasks, type="batch", schedule={"cron": rarely})
    assert machine.deploy(plan)["status"] == "committed"
    timer, run = named(plan, ".timer"), named(plan, ".service")
    assert machine.state(timer) == "active"
    assert machine.state(unit(plan, "app")) == "inactive"
    assert machine.ask(plan)["status"] == "unchanged"
    noted = Noted(machine, "timed")

    machine.sh(f"systemctl --no-block start {run}")
    noted.wait("app up")
    assert machine.state(run) == "activating"
    # Its time comes while it runs.
    machine.sh(f"systemctl --no-block start {run}")
    assert noted.lines().count("app up") == 1
    noted.put("end")
    machine.down(run, *(unit(plan, task["name"]) for task in tasks))
    assert sorted(noted.lines()) == sorted(["shipper up", "prepare", "app up", "report", "app ended", "shipper down", "cleanup"])
    assert noted.lines()[-3:] == ["app ended", "shipper down", "cleanup"]
    # And the next time.
    machine.sh(f"systemctl start {run}")
    lines = noted.lines()
    assert [lines.count(line) for line in ("prepare", "report", "app ended", "cleanup")] == [2, 2, 2, 2]
    assert machine.ask(plan)["status"] == "unchanged"
    assert machine.deploy(without_groups(plan))["status"] == "committed"
    machine.absent("ls /var/lib/systemd/timers | grep k8s4r")


def test_a_service_that_a_schedule_starts_from_now_on_is_stopped_and_comes_back(machine, rarely):
    """Its unit is the same one, and the run would take it for one that is under way: for ever."""
    program = says("app", script="exec sleep 1000")
    service, scheduled = job(machine, "turns", program), job(machine, "turns", program, type="batch", schedule={"cron": rarely})
    assert machine.deploy(service)["status"] == "committed"
    assert machine.state(unit(service, "app")) == "active"
    prepared = machine.prepare(scheduled)
    said = [(change["unit"], change["does"], change["why"]) for change in prepared["summary"]]
    assert said == [("r0 app", "stop", ["a schedule starts it"]), ("schedule", "new", [])]
    assert machine.finish(machine.call(op="switch", release=prepared["release"]))["status"] == "committed"
    assert machine.state(unit(service, "app")) == "inactive"
    assert machine.ask(scheduled) == {"status": "unchanged"}
    machine.sh(f"systemctl --no-block start {named(scheduled, '.service')}")
    machine.until(f"systemctl is-active --quiet {unit(service, 'app')}")
    assert machine.deploy(service)["status"] == "committed"
    assert (machine.state(unit(service, "app")), machine.ask(service)) == ("active", {"status": "unchanged"})


def test_a_run_whose_leader_has_run_to_its_end_has_not_failed(machine, rarely):
    """Its end stops the others, by a signal."""
    server = says("server", script="touch $NOMAD_ALLOC_DIR/up; sleep 1000")
    tasks = [server, says("app", leader=True, script="until [ -e $NOMAD_ALLOC_DIR/up ]; do sleep 0.1; done")]
    plan = job(machine, "led", *tasks, type="batch", schedule={"cron": rarely})
    assert machine.deploy(plan)["status"] == "committed"
    machine.sh(f"systemctl start {named(plan, '.service')}")
    assert status(machine) == {"schedule": True, "run": True, "r0 app": True, "r0 server": True}
    (found,) = machine.call(op="status")["jobs"]
    (group,) = found["groups"].values()
    due = {unit["called"]: unit["next"] for unit in group["units"].values() if unit["next"]}
    told = machine.sh(f"systemctl list-timers --no-legend {named(plan, '.timer')} | cut -d' ' -f2,3").split()
    assert due == {"schedule": f"{told[0]}T{told[1]}Z"}


def test_what_was_missed_is_made_up_for_once(machine, rarely):
    plan = job(machine, "missed", says("app"), type="batch", schedule={"cron": rarely})
    assert machine.deploy(plan)["status"] == "committed"
    timer = named(plan, ".timer")
    noted = Noted(machine, "missed")
    machine.absent(f"test -e {noted.alloc}/log")
    machine.sh(f"systemctl stop {timer}; touch -d '3 years ago' /var/lib/systemd/timers/stamp-{timer}; systemctl start {timer}")
    noted.wait("app")
    machine.down(named(plan, ".service"))
    machine.sh(f"systemctl restart {timer}")
    assert machine.state(timer) == "active"
    assert noted.lines() == ["app"]


def test_other_times_start_nothing_that_was_due_by_them_before(machine, rarely):
    plan, other = (job(machine, "moved", says("app"), type="batch", schedule={"cron": cron}) for cron in (rarely, "0 0 1 * *"))
    assert machine.deploy(plan)["status"] == "committed"
    timer = named(plan, ".timer")
    # By the new times it was due since then, and by the old ones it was not.
    machine.sh(f"systemctl stop {timer}; touch -d '40 days ago' /var/lib/systemd/timers/stamp-{timer}; systemctl start {timer}")
    assert machine.deploy(other)["status"] == "committed"
    assert machine.state(timer) == "active"
    assert machine.ask(other) == {"status": "unchanged"}
    assert machine.sh(f"systemctl show --property=ActiveEnterTimestampMonotonic --value {unit(plan, 'app')}").strip() == "0"
    assert machine.state(named(plan, ".service")) == "inactive"
    # What systemd counts from is no older than that.
    machine.sh(f'test -n "$(find /var/lib/systemd/timers/stamp-{timer} -mmin -10)"')


def test_a_time_that_comes_during_a_run_is_passed_over(machine, rarely):
    """The timer counts from the end of the run. By itself, it would count from the time for which it began it."""
    plan = job(machine, "during", says("app"), type="batch", schedule={"cron": rarely})
    assert machine.deploy(plan)["status"] == "committed"
    timer = named(plan, ".timer")
    began = f"systemctl show --property=ActiveEnterTimestampMonotonic --value {timer}"
    before = machine.sh(f"touch -d '3 years ago' /var/lib/systemd/timers/stamp-{timer}; {began}")
    machine.sh(f"systemctl start {named(plan, '.service')}")
    machine.until(f'test "$({began})" != {before.strip()} && systemctl is-active --quiet {timer}')
    machine.sh(f'test -n "$(find /var/lib/systemd/timers/stamp-{timer} -mmin -10)"')


def test_a_run_that_failed_says_so_and_the_next_one_has_all_its_attempts(machine, rarely):
    app = says("app", script="echo try >>$NOMAD_ALLOC_DIR/log; exit 3", restartPolicy={"attempts": 1, "delay": "0s"})
    plan = job(machine, "fails", app, says("cleanup", "poststop"), type="batch", schedule={"cron": rarely})
    assert machine.deploy(plan)["status"] == "committed"
    assert status(machine) == {"schedule": True, "run": True, "r0 app": True, "r0 cleanup": True}
    noted = Noted(machine, "fails")
    for times in (1, 2):
        assert machine.execute(f"systemctl start {named(plan, '.service')}").status != 0
        machine.down(unit(plan, "cleanup"))
        assert noted.lines() == ["try", "try", "cleanup"] * times
        assert status(machine) == {"schedule": True, "run": False, "r0 app": False, "r0 cleanup": True}
    (group,) = machine.call(op="info")["taskgroups"]
    tasks = {task["task"]: task["how"] for task in group["tasks"]}
    how = "its program ended with exit status 3, 2 times; its restart policy has given up, after 1 restart"
    assert (group["well"], tasks) == (False, {"app": how, "cleanup": None})


def test_a_time_zone_that_the_robot_has_not_is_found_before_anything_changes(machine):
    plan = job(machine, "zone", says("app"), type="batch", schedule={"cron": "@daily", "timeZone": "Mars/Olympus_Mons"})
    answer = machine.deploy(plan)
    assert answer["status"] == "refused"
    said = "schedule.timeZone: this robot does not know Mars/Olympus_Mons; install its time zones"
    (error,) = answer["errors"]
    assert said in error
