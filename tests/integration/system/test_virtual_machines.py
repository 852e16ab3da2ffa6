# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What only virtual machines can show, and tests rely on: kernel and cgroup v2 of their own, plugs that are really pulled."""

from __future__ import annotations

import pytest

from tests.integration.system.machines import VM

pytestmark = pytest.mark.vm


def test_limits_are_those_of_cgroup_v2(fleet):
    assert fleet.ssh(VM, "stat --file-system --format %T /sys/fs/cgroup").strip() == "cgroup2fs"
    program = "systemd-run --quiet --wait --unit hungry -p MemoryMax=50M python3 -c 'bytearray(200_000_000)'"
    fleet.ssh(VM, program, check=False)
    assert fleet.ssh(VM, "systemctl show --property Result hungry").strip() == "Result=oom-kill"


def test_a_power_cut_loses_what_was_not_synced_and_the_cable_stays_out(fleet):
    fleet.ssh(VM, "echo kept > /root/synced; sync; echo lost > /root/unsynced")
    fleet.power_cut(VM)
    fleet.cut_network(VM)
    fleet.start(VM)
    assert fleet.console(VM, "cat /root/synced; cat /root/unsynced 2>/dev/null", check=False) == "kept\n"
    fleet.restore_network(VM)
    fleet.wait_ssh(VM)


def test_a_reboot_is_a_new_boot(fleet):
    before = fleet.ssh(VM, "cat /proc/sys/kernel/random/boot_id")
    fleet.reboot(VM)
    fleet.wait_ssh(VM)
    assert fleet.ssh(VM, "cat /proc/sys/kernel/random/boot_id") != before
