# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ports that robots name where those that were chosen are taken: one run, whatever the controller knows, and the same ports ever after."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.robots

JOB = """
name: {name}
type: system
taskGroups:
  - name: g
    network: {{ports: [{{label: http}}]}}
    tasks:
      - name: app
        config: {{execConfig: {{command: /bin/sh, args: [-c, exec sleep infinity]}}}}
"""
PORT = "cat /etc/k8s4r/groups/{job}-g-*/env/*.env | sed -n 's/^NOMAD_PORT_http=\"\\(.*\\)\"/\\1/p'"


@pytest.fixture
def port(deployment):
    """The port that a job has on a robot."""
    return lambda robot, job="ports": int(deployment.sh(robot, PORT.format(job=job)))


@pytest.fixture
def taken(deployment, port, tmp_path, monkeypatch):
    """The port that robot1 would have, and a stranger has; the controller has never heard of the robots."""
    deployment.deploy(JOB.format(name="ports")).well()
    number = port("robot1")
    deployment.clean()
    listen = f'import socket, time; own = socket.create_server(("127.0.0.1", {number})); time.sleep(1000)'
    deployment.sh(
        "robot1", f"systemd-run --quiet --unit=stranger /usr/bin/python3 -c '{listen}'; until ss -ltn | grep -q :{number}; do :; done"
    )
    monkeypatch.setenv("K8S4R_HOME", str(tmp_path / "new"))
    yield number
    deployment.sh("robot1", "systemctl stop 'stranger*'")


def test_a_port_that_is_taken_is_another_one_for_every_controller(deployment, port, taken, tmp_path, monkeypatch):
    """It takes 20 s of a processor: seven runs."""
    deployment.deploy(JOB.format(name="ports"), "--check").well()
    deployment.deploy(JOB.format(name="ports")).well()
    ports = (port("robot1"), port("robot2"))
    assert ports[0] == taken + 1
    deployment.sh("robot1", "systemctl stop stranger")
    second = deployment.deploy(JOB.format(name="ports"), "-vvv").well()
    assert set(second.changed.values()) == {0}
    assert second.output.count("SSH: EXEC ssh") == 2
    # One that forgot the ports alone, and one that never knew any.
    (tmp_path / "new" / "ports" / "robot1.json").unlink()
    assert set(deployment.deploy(JOB.format(name="ports")).well().changed.values()) == {0}
    monkeypatch.setenv("K8S4R_HOME", str(tmp_path / "other"))
    assert set(deployment.deploy(JOB.format(name="ports")).well().changed.values()) == {0}
    deployment.deploy(JOB.format(name="more")).well()
    changed = JOB.format(name="ports").replace("infinity", "10000")
    deployment.deploy(changed).well()
    assert (port("robot1"), port("robot2")) == ports
