# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The other way of attestation: a token of one use."""

from __future__ import annotations

import pytest

from tests.integration.provision import harness
from tests.robots.host import wait_for

pytestmark = pytest.mark.robots

TOKENS = {"spire_agent_attestor": "join_token"}
ALIAS = "spiffe://fleet.example/robot/robot2"


@pytest.fixture
def stranger(ansible, provisioned):
    """robot2 without its agent's identity; x509pop's again afterwards."""
    provisioned.ssh("robot2", "systemctl stop spire-agent; rm /var/lib/spire/agent/*")
    yield provisioned
    ansible.agent("robot2").well()


def by_token(fleet):
    return [path for path in harness.agents(fleet) if path.startswith("/spire/agent/join_token/")]


def test_a_token_is_made_once_and_used_once(ansible, stranger):
    ansible.agent("robot2", **TOKENS).well()
    assert len(by_token(stranger)) == 1
    token = by_token(stranger)[0].rpartition("/")[2]
    assert stranger.ssh("robot2", "cat /proc/$(systemctl show -p MainPID --value spire-agent)/cmdline | tr '\\0' ' '").count(token) == 0
    assert stranger.ssh("robot2", f"grep -rl {token} /etc/spire || true") == ""

    stranger.ssh("robot2", "systemctl restart spire-agent")
    assert ansible.agent("robot2", **TOKENS).well().changed["robot2"] == 0
    assert stranger.ssh("robot2", "ls /etc/spire/agent/names").split() == ["robot2@join_token"]
    assert len(by_token(stranger)) == 1

    entry = {
        "entry_id": "k8s4r.token",
        "spiffe_id": "spiffe://fleet.example/ns/test/job/token/group/g",
        "parent_id": ALIAS,
        "selectors": [{"type": "unix", "value": "user:nobody"}],
    }
    ansible.entries(entries=[entry]).well()

    def told() -> bool:
        return harness.identities(stranger, "robot2", "probe.service", "nobody") == [entry["spiffe_id"]]

    wait_for(told, 60, "the agent is not told of the entry")
    ansible.entries(entries=[{"entry_id": "k8s4r.token"}], state="absent").well()

    run = ansible.agent("robot2").well()
    told = " ".join(run.output.split())
    assert "robot2: its SPIRE agent has attested as spiffe://fleet.example/spire/agent/join_token/" in told
    assert "and spire_agent_attestor is x509pop now. It attests anew" in told
    assert "afterwards deploy all jobs" in told
    assert stranger.ssh("robot2", "ls /etc/spire/agent/names").split() == ["robot2"]
