# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A deployment installs and starts what is missing, and leaves alone what is there."""

from __future__ import annotations

import pytest

from tests.integration.deploy.harness import Deployment
from tests.integration.provision import harness

pytestmark = pytest.mark.robots

JOB = """
name: missing
taskGroups:
  - name: web
    constraints: [{lTarget: "${node.unique.name}", rTarget: robot2}]
    network: {services: [{name: web, port: 18088, to: "127.0.0.1:8088", protocol: http, allow: [{job: other, group: web}]}]}
    tasks:
      - name: main
        config: {execConfig: {command: /bin/sleep, args: [infinity]}}
        resources: {cpu: 100m, memory: 32Mi}
"""


def server(fleet):
    """The server's process, and with what it runs."""
    return harness.main_pid(fleet, "robot1", "spire-server"), harness.digest(fleet, "robot1", "/etc/spire/server/server.conf")


def test_a_server_that_is_up_is_left_alone_where_an_agent_is_missing(provisioned, tmp_path, monkeypatch):
    """A deployment that sets up an agent."""
    monkeypatch.setenv("K8S4R_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    deployment = Deployment(provisioned, tmp_path)
    before = server(provisioned)
    provisioned.ssh("robot2", "systemctl stop spire-agent")
    try:
        run = deployment.deploy(JOB, spire_server_log_level="WARN").well()
        assert "robot1: the SPIRE server is installed or started first if it does not run" in run.output
        assert server(provisioned) == before
        assert harness.main_pid(provisioned, "robot2", "spire-agent") != "0"
    finally:
        provisioned.ssh("robot2", "systemctl start spire-agent")
        deployment.remove(job="job.yml").well()
