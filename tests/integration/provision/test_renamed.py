# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A robot that gets another name in the inventory, and one whose disk was copied from another robot: both attest as themselves."""

from __future__ import annotations

import json

import pytest

from tests.integration.provision import harness

pytestmark = pytest.mark.robots

NEW = "weld-arm-01"
AGENTS = "spiffe://fleet.example/spire/agent/x509pop/"
IDENTITY = "spiffe://fleet.example/ns/test/job/name/group/g"


def entry(robot):
    return {
        "entry_id": f"k8s4r.name-{robot}",
        "spiffe_id": IDENTITY,
        "parent_id": AGENTS + robot,
        "selectors": [{"type": "unix", "value": "user:nobody"}],
    }


def entries(fleet):
    """The ids of these tests' entries that the server has."""
    shown = fleet.ssh("robot1", f"{harness.SERVER} entry show -output json -socketPath {harness.SERVER_SOCKET} -spiffeID {IDENTITY}")
    return {one["id"] for one in json.loads(shown)["entries"]}


def name(fleet, robot):
    """As whom the agent has attested, and what is noted of it."""
    svid = "import json,base64;print(base64.b64decode(json.load(open('/var/lib/spire/agent/agent-data.json'))['svid'][0]).decode())"
    read = f'python3 -c "{svid}" | openssl x509 -noout -ext subjectAltName'
    attested = fleet.ssh(robot, read).split("URI:")[1].strip().removeprefix(AGENTS)
    return attested, fleet.ssh(robot, "ls /etc/spire/agent/names").split()


@pytest.fixture
def with_entries(ansible, provisioned):
    """robot1 and robot2 have an entry each; none of them is left."""
    ansible.entries(entries=[entry("robot1"), entry("robot2")]).well()
    yield provisioned
    ansible.entries(entries=[], state="exact", scope=["/ns/test/job/name/"]).well()


@pytest.fixture
def renamed(with_entries, tmp_path):
    """Runs with an inventory in which robot2 has another name."""
    inventory = json.loads(with_entries.inventory.read_text())
    robots = inventory["all"]["children"]["robots"]["hosts"]
    robots[NEW] = robots.pop("robot2")
    renamed = harness.Ansible(with_entries)
    renamed.inventory = tmp_path / "renamed.json"
    renamed.inventory.write_text(json.dumps(inventory))
    return renamed


def test_a_robot_keeps_what_it_has_until_its_new_name_works(ansible, renamed):
    """Three runs that set up an agent."""
    fleet = renamed.fleet
    key, process = harness.digest(fleet, "robot2", "/etc/spire/agent/node.key"), harness.main_pid(fleet, "robot2", "spire-agent")
    fleet.ssh("robot1", "mv /etc/spire/server/node-ca.key /root/")
    try:
        renamed.agent(NEW).refused(f"the node certificate for {NEW} cannot be issued: ")
    finally:
        fleet.ssh("robot1", "mv /root/node-ca.key /etc/spire/server/")
    assert name(fleet, "robot2") == ("robot2", ["robot2"])
    assert harness.main_pid(fleet, "robot2", "spire-agent") == process

    # Nobody listens there.
    run = renamed.agent(NEW, spire_agent_server_port=9, spire_agent_ready_seconds=2)
    run.refused(", port 9, within 2 s. The last lines of its log: ", "runs again with the key and the identity that it had before")
    # Nothing says by now that it has this name, or any other.
    assert name(fleet, "robot2") == ("robot2", [])
    assert harness.digest(fleet, "robot2", "/etc/spire/agent/node.key") == key
    assert entries(fleet) == {"k8s4r.name-robot1", "k8s4r.name-robot2"}
    ansible.agent("robot2").well()
    assert name(fleet, "robot2") == ("robot2", ["robot2"])
    assert harness.digest(fleet, "robot2", "/etc/spire/agent/node.key") == key
    assert fleet.ssh("robot2", "find /etc/spire /var/lib/spire -name '*.former' -o -name '*.next' -o -name '*.exchange'") == ""


def test_a_renamed_robot_and_a_copied_one_attest_under_their_names(ansible, renamed):
    """Two runs that set up an agent: 20 s of a processor."""
    fleet = renamed.fleet
    assert name(fleet, "robot2") == ("robot2", ["robot2"])
    said = renamed.agent(NEW).well().output
    assert f"{NEW}: its SPIRE agent has attested as {AGENTS}robot2" in " ".join(said.split())
    assert name(fleet, "robot2") == (NEW, [NEW])
    assert fleet.ssh("robot2", "find /etc/spire /var/lib/spire -name '*.former' -o -name '*.next' -o -name '*.exchange'") == ""
    assert entries(fleet) == {"k8s4r.name-robot1"}
    assert renamed.agent(NEW).well().changed[NEW] == 0

    # robot2's disk is a copy of robot1's: so are its keys, its identity, and the note.
    copy = "tar -C / -c etc/spire/agent var/lib/spire/agent"
    fleet.ssh("robot2", "systemctl stop spire-agent; rm -r /etc/spire/agent /var/lib/spire/agent")
    archive = fleet.ssh("robot1", f"{copy} | base64 -w0").strip()
    fleet.ssh("robot2", f"base64 -d <<'TAR' | tar -C / -x\n{archive}\nTAR\n")
    ansible.agent("robot2").well()
    assert name(fleet, "robot2") == ("robot2", ["robot2"])
    assert name(fleet, "robot1") == ("robot1", ["robot1"])
    assert harness.digest(fleet, "robot1", "/etc/spire/agent/node.key") != harness.digest(fleet, "robot2", "/etc/spire/agent/node.key")
    assert entries(fleet) == {"k8s4r.name-robot1"}
