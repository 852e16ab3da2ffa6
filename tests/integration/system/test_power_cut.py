# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plug pulled in the middle of a switch: what the kernel had not written is lost, and the robot is whole all the same."""

from __future__ import annotations

import pytest

from ansible_collections.k8s4r.robot.plugins.module_utils._engine import plan
from tests.integration.engine.interrupted import assert_whole, drive, old_and_new
from tests.integration.engine.plans import job
from tests.robots.host import wait_for

pytestmark = pytest.mark.vm

SLOW = "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sleep infinity\n"


def after_the_cut(machine):
    """Pull the plug and switch on again; at boot nobody waits for the units, so wait for their jobs."""
    machine.fleet.power_cut(machine.name)
    machine.fleet.start(machine.name)
    machine.fleet.wait_ssh(machine.name)
    wait_for(lambda: "k8s4r" not in machine.sh("systemctl list-jobs --no-legend"), 300, "units are still being started")


# After the restart, and after the pruning that follows the commit: each costs a boot of an emulated machine.
# Every step is tried on containers, where nothing that was written is lost (tests/integration/engine/test_killed.py).
@pytest.mark.parametrize(("step", "outcome"), [("healthy", "rolled-back"), ("pruned", "committed")])
def test_whole_after_a_power_cut(machine, step, outcome):
    old, new = old_and_new()
    assert machine.deploy(job(old))["status"] == "committed"
    release = machine.prepare(job(new))["release"]
    assert drive(machine, release, kill_before=step) is None
    after_the_cut(machine)
    assert machine.call(op="poll", release=release)["status"] == outcome
    if outcome == "committed":
        assert_whole(machine, new, old)
    else:
        assert_whole(machine, old, new)


def test_whole_after_a_power_cut_under_a_switch_in_its_own_unit(machine):
    """The switch as the playbook starts it, still waiting for a slow unit when the power goes."""
    old, new = old_and_new()
    assert machine.deploy(job(old))["status"] == "committed"
    new.more += [plan.unit("k8s4r-init-slow.service", SLOW, run="init")]
    release = machine.prepare(job(new))["release"]
    assert machine.call(op="switch", release=release)["status"] == "pending"
    # On a busy machine the switch may not have begun by then, and what has not begun is not rolled back.
    machine.until("systemctl show -p ActiveState --value k8s4r-init-slow.service | grep -qx activating")
    after_the_cut(machine)
    assert machine.call(op="poll", release=release)["status"] == "rolled-back"
    assert_whole(machine, old, new)
