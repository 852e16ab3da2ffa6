# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a group's tasks see as /dev/shm holds no more than their memory, also of what they left there before they started again."""

from __future__ import annotations

from tests.integration.compile.conftest import ENDS, each_of
from tests.integration.compile.jobs import plans, shell

machine = each_of(ENDS)

MIB = 2**20
# Each start leaves 20 MiB more; no start alone has more memory than it may.
FILLS = """
n=$(ls /dev/shm | wc -l)
dd if=/dev/zero of=/dev/shm/left-$n bs=1M count=20 2>/dev/null || echo full >"$NOMAD_ALLOC_DIR/full"
echo >>"$NOMAD_ALLOC_DIR/starts"
exec sleep 1000
"""
HOME = "/var/lib/k8s4r/groups/shm-g-*/alloc"
UNIT = "$(systemctl list-units --plain --no-legend 'k8s4r-task-shm-g-r0-*' | cut -d' ' -f1)"


def deploy(machine, memory, count=1, script="exec sleep 1000"):
    limits = {"resources": {"memory": memory}} if memory else {}
    groups = [{"name": "g", "count": count, "tasks": [shell("t", script, **limits)]}]
    (plan,) = plans(machine, {"name": "shm", "taskGroups": groups, "update": {"minHealthyTime": "0s"}})
    result = machine.deploy(plan)
    assert result["status"] == "committed", result


def size(machine):
    return int(machine.sh("df --block-size=1 --output=size /run/k8s4r/memory/* | tail -1"))


def test_what_a_task_leaves_there_does_not_grow_with_each_start(machine):
    deploy(machine, "32Mi", script=FILLS)
    for starts in (1, 2, 3):
        machine.until(f"[ $(cat {HOME}/starts | wc -l) = {starts} ]")
        machine.sh(f"systemctl restart {UNIT}")
    machine.sh(f"test -e {HOME}/full")
    assert int(machine.sh("du --bytes --summarize /run/k8s4r/memory/*").split()[0]) <= 33 * MIB
    assert machine.sh("systemctl list-units --failed --plain --no-legend 'k8s4r-*shm-g*'") == ""


def test_it_grows_with_instances_and_limits_and_what_is_in_use_is_kept(machine):
    deploy(machine, "32Mi")
    before = machine.sh(f"systemctl show -p InvocationID {UNIT}")
    assert size(machine) == 32 * MIB
    # Empty files take memory, too.
    assert int(machine.sh("df --output=itotal /run/k8s4r/memory/* | tail -1")) == 32 * MIB // 4096 + 64
    deploy(machine, "32Mi", count=2)
    assert size(machine) == 64 * MIB
    assert machine.sh(f"systemctl show -p InvocationID {UNIT}") == before, "one that is there already goes on"
    machine.sh("dd if=/dev/zero of=$(echo /run/k8s4r/memory/*)/left bs=1M count=40")
    # More than the new size is there.
    deploy(machine, "16Mi", count=2)
    assert size(machine) == 64 * MIB
    assert "keeps its former size" in machine.sh("journalctl --sync; journalctl --no-pager --unit 'k8s4r-memory-*'")
    machine.sh("rm /run/k8s4r/memory/*/left")
    deploy(machine, "24Mi", count=2)
    assert size(machine) == 48 * MIB
    deploy(machine, None, count=2)
    assert size(machine) > 100 * MIB
    deploy(machine, "24Mi", count=2)
    assert size(machine) == 48 * MIB, "all of its tasks have begun anew"
