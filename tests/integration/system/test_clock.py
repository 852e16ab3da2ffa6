# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A robot whose clock is wrong, for which it needs a kernel of its own."""

from __future__ import annotations

import pytest

from tests.integration.engine.harness import compiled
from tests.integration.provision.harness import Ansible
from tests.integration.system.machines import VM

pytestmark = pytest.mark.vm


@pytest.mark.parametrize(("seconds", "words"), [(3600, "s ahead of"), (-3600, "s behind")])
def test_a_wrong_clock_is_refused_before_anything_is_installed(fleet, seconds, words):
    fleet.ssh(VM, f"date -s @$(($(date +%s) + {seconds}))")
    try:
        run = Ansible(fleet).agent(VM)
        run.refused(f"{VM}: its clock is 3", words, "that of the SPIRE server server1", "Set it right, with timedatectl or chrony")
        assert fleet.ssh(VM, "ls -d /etc/spire 2>/dev/null", check=False) == ""
    finally:
        fleet.ssh(VM, f"date -s @$(($(date +%s) - {seconds}))")


CRASHING = """
name: clock
taskGroups:
  - name: g
    tasks:
      - name: app
        driver: raw_exec
        config: {execConfig: {command: /bin/sh, args: [-c, "while [ ! -e $NOMAD_ALLOC_DIR/end ]; do sleep 0.2; done; exit 3"]}}
        restartPolicy: {attempts: 1, interval: 2m, delay: 10s, mode: delay}
"""


def test_a_clock_that_is_set_back_delays_no_restart(machine):
    """Once it was counted on: after 8 hours back, a pause of at most 2 minutes was one of 8 hours."""
    (job,) = compiled(VM, CRASHING)
    assert machine.deploy(job)["status"] == "committed"
    unit = next(r["name"] for r in job["groups"][0]["resources"] if r["kind"] == "unit" and "-task-" in r["name"])
    machine.sh("cd /var/lib/k8s4r/groups/clock-g-*/alloc && touch end")
    machine.sh(f"until [ -e /run/k8s4r/restarts/{unit} ]; do sleep 0.1; done; date -s @$(($(date +%s) - 28800))")
    try:
        said = machine.sh("until grep -h 'next start in' /var/lib/k8s4r/tasks/clock-g-r0-app-*/logs/stdout.log; do sleep 0.2; done")
        assert 0 < int(said.split()[-2]) <= 120
    finally:
        machine.sh(f"date -s @$(($(date +%s) + 28800)); systemctl stop {unit}")
