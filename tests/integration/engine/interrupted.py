# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A switch that ends at a chosen step, as if its process or its whole robot had died there; and what must be left of it."""

from __future__ import annotations

import json

from ansible_collections.k8s4r.robot.plugins.module_utils._engine import plan
from tests.integration.engine.plans import SLEEP, Group, job

# Performs the steps of a real switch with the kept engine, and kills itself before one of them.
DRIVER = """
import os, signal
from k8s4r_engine.change import perform, switch
from k8s4r_engine.change.health import verdicts
from k8s4r_engine.requests import recover
from k8s4r_engine.state.robot import Robot

verdicts.STEADY = 0.2
steps = []

class Killed(perform.Performer):
    def perform(self, step):
        if {kill_before!r} in (len(steps), step["do"]):
            os.kill(os.getpid(), signal.SIGKILL)
        super().perform(step)
        steps.append(step["do"])

robot = Robot()
if {recover}:
    recover.at_boot(robot)
else:
    switch.run(robot, {release!r}, perform.silence, Killed, spare={spare!r})
print("steps:", *steps)
"""
INIT, ONCE = "k8s4r-init-web.service", "k8s4r-batch-web.service"
HOME = "/var/lib/k8s4r/groups/web"
DONE = f"{HOME}/batch.done"
MEMBERS = f"{HOME}/members.json"
ONESHOT = "[Unit]\nDescription={}\n{}[Service]\nType=oneshot\nExecStart=/bin/true\n{}"


class Release(Group):
    """A group with something of every kind: also a file of members, an init unit and one that runs once."""

    def __init__(self, version: str, members: tuple[str, ...], tasks: dict[str, tuple[str, str]]) -> None:
        super().__init__("web")
        self.version = version
        self.members = json.dumps({"resources": [{"name": name} for name in members]})
        self.tasks = tasks
        once = ONESHOT.format(version, f"ConditionPathExists=!{DONE}\n", f"ExecStartPost=/bin/touch {DONE}\n")
        self.more = [
            plan.directory(HOME),
            plan.file(MEMBERS, self.members + "\n", union="resources"),
            plan.unit(INIT, ONESHOT.format(version, "", "RemainAfterExit=yes\n"), run="init"),
            plan.unit(ONCE, once, run="once", done=DONE),
        ]


def old_and_new():
    """As many steps lead from one to the other as back."""
    old = {"same": (SLEEP, "S=1"), "changed": (SLEEP, "A=old"), "removed": (SLEEP, "R=1")}
    new = {"same": (SLEEP, "S=1"), "changed": (SLEEP, "A=new"), "added": (SLEEP, "N=1")}
    return Release("old", ("a", "b"), old), Release("new", ("b", "c"), new)


def drive(machine, release, kill_before=None, recover=False, spare=()):
    """The number of steps that a switch took, or None when it was killed before one of them (a number or a verb)."""
    verbs = taken(machine, release, kill_before, recover, spare)
    return None if verbs is None else len(verbs)


def taken(machine, release, kill_before=None, recover=False, spare=()):
    """The verbs of those steps."""
    outcome = machine.script(DRIVER.format(kill_before=kill_before, release=release, recover=recover, spare=spare))
    if outcome.status:
        assert "Traceback" not in outcome.stderr, outcome.stderr
        return None
    return outcome.stdout.rpartition("steps:")[2].split()


def assert_whole(machine, group, other, keep_data=False):
    """This release, complete, and nothing of the other one but kept data; asked in one go, for it is asked often."""
    lines, expected = [], []
    for task, (_command, value) in group.tasks.items():
        lines.append(f"p=$(systemctl show -p MainPID --value {group.unit(task)}); tr '\\0' '\\n' < /proc/$p/environ | grep -x '.=.*'")
        lines.append(f"cat {group.env(task)}")
        expected += [value, value]
    for unit in (INIT, ONCE):
        lines.append(f"systemctl show -p Description --value {unit}")
        expected.append(group.version)
    lines += [f"systemctl is-active {INIT}", f"cat {MEMBERS}", f"ls {DONE}"]
    expected += ["active", group.members, DONE]
    for task in sorted(set(other.tasks) - set(group.tasks)):
        lines.append(f"! systemctl is-active -q {other.unit(task)} || echo active {task}")
        lines.append(f"ls -d /etc/systemd/system/{other.unit(task)} {other.env(task)} {other.data(task)} 2>/dev/null")
        expected += [other.data(task)] if keep_data else []
    lines.append("ls -A /var/lib/k8s4r/releases; ls /var/lib/k8s4r/pending 2>/dev/null")
    lines.append("find /etc /var/lib/k8s4r -name '*k8s4r~'")
    found = machine.execute("; ".join(lines)).stdout.splitlines()
    assert found == expected, (found, expected)
    assert machine.ask(job(group), keep_data=keep_data) == {"status": "unchanged"}
