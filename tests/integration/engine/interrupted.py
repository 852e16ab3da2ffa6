# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A switch that ends at a chosen step, as if its process or its whole robot had died there; and what must be left of it."""

from __future__ import annotations

from tests.integration.engine.plans import SLEEP, Group, job

# Performs the steps of a real switch with the kept engine, and kills itself after one of them.
DRIVER = """
import os, signal
from k8s4r_engine.change import health, perform, switch
from k8s4r_engine.requests import recover
from k8s4r_engine.state.robot import Robot

health.STEADY = 0.2
steps = 0

class Killed(perform.Performer):
    def perform(self, step):
        global steps
        if steps == {kill_after}:
            os.kill(os.getpid(), signal.SIGKILL)
        super().perform(step)
        steps += 1

robot = Robot()
if {recover}:
    recover.at_boot(robot)
else:
    switch.run(robot, {release!r}, perform.silence, Killed)
print("steps", steps)
"""
NEVER = -1


def drive(machine, release, kill_after=NEVER, recover=False):
    """The number of steps that a switch took, or None when it was killed."""
    outcome = machine.script(DRIVER.format(kill_after=kill_after, release=release, recover=recover))
    if outcome.status:
        assert "Traceback" not in outcome.stderr, outcome.stderr
        return None
    return int(outcome.stdout.split()[-1])


def old_and_new():
    old, new = Group(), Group()
    old.tasks = {"same": (SLEEP, "S=1"), "changed": (SLEEP, "A=old"), "removed": (SLEEP, "R=1")}
    new.tasks = {"same": (SLEEP, "S=1"), "changed": (SLEEP, "A=new"), "added": (SLEEP, "N=1")}
    return old, new


def assert_whole(machine, group, other):
    """This release, wholly, and nothing of the other one; asked in one go, for it is asked often."""
    lines = []
    for task in group.tasks:
        lines.append(f"p=$(systemctl show -p MainPID --value {group.unit(task)}); tr '\\0' '\\n' < /proc/$p/environ | grep -x '.=.*'")
        lines.append(f"cat {group.env(task)}")
    for task in set(other.tasks) - set(group.tasks):
        lines.append(f"! systemctl is-active -q {other.unit(task)} || echo active {task}")
        lines.append(f"ls -d /etc/systemd/system/{other.unit(task)} {other.env(task)} {other.data(task)} 2>/dev/null")
    lines.append("ls -A /var/lib/k8s4r/releases; ls /var/lib/k8s4r/pending 2>/dev/null")
    lines.append("find /etc /var/lib/k8s4r -name '*k8s4r~'")
    found = machine.execute("; ".join(lines)).stdout.splitlines()
    assert found == [value for _command, value in group.tasks.values() for _place in range(2)]
    assert machine.ask(job(group)) == {"status": "unchanged"}
