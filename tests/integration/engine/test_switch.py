# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a switch touches, and that a check says the same beforehand."""

from __future__ import annotations

import json

from ansible_collections.k8s4r.robot.plugins.module_utils._engine import plan
from ansible_collections.k8s4r.robot.plugins.plugin_utils.transport.packing import PACKAGE
from tests.integration.engine.harness import environment, pid
from tests.integration.engine.plans import SLEEP, Group, job


def two_tasks():
    group = Group()
    group.tasks = {"one": (SLEEP, "A=1"), "two": (SLEEP, "B=1")}
    return group


def test_first_deploy_then_unchanged(machine):
    group = two_tasks()
    assert machine.ask(job(group), check=True) == {"status": "plan-needed"}
    check = machine.prepare(job(group), check=True)
    assert machine.sh("ls -A /var/lib/k8s4r /etc/k8s4r /run/k8s4r 2>/dev/null || true").split() in ([], ["/var/lib/k8s4r:"])
    done = machine.deploy(job(group))
    assert done["status"] == "committed", done
    assert done["changes"] == check["steps"]
    assert machine.ask(job(group)) == {"status": "unchanged"}
    assert "A=1" in environment(machine, group.unit("one"))
    assert machine.sh(f"stat -c '%U %G %a' {group.data('one')} {group.env('one')}").splitlines() == [
        f"{group.user} {group.user} 750",
        "root root 600",
    ]


def test_what_an_engine_that_has_just_come_compiles_is_not_compiled_again(machine):
    machine.ask(job(two_tasks()))
    assert machine.sh(f"cd {machine.engine}/{PACKAGE}/requests/__pycache__ && ls main.*.pyc")


def test_editing_one_task_restarts_that_task_alone(machine):
    group = two_tasks()
    machine.deploy(job(group))
    before = {task: pid(machine, group.unit(task)) for task in group.tasks}
    group.tasks["one"] = (SLEEP, "A=2")
    check = machine.prepare(job(group), check=True)
    assert check["steps"] == [f"change file {group.env('one')} (content)", f"restart {group.unit('one')}"]
    assert [(entry["before"], entry["after"]) for entry in check["diff"]] == [("A=1\n", "A=2\n")]
    assert machine.deploy(job(group))["changes"] == check["steps"]
    after = {task: pid(machine, group.unit(task)) for task in group.tasks}
    assert after["two"] == before["two"]
    assert after["one"] != before["one"]
    assert "A=2" in environment(machine, group.unit("one"))


def test_adding_and_removing_a_task_leaves_the_others_alone(machine):
    group = two_tasks()
    machine.deploy(job(group))
    before = pid(machine, group.unit("one"))
    del group.tasks["two"]
    group.tasks["three"] = (SLEEP, "C=1")
    check = machine.prepare(job(group), check=True)
    done = machine.deploy(job(group))
    assert done["status"] == "committed", done
    assert done["changes"] == check["steps"]
    assert pid(machine, group.unit("one")) == before
    machine.absent(f"test -e {group.data('two')} || test -e {group.env('two')}")
    assert machine.state(group.unit("two")) == "inactive"
    assert machine.ask(job(group)) == {"status": "unchanged"}


def test_removing_the_job_leaves_nothing(machine):
    group = two_tasks()
    machine.deploy(job(group))
    gone = plan.job("default", "shop", [])
    done = machine.deploy(gone)
    assert done["status"] == "committed", done
    state = " ".join(f"/var/lib/k8s4r/{name}" for name in ("tasks", "ledger", "store", "releases"))
    machine.absent(f"ls -A /etc/k8s4r/groups {state} | grep -v : | grep .")
    machine.absent("ls /etc/systemd/system /etc/systemd/system/multi-user.target.wants | grep k8s4r-[^r]")
    machine.absent(f"id {group.user}")
    machine.absent("systemctl list-units --all --no-legend 'k8s4r-task*' 'k8s4r-group*' | grep .")
    assert machine.ask(gone) == {"status": "plan-needed"}
    assert machine.prepare(gone)["status"] == "recorded"


def test_data_is_kept_when_asked_for_and_found_again(machine):
    group = two_tasks()
    machine.deploy(job(group))
    machine.sh(f"echo precious > {group.data('one')}/file; chown {group.user}: {group.data('one')}/file")
    gone = plan.job("default", "shop", [])
    assert machine.deploy(gone, keep_data=True)["status"] == "committed"
    assert machine.ask(gone, keep_data=True) == {"status": "unchanged"}
    assert machine.sh(f"cat {group.data('one')}/file; id -un {group.user}").split() == ["precious", group.user]
    assert machine.state(group.unit("one")) == "inactive"
    assert machine.deploy(job(group))["status"] == "committed"
    assert machine.sh(f"cat {group.data('one')}/file").strip() == "precious"
    assert machine.deploy(gone)["status"] == "committed"
    machine.absent(f"test -e {group.data('one')} || id {group.user}")


def test_drift_is_seen_and_mended(machine):
    group = two_tasks()
    machine.deploy(job(group))
    harm = {
        f"echo A=3 > {group.env('one')}": f"restart {group.unit('one')}",
        f"chmod 644 {group.env('one')}": f"change file {group.env('one')} (mode)",
        f"systemctl stop {group.unit('two')}": f"start {group.unit('two')} (down since 20",
        f"rm /etc/systemd/system/{group.unit('two')}; systemctl daemon-reload": f"create unit {group.unit('two')}",
        f"chown root {group.data('two')}": f"change directory {group.data('two')} (owner)",
        f"rm /etc/systemd/system/multi-user.target.wants/{group.target}": "create link",
    }
    for command, step in harm.items():
        machine.sh(command)
        assert machine.ask(job(group)) == {"status": "plan-needed"}, command
        done = machine.deploy(job(group))
        assert done["status"] == "committed", (command, done)
        assert any(step in change for change in done["changes"]), (command, done)
        assert machine.ask(job(group)) == {"status": "unchanged"}, command


