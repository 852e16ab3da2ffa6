# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Root under exec owns the files of the robot's disks, and cannot open them: containers have no disk that could show it."""

from __future__ import annotations

import pytest

from tests.integration.engine.harness import Machine
from tests.integration.system.jobs import job, task
from tests.integration.system.machines import VM

pytestmark = pytest.mark.vm

OPEN = """
import os, time
for path in ("/dev/ubda", "/dev/null", "/dev/ttyS0"):
    try:
        os.close(os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK))
        print(path, "open")
    except OSError as error:
        print(path, error.strerror)
print("done", flush=True)
time.sleep(600)
"""


def test_root_under_exec_opens_no_disk_and_any_other_device(fleet, deployment):
    Machine(fleet, VM).clean()
    deployment.deploy(job("disks", tasks=[{**task("opens", OPEN), "user": "root"}])).well()
    said = "cat /var/lib/k8s4r/tasks/disks-main-r0-opens-*/logs/stdout.log"
    Machine(fleet, VM).until(f"{said} | grep -q done")
    assert fleet.ssh(VM, said).splitlines() == ["/dev/ubda Operation not permitted", "/dev/null open", "/dev/ttyS0 open", "done"]
