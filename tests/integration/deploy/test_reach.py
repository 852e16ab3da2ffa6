# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A pod that lets pods of another job on another robot in, where each job has runs of its own."""

from __future__ import annotations

import json
import os
import pathlib
import shutil

import pytest

pytestmark = pytest.mark.robots

JOB = """
name: {name}
taskGroups:
  - name: web
    constraints: [{{lTarget: '${{node.unique.name}}', operand: '=', rTarget: {robot}}}]
    network: {{type: none, mode: group, reach: [{reach}]}}
    tasks:
      - name: answers
        config: {{execConfig: {{command: python3, args: [-c, {program}]}}}}
"""
# Who asks is told who it is.
PROGRAM = """
import socket
server = socket.create_server(("", 7002))
while True:
    connection, (address, _port) = server.accept()
    with connection:
        connection.sendall(address.encode())
"""
RANGES = {"k8s4r_pod_cidr": "172.26.{{ '64' if inventory_hostname == 'robot1' else '80' }}.0/20"}


def job(name: str, robot: str, reach: str = "") -> str:
    return JOB.format(name=name, robot=robot, reach=reach, program=json.dumps(PROGRAM))


def test_pods_of_a_job_with_runs_of_its_own_come_in(deployment):
    def run(*files):
        done = deployment.run("k8s4r.robot.deploy_taskgroup", job=list(files), **RANGES).well()
        assert "cannot get in" not in done.output
        return set(done.changed.values())

    def asked() -> str:
        shop = json.loads(deployment.sh("robot1", "cat /etc/k8s4r/pods/*"))
        return deployment.sh("robot2", f"ip netns exec k8s4r-$(ls /etc/k8s4r/pods) bash -c 'cat </dev/tcp/{shop['address']}/7002'")

    front, shop = (
        deployment.job(job("front", "robot2"), "front.yml"),
        deployment.job(job("shop", "robot1", "{job: front, group: web}"), "shop.yml"),
    )
    assert run(front) != {0} != run(shop)
    assert asked() == json.loads(deployment.sh("robot2", "cat /etc/k8s4r/pods/*"))["address"]
    # It is what a run of both brings, also where the controller has lost what robots have said.
    assert run(front, shop) == {0}
    shutil.rmtree(pathlib.Path(os.environ["K8S4R_HOME"], "mesh"))
    assert run(shop) == {0}
    assert run(front) == {0}
    deployment.remove(job=[front, shop], **RANGES).well()