def test_what_has_lost_its_file_and_runs_on_is_stopped_all_the_same(machine):
    group = two_tasks()
    machine.deploy(job(group))
    lost = f"rm /etc/systemd/system/{group.unit('one')}; systemctl daemon-reload"
    machine.sh(lost)
    before = pid(machine, group.unit("one"))
    done = machine.deploy(job(group))
    assert done["status"] == "committed", done
    again = pid(machine, group.unit("one"))
    assert again not in ("0", before)
    machine.sh(lost)
    assert machine.deploy(plan.job("default", "shop", []))["status"] == "committed"
    assert machine.state(group.unit("one")) == "inactive"
    machine.absent(f"test -e /proc/{again}")


def test_another_controller_finds_all_as_it_should_be(machine):
    group = two_tasks()
    machine.deploy(job(group))
    before = pid(machine, group.unit("one"))
    assert machine.ask(job(group), digest="other") == {"status": "plan-needed"}
    prepared = machine.prepare(job(group), digest="other")
    assert (prepared["status"], prepared["steps"]) == ("recorded", [])
    assert machine.ask(job(group), digest="other") == {"status": "unchanged"}
    assert pid(machine, group.unit("one")) == before


def test_a_robot_has_a_job_only_when_its_registration_entries_are_there(machine):
    """They are created between prepare and switch. A run that ends there has not noted that all is done."""
    group = two_tasks()
    machine.deploy(job(group), digest="plan.entries")
    before = pid(machine, group.unit("one"))
    for _run in range(2):
        prepared = machine.prepare(job(group), digest="plan.others")
        assert (prepared["status"], prepared["steps"]) == ("staged", [])
    assert machine.ask(job(group), digest="plan.others") == {"status": "plan-needed"}
    done = machine.deploy(job(group), digest="plan.others")
    assert (done["status"], done["changes"]) == ("committed", [])
    assert machine.ask(job(group), digest="plan.others") == {"status": "unchanged"}
    assert machine.prepare(job(group), digest="another.others")["status"] == "recorded"
    assert pid(machine, group.unit("one")) == before


def test_a_file_of_members_never_lacks_one_that_is_referred_to(machine):
    group = two_tasks()

    def members(*names):
        return json.dumps({"resources": [{"name": name} for name in names]})

    path = f"/etc/k8s4r/groups/{group.id}/cds.json"
    group.more = [plan.file(path, members("a", "b"), union="resources")]
    machine.deploy(job(group))
    group.more = [plan.file(path, members("b", "c"), union="resources")]
    group.tasks["one"] = (SLEEP, "A=9")
    release = machine.prepare(job(group))["release"]
    watched = machine.script(f"""
import json
from k8s4r_engine.change import perform, switch
from k8s4r_engine.state.robot import Robot

class Watched(perform.Performer):
    def perform(self, step):
        super().perform(step)
        if step["do"] in ("extend", "make"):
            print(*[member["name"] for member in json.load(open({path!r}))["resources"]])

switch.run(Robot(), {release!r}, lambda text: None, Watched)
""")
    # First what the plan names before it: nothing there refers to it.
    assert watched.stdout.splitlines() == ["a b", "b c a", "b c"]


def test_status_says_what_runs(machine):
    group = two_tasks()
    machine.deploy(job(group))
    status = machine.call(op="status")
    (found,) = status["jobs"]
    assert (found["namespace"], found["name"], found["whole"]) == ("default", "shop", True)
    unit = found["groups"][group.id]["units"][group.unit("one")]
    assert (unit["state"], unit["restarts"], unit["well"], unit["how"], unit["ended"]) == ("active", 0, True, None, None)
    assert unit["usage"]["memory"]["current"] > 0
    assert unit["since"].startswith("20")


def test_an_unchanged_answer_asks_systemd_over_dbus_and_systemctl_where_there_is_no_bus(machine):
    group = two_tasks()
    machine.deploy(job(group))
    asked = "/run/asked"
    machine.sh(f'printf \'#!/bin/sh\necho "$@" >> {asked}\nexec /bin/systemctl "$@"\n\' > /usr/local/sbin/systemctl')
    machine.sh("chmod +x /usr/local/sbin/systemctl")
    try:
        # It does not wait for a bus that gives no answer within 2 s, as on a machine that stands still.
        for _try in range(3):
            machine.sh(f"rm -f {asked}")
            assert machine.ask(job(group)) == {"status": "unchanged"}
            if machine.execute(f"test -e {asked}").status:
                break
        machine.absent(f"test -e {asked}")
        machine.sh("mv /run/dbus/system_bus_socket /run/dbus/away")
        assert machine.ask(job(group)) == {"status": "unchanged"}
        assert group.unit("one") in machine.sh(f"cat {asked}")
    finally:
        machine.sh(f"rm -f /usr/local/sbin/systemctl {asked}; test ! -e /run/dbus/away || mv /run/dbus/away /run/dbus/system_bus_socket")


def test_a_unit_that_systemd_has_not_read_since_it_was_written_is_not_unchanged(machine):
    group = two_tasks()
    machine.deploy(job(group))
    machine.sh(f"touch -d '1 hour' /etc/systemd/system/{group.unit('one')}")
    assert machine.ask(job(group)) == {"status": "plan-needed"}
    machine.sh("systemctl daemon-reload")
    assert machine.ask(job(group)) == {"status": "unchanged"}
