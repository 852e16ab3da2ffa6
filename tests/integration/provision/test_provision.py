# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From bare robots to attested agents, and what later runs do."""

from __future__ import annotations

import shlex

import pytest

from tests.integration.provision import harness

pytestmark = pytest.mark.robots

ROBOTS = ("robot1", "robot2")
ONLY_SERVER = {"k8s4r_provision_spire_agent": [], "k8s4r_provision_envoy": [], "k8s4r_provision_textfile": []}


def named_agents(fleet):
    return {path for path in harness.agents(fleet) if path.startswith("/spire/agent/x509pop/")}


def test_a_check_of_bare_robots_names_what_they_would_get(bare_check):
    run, left = bare_check
    run.well()
    for words in (
        "robot1: a SPIRE server for fleet.example would be installed",
        "robot1: a SPIRE agent of fleet.example would be installed",
        "robot2: a SPIRE agent of fleet.example would be installed",
    ):
        assert words in run.output
    assert left == ["", ""]


def test_every_robot_has_an_agent_of_its_name(provisioned):
    assert named_agents(provisioned) == {f"/spire/agent/x509pop/{robot}" for robot in ROBOTS}


@pytest.mark.parametrize("robot", ROBOTS)
def test_the_robot_is_well(provisioned, robot):
    assert provisioned.ssh(robot, "systemctl is-system-running").strip() == "running"
    assert provisioned.ssh(robot, "ps -o user= -C spire-agent").split() == ["spire-agent"]
    assert provisioned.ssh(robot, "/opt/k8s4r/bin/envoy --version").strip()


def test_the_units_hold_nothing_that_systemd_does_not_know(provisioned):
    assert provisioned.ssh("robot1", "systemd-analyze verify spire-server.service spire-agent.service 2>&1").strip() == ""


def test_keys_stay_where_they_were_made(provisioned):
    owners = provisioned.ssh("robot1", "stat -c '%n %U:%G %a' /etc/spire/server/*.key /etc/spire/agent/*.key").splitlines()
    assert owners == [
        "/etc/spire/server/node-ca.key root:root 600",
        "/etc/spire/server/root.key root:spire-server 640",
        "/etc/spire/agent/node.key root:spire-agent 640",
    ]
    assert len({harness.digest(provisioned, robot, "/etc/spire/agent/node.key") for robot in ROBOTS}) == 2


def test_only_root_and_the_server_reach_the_servers_socket(provisioned):
    listing = f"{harness.SERVER} agent list -socketPath {harness.SERVER_SOCKET} 2>&1"
    told = provisioned.ssh("robot1", f"setpriv --reuid=nobody --clear-groups {listing}", check=False)
    assert "permission denied" in told


def test_a_second_run_changes_nothing_and_a_check_says_so(ansible, provisioned):
    before = [harness.main_pid(provisioned, robot, "spire-agent") for robot in ROBOTS]
    assert ansible.provision().well().changed == dict.fromkeys(ROBOTS, 0)
    assert ansible.provision("--check", "--diff").well().changed == dict.fromkeys(ROBOTS, 0)
    assert [harness.main_pid(provisioned, robot, "spire-agent") for robot in ROBOTS] == before


def test_a_check_while_the_server_is_down_says_what_it_cannot_tell(ansible, provisioned):
    """The run that it is a check of starts the server."""
    provisioned.ssh("robot1", "systemctl stop spire-server")
    run = ansible.provision("--check").well()
    told = "while the server on robot1 is down, it is not known what would change for its SPIRE agent"
    assert all(f"{robot}: {told}" in run.output for robot in ROBOTS)
    assert run.changed["robot1"] > 0
    assert set(ansible.provision().well().changed.values()) == {0, 1}
    assert set(ansible.provision("--check").well().changed.values()) == {0}


def test_a_change_is_predicted_made_and_seen(ansible, provisioned):
    change = {"spire_agent_log_level": "WARN"}
    before = harness.main_pid(provisioned, "robot2", "spire-agent")
    check = ansible.agent("robot2", "--check", "--diff", **change).well()
    assert check.changed["robot2"] == 1
    assert '+        "log_level": "WARN",' in check.output
    assert harness.main_pid(provisioned, "robot2", "spire-agent") == before
    assert ansible.agent("robot2", **change).well().changed["robot2"] == 1
    changed = harness.main_pid(provisioned, "robot2", "spire-agent")
    assert changed != before

    # As if the run that puts it back had died between writing and restarting.
    provisioned.ssh("robot2", "sed -i s/WARN/INFO/ /etc/spire/agent/agent.conf")
    assert ansible.agent("robot2").well().changed["robot2"] == 1
    assert harness.main_pid(provisioned, "robot2", "spire-agent") != changed


def test_what_the_agent_refuses_is_told_and_not_written(ansible, provisioned):
    before = harness.digest(provisioned, "robot2", "/etc/spire/agent/agent.conf"), harness.main_pid(provisioned, "robot2", "spire-agent")
    # As if the server had another root by now: the bundle would be written, too.
    provisioned.ssh("robot2", "cp -p /etc/spire/agent/node.pem /etc/spire/agent/bundle.pem")
    bundle = harness.digest(provisioned, "robot2", "/etc/spire/agent/bundle.pem")
    ansible.agent("robot2", spire_agent_sync_interval="never").refused(
        "spire-agent refuses its configuration, which was not written: ", 'invalid duration "never"'
    )
    assert before == (
        harness.digest(provisioned, "robot2", "/etc/spire/agent/agent.conf"),
        harness.main_pid(provisioned, "robot2", "spire-agent"),
    )
    assert "-" not in provisioned.ssh("robot2", "ls -A /etc/spire/agent")
    assert harness.digest(provisioned, "robot2", "/etc/spire/agent/bundle.pem") == bundle
    ansible.agent("robot2").well()
    assert harness.digest(provisioned, "robot2", "/etc/spire/agent/bundle.pem") != bundle


