# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two controllers deploy one job at the same time. It shares a fleet with SPIRE and Envoy with test_discovery.py."""

from __future__ import annotations

import json
import threading

import pytest

from tests.integration.deploy.harness import lines_of
from tests.integration.engine.harness import LONGEST, Machine
from tests.integration.provision.harness import SERVER, SERVER_SOCKET
from tests.robots.host import wait_for

pytestmark = pytest.mark.robots

SERVICE = "network: {services: [{name: http, port: 7000, to: '127.0.0.1:1', protocol: http, allow: [{group: two}]}]}"
# It is at it until the test lets it go on.
WAIT = "until [ -e /run/goes-on ]; do sleep 0.1; done"
DELETE = "Delete identities that are no longer needed"


def job(network: str = "", waits: bool = False) -> str:
    init = {"name": "wait", "driver": "raw_exec", "config": {"execConfig": {"command": "/bin/sh", "args": ["-c", WAIT]}}}
    return f"""
name: ent
taskGroups:
  - name: one
    constraints: [{{lTarget: "${{node.unique.name}}", rTarget: robot1}}]
    {network}
    tasks: [{{name: main, config: {{execConfig: {{command: sleep, args: [infinity]}}}}}}]
  - name: two
    constraints: [{{lTarget: "${{node.unique.name}}", rTarget: robot2}}]
    {f"initTasks: [{json.dumps(init)}]" if waits else ""}
    tasks: [{{name: main, config: {{execConfig: {{command: sleep, args: [infinity]}}}}}}]
"""


def identities(deployment):
    """The groups of the job that have a registration entry on the server."""
    shown = json.loads(deployment.sh("robot1", f"{SERVER} entry show -output json -socketPath {SERVER_SOCKET}"))
    return [entry["spiffe_id"]["path"] for entry in shown["entries"] if "/job/ent/" in entry["spiffe_id"]["path"]]


def test_the_end_of_an_earlier_run_leaves_an_identity_that_a_later_one_has_registered(deployment):
    """Four deployments, one of them while another one waits for a robot: 8 s of a processor."""
    first, second = Machine(deployment.fleet, "robot1"), Machine(deployment.fleet, "robot2")
    second.sh("rm -f /run/goes-on")
    deployment.deploy(job(SERVICE)).well()
    (identity,) = identities(deployment)
    earlier = []
    without = deployment.job(job(waits=True), "without.yml")
    run = threading.Thread(target=lambda: earlier.append(deployment.run("k8s4r.robot.deploy_taskgroup", job=without)))
    run.start()
    try:
        first.until(
            "test ! -e /etc/systemd/system/k8s4r-proxy-ent-one-* && ! systemctl list-units --plain --no-legend 'k8s4r-switch-*' | grep ."
        )
        second.until("systemctl is-active 'k8s4r-init-ent-two-*' | grep activating")
        deployment.deploy(job(SERVICE), "--limit", "robot1").well()
    finally:
        second.sh("touch /run/goes-on")
        run.join()
    earlier[0].well()
    assert identities(deployment) == [identity]
    assert "robot1: 1 identity" in " ".join(earlier[0].output.split())

    # Nobody else is at it: the identity goes with what has it.
    last = deployment.deploy(job()).well()
    assert identities(deployment) == []
    assert any(line.startswith("changed") for line in lines_of(last, DELETE))


def test_a_proxy_whose_identity_somebody_has_deleted_is_named(deployment):
    """Three deployments, and restarts of a proxy until its agent has forgotten the identity."""
    robot = Machine(deployment.fleet, "robot1")
    deployment.deploy(job(SERVICE)).well()
    (entry,) = json.loads(robot.sh(f"{SERVER} entry show -output json -socketPath {SERVER_SOCKET}"))["entries"]

    def unidentified():
        found = [group for each in robot.call(op="status")["jobs"] for group in each["groups"].values()]
        return [proxy for group in found for proxy in group["unidentified"]]

    def without():
        # The agent gives out what it has for some more seconds.
        robot.sh("systemctl restart 'k8s4r-proxy-ent-one-*'")
        return unidentified() == ["proxy"]

    assert unidentified() == []
    robot.sh(f"{SERVER} entry delete -entryID {entry['id']} -socketPath {SERVER_SOCKET}")
    wait_for(without, LONGEST, "the proxy still has its identity")
    shown = deployment.run("k8s4r.robot.status", problems="true").well()
    assert "NO IDENTITY: proxy; deploy its job with -e verify_entries=true" in shown.output
    again = deployment.run("k8s4r.robot.deploy_taskgroup", job=deployment.job(job(SERVICE)), verify_entries="true").well()
    assert "1 registration entry missing or changed on the SPIRE server, now corrected" in " ".join(again.output.split())
    wait_for(lambda: unidentified() == [], LONGEST, "the proxy has no identity yet")
    deployment.deploy(job()).well()
