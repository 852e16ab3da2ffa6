# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A SPIRE server that lost its data has a new root. Its agents trust it no more, and attest again."""

from __future__ import annotations

import json

import pytest

from tests.integration.provision import harness

pytestmark = pytest.mark.robots

ROBOTS = ("robot1", "robot2")
NO_SERVER = {"k8s4r_provision_spire_server": [], "k8s4r_provision_envoy": [], "k8s4r_provision_textfile": []}
NO_AGENT = {"k8s4r_provision_spire_agent": [], "k8s4r_provision_envoy": [], "k8s4r_provision_textfile": []}
IDENTITY = "/var/lib/spire/agent/agent-data.json"
SAID = (
    "{robot}: the SPIRE server on robot1 has another root than the one by which this robot's agent has attested",
    "afterwards deploy all jobs with -e verify_entries=true",
)


@pytest.fixture
def mixed(ansible, provisioned, tmp_path):
    """robot1's agent attests with a certificate, robot2's with a token. Both do with a certificate again afterwards."""
    inventory = json.loads(provisioned.inventory.read_text())
    inventory["all"]["children"]["robots"]["hosts"]["robot2"]["spire_agent_attestor"] = "join_token"
    mixed = harness.Ansible(provisioned)
    mixed.inventory = tmp_path / "mixed.json"
    mixed.inventory.write_text(json.dumps(inventory))
    provisioned.ssh("robot2", "systemctl stop spire-agent; rm /var/lib/spire/agent/*")
    mixed.agent("robot2").well()
    yield mixed
    provisioned.ssh("robot2", "systemctl stop spire-agent; rm -f /var/lib/spire/agent/*")
    ansible.agent("robot2").well()


def test_agents_of_a_server_that_lost_its_data_attest_again(mixed):
    """Runs that build a server and set up four agents: 25 s of a processor."""
    fleet = mixed.fleet
    fleet.ssh("robot1", "systemctl stop spire-server; rm -rf /var/lib/spire/server /etc/spire/server")
    mixed.provision(**NO_AGENT).well()
    before = [harness.digest(fleet, robot, IDENTITY) for robot in ROBOTS]
    check = mixed.provision("--check", **NO_SERVER).well()
    assert [harness.digest(fleet, robot, IDENTITY) for robot in ROBOTS] == before
    run = mixed.provision(**NO_SERVER).well()
    for said in (check.output, run.output):
        assert all(words.format(robot=robot) in " ".join(said.split()) for words in SAID for robot in ROBOTS), said
    assert {path.split("/")[3] for path in harness.agents(fleet)} == {"x509pop", "join_token"}
    assert [fleet.ssh(robot, "ls /etc/spire/agent/names").split() for robot in ROBOTS] == [["robot1"], ["robot2@join_token"]]
    assert mixed.provision(**NO_SERVER).well().changed == dict.fromkeys(ROBOTS, 0)
