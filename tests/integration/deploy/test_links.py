# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Links that break again and again, at whatever a robot is about to say: Ansible asks once more, and what was done is done once."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable

import pytest

from tests.integration.deploy import relay
from tests.integration.deploy.harness import ROBOTS, Deployment, sleeper

pytestmark = pytest.mark.robots

STARTED = "cat /var/lib/k8s4r/groups/hello-web-*/alloc/starts"
SCRIPT = "echo start >>$NOMAD_ALLOC_DIR/starts; exec sleep infinity"


def by_bad_links(deployment: Deployment, name: str) -> Callable[[], int]:
    """Let the next runs go by links that break, on which ssh is told to try again; how many connections have broken can be asked then."""
    counts = deployment.directory / name
    counts.mkdir()
    tree = json.loads(deployment.fleet.inventory.read_text())
    for robot, host in tree["all"]["children"]["robots"]["hosts"].items():
        command = [sys.executable, relay.__file__, str(counts), host["ansible_host"], "22"]
        path = f"-o ControlPath={deployment.fleet.control}/{name}-{robot} -o ProxyCommand={shlex.quote(shlex.join(command))}"
        # Of an option that stands twice, ssh takes the first one.
        host["ansible_ssh_args"] = f"{path} {tree['all']['vars']['ansible_ssh_args']}"
    tree["all"]["vars"]["ansible_ssh_retries"] = 6
    deployment.inventory = counts / "inventory.json"
    deployment.inventory.write_text(json.dumps(tree))
    # The last one that is counted may stand.
    return lambda: sum(len(file.read_text().splitlines()) - 1 for file in counts.glob("10.*"))


def test_a_run_goes_on_over_links_that_break_and_starts_nothing_twice(deployment):
    """Three runs in which ssh waits some seconds before it tries again: 8 s of a processor."""
    broken = by_bad_links(deployment, "new")
    new = deployment.deploy(sleeper(script=SCRIPT)).well()
    assert broken() >= 4
    assert [deployment.sh(robot, STARTED) for robot in ROBOTS] == ["start\n"] * 2
    broken = by_bad_links(deployment, "edited")
    edited = deployment.deploy(sleeper(value="two", script=SCRIPT)).well()
    assert broken() >= 4
    assert [deployment.sh(robot, STARTED) for robot in ROBOTS] == ["start\nstart\n"] * 2
    assert not any(deployment.deploy(sleeper(value="two", script=SCRIPT)).well().changed.values())
    broken = by_bad_links(deployment, "gone")
    gone = deployment.remove(job="job.yml").well()
    assert broken() >= 4
    assert all(run.changed[robot] for run in (new, edited, gone) for robot in ROBOTS)
    assert not any("hello" in deployment.footprint(robot) for robot in ROBOTS)
