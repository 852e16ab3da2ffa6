# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""User namespaces on a kernel that gives them to root alone, or to nobody: containers have the kernel of their host."""

from __future__ import annotations

import json

import pytest

from tests.integration.compile.jobs import plans
from tests.integration.engine.harness import Machine
from tests.integration.system.jobs import job, task
from tests.integration.system.machines import VM

pytestmark = pytest.mark.vm

SLEEP = "import os, time\nprint(os.getuid(), flush=True)\ntime.sleep(600)"
KEYS = {"user": "root", "isolation": {"users": "own"}}
TRY = "setpriv --reuid=nobody --regid=nogroup --clear-groups unshare --user true"
RUNS = "pgrep -f '[o]s.getuid'"
PATH = "taskGroups[0].tasks[0].isolation.users"


@pytest.fixture
def kernel(fleet):
    """Sets a sysctl, until the test ends."""
    before = {}

    def write(name: str, value: str) -> None:
        before.setdefault(name, fleet.ssh(VM, f"sysctl -n {name}").strip())
        fleet.ssh(VM, f"sysctl -q -w {name}={value}")

    yield write
    for name, value in before.items():
        fleet.ssh(VM, f"sysctl -q -w {name}={value}")


def test_root_alone_may_make_them_or_nobody(fleet, deployment, kernel):
    machine = Machine(fleet, VM)
    machine.clean()
    machine.sh(TRY)
    kernel("kernel.unprivileged_userns_clone", "0")
    assert machine.execute(TRY).status != 0
    deployment.deploy(job("users", tasks=[{**task("first", SLEEP), **KEYS}])).well()
    machine.until("grep -qsx 0 /var/lib/k8s4r/tasks/users-main-r0-first-*/logs/stdout.log")
    before = machine.sh(RUNS)

    # What the controller remembers is out of date, and it asks again.
    kernel("user.max_user_namespaces", "0")
    why = "its kernel has no user namespaces, or the sysctl user.max_user_namespaces is 0"
    other = job("users", tasks=[{**task("other", SLEEP), **KEYS}])
    deployment.deploy(other).refused(f"{PATH}: the robot cannot give a task users of its own: {why} (for {VM})")
    # Nor does a robot believe a plan.
    answer = machine.prepare(*plans(machine, {**json.loads(other), "robotSelector": {}}))
    assert answer["status"] == "refused"
    why = "this robot refuses user namespaces (unshare: unshare failed: No space left on device)"
    assert answer["errors"][0].startswith(f"users.yml: {PATH}: {why}; see the sysctl user.max_user_namespaces")
    assert machine.sh(RUNS) == before
