# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An upgrade of systemd and D-Bus while the engine is at work: both go away for moments, in every phase."""

from __future__ import annotations

import pytest

from ansible_collections.k8s4r.robot.plugins.module_utils._engine import plan
from tests.integration.engine.plans import SLEEP, Group, job

# A process of no unit: the two that it restarts must not take it along.
LOOP = "while [ -e /run/shaken ]; do systemctl daemon-reexec; sleep 0.2; systemctl restart dbus; sleep 0.2; done"


@pytest.fixture
def shaken(machine):
    machine.sh(f"touch /run/shaken; setsid sh -c '{LOOP}' >/dev/null 2>&1 &")
    yield machine
    machine.sh("rm /run/shaken")
    machine.gone("while . -e /run/shaken")
    machine.sh("systemctl is-system-running --wait >/dev/null; true")


def test_the_outcome_is_right_and_nothing_is_left(shaken):
    group = Group()
    group.secrets = ["sesame"]
    good = job(group)
    assert shaken.deploy(good)["status"] == "committed"
    group.tasks = {"main": (SLEEP, "A=2"), "bad": ("/bin/sh -c 'exit 127'", "B=1")}
    done = shaken.deploy(job(group))
    assert done["status"] == "rolled-back", done
    assert "exit status 127" in done["errors"][0]
    assert shaken.ask(good) == {"status": "unchanged"}
    group.tasks = {"main": (SLEEP, "A=3"), "more": (SLEEP, "M=1")}
    done = shaken.deploy(job(group))
    assert done["status"] == "committed", done
    assert shaken.ask(job(group)) == {"status": "unchanged"}
    assert shaken.deploy(plan.job("default", "shop", []))["status"] == "committed"
    shaken.absent(
        "ls -A /run/k8s4r/requests /var/lib/k8s4r/pending /etc/k8s4r/groups /var/lib/k8s4r/tasks 2>/dev/null | grep -v : | grep ."
    )