@pytest.mark.usefixtures("provisioned")
def test_an_agent_that_gets_no_identity_is_told_with_its_log(ansible):
    # Nobody listens there.
    run = ansible.agent("robot2", spire_agent_server_port=9, spire_agent_ready_seconds=10)
    run.refused(
        "The SPIRE agent on robot2 got no identity from ", ", port 9, within 10 s. The last lines of its log: ", "connection refused"
    )
    assert ansible.agent("robot2").well().changed["robot2"] == 1


# An authority's index and serial files, which a dated signature needs.
ISSUE_WITH_DATES = """
set -e; d=$(mktemp -d); cd $d; touch index
printf '[ca]\\ndefault_ca=c\\n[c]\\ndatabase=index\\nnew_certs_dir=.\\ndefault_md=sha256\\npolicy=p\\nrand_serial=yes\\n' > conf
printf '[p]\\ncommonName=supplied\\n[x]\\nkeyUsage=critical,digitalSignature\\n' >> conf
cat > csr
openssl ca -batch -notext -config conf -extensions x -in csr -out pem -startdate {start} -enddate {end} \
  -keyfile /etc/spire/server/node-ca.key -cert /etc/spire/server/node-ca.pem >&2
cat pem
"""


def test_an_old_node_certificate_is_renewed_and_the_agent_stays_itself(ansible, provisioned):
    csr = provisioned.ssh("robot2", "openssl req -new -key /etc/spire/agent/node.key -subj /CN=robot2")
    dates = provisioned.ssh("robot1", "date -ud '-80 days' +%Y%m%d%H%M%SZ; date -ud '+20 days' +%Y%m%d%H%M%SZ").split()
    script = ISSUE_WITH_DATES.format(start=dates[0], end=dates[1])
    old = provisioned.ssh("robot1", f"cat <<'CSR' | sh -c {shlex.quote(script)}\n{csr}CSR")
    provisioned.ssh("robot2", f"cat > /etc/spire/agent/node.pem <<'PEM'\n{old}PEM")
    before = harness.main_pid(provisioned, "robot2", "spire-agent")
    assert ansible.agent("robot2", "--check").well().changed["robot2"] == 2
    assert ansible.agent("robot2").well().changed["robot2"] == 2
    assert provisioned.ssh("robot2", "openssl x509 -in /etc/spire/agent/node.pem -noout -checkend 60000000")
    assert harness.main_pid(provisioned, "robot2", "spire-agent") == before

    attest_again(provisioned)
    assert named_agents(provisioned) == {f"/spire/agent/x509pop/{robot}" for robot in ROBOTS}


def attest_again(fleet):
    """Have robot2's agent attest with the node certificate that it has."""
    fleet.ssh("robot2", "systemctl stop spire-agent; rm /var/lib/spire/agent/*; systemctl start spire-agent")
    healthy = f"{harness.AGENT} healthcheck -socketPath {harness.AGENT_SOCKET}"
    fleet.ssh("robot2", f"until {healthy}; do sleep 0.5; done 2>&1", timeout=200)


def test_robots_attest_to_the_running_server_with_certificates_of_a_new_authority(ansible, provisioned):
    """A check of the server, and a run that provisions all."""
    before = harness.main_pid(provisioned, "robot1", "spire-server")
    provisioned.ssh("robot1", "mkdir /root/former; mv /etc/spire/server/node-ca.* /root/former")
    assert ansible.provision("--check", **ONLY_SERVER).well().changed["robot1"] == 2
    ansible.provision().well()
    assert harness.main_pid(provisioned, "robot1", "spire-server") != before
    attest_again(provisioned)


def test_another_trust_domain_is_refused_before_anything_is_written(ansible, provisioned):
    configuration = "/etc/spire/server/server.conf"
    before = harness.digest(provisioned, "robot1", configuration), harness.main_pid(provisioned, "robot1", "spire-server")
    for mode in (["--check"], []):
        run = ansible.provision(*mode, k8s4r_trust_domain="other.example", **ONLY_SERVER)
        run.refused("robot1: its SPIRE server is of the trust domain fleet.example, but k8s4r_trust_domain is other.example")
    assert before == (harness.digest(provisioned, "robot1", configuration), harness.main_pid(provisioned, "robot1", "spire-server"))
    # Where the server is not in the run.
    before = harness.digest(provisioned, "robot2", "/etc/spire/agent/agent.conf"), harness.main_pid(provisioned, "robot2", "spire-agent")
    run = ansible.agent("robot2", k8s4r_trust_domain="other.example")
    run.refused("robot2: its SPIRE agent is spiffe://fleet.example/spire/agent/x509pop/robot2, but k8s4r_trust_domain is other.example")
    now = harness.digest(provisioned, "robot2", "/etc/spire/agent/agent.conf"), harness.main_pid(provisioned, "robot2", "spire-agent")
    assert now == before


def test_a_port_that_another_program_has_is_found_before_anything_is_installed(ansible, provisioned):
    run = ansible.provision("--check", spire_server_port=22, **ONLY_SERVER)
    run.refused("robot1: the SPIRE server's port 22 is taken by sshd, process ")
    assert provisioned.ssh("robot1", "systemctl is-active spire-server").strip() == "active"
