# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs of Ansible against a fleet, the way that a person starts them."""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import tempfile
import typing as t

from tests import loaded
from tests.robots import Fleet

CHECKOUT = pathlib.Path(__file__).resolve().parents[3]
PLAYBOOKS = pathlib.Path(__file__).with_name("playbooks")
_RECAP = re.compile(r"^(\S+)\s+: ok=\d+\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", re.MULTILINE)


class Run(t.NamedTuple):
    """One run of ansible-playbook: its status, all that it printed, and how many tasks changed each robot."""

    status: int
    output: str
    changed: dict[str, int]

    def well(self) -> Run:
        """The run, which must have ended well."""
        assert self.status == 0, self.output
        return self

    def refused(self, *words: str) -> None:
        """The run must have failed, and have said these words, and no traceback."""
        told = " ".join(self.output.split())
        assert self.status != 0, self.output
        assert "Traceback" not in told
        for word in words:
            assert word in told, self.output


class Ansible:
    """ansible-playbook with a fleet's inventory."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.inventory = fleet.inventory
        self.collections = CHECKOUT / "build"

    def run(self, playbook: str, *arguments: str, **variables: t.Any) -> Run:
        """Run a playbook by its path or its collection's name, with these variables."""
        environment = {"ANSIBLE_COLLECTIONS_PATH": str(self.collections), "ANSIBLE_LOCALHOST_WARNING": "false"}
        # A file, because an argument has at most 128 KB.
        with tempfile.NamedTemporaryFile("w", suffix=".json") as extra:
            json.dump(variables, extra)
            extra.flush()
            done = self.start("-i", str(self.inventory), playbook, "-e", f"@{extra.name}", *arguments, environment=environment)
        output = done.stdout + done.stderr
        return Run(done.returncode, output, {name: int(count) for name, count, _lost, _failed in _RECAP.findall(output)})

    def start(self, *arguments: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
        """Start ansible-playbook, of this Python's environment, with these variables beside the present ones."""
        return loaded.run(*arguments, environment={**os.environ, **environment, "PATH": f"{loaded.PROGRAM.parent}:{os.environ['PATH']}"})

    def provision(self, *arguments: str, **variables: t.Any) -> Run:
        """The whole of provisioning."""
        return self.run("k8s4r.robot.provision", *arguments, **variables)

    def envoy(self, robot: str, *arguments: str, **variables: t.Any) -> Run:
        """Envoy alone, on one robot."""
        return self.run("k8s4r.robot.provision", *arguments, **{**_ONLY_ENVOY, "k8s4r_provision_envoy": robot, **variables})

    def agent(self, robot: str, *arguments: str, **variables: t.Any) -> Run:
        """The agent alone, on one robot."""
        return self.run("k8s4r.robot.provision", *arguments, **{**_ONLY_AGENT, "k8s4r_provision_spire_agent": robot, **variables})

    def entries(self, *arguments: str, **options: t.Any) -> Run:
        """The module spire_entries with these options."""
        return self.run(str(PLAYBOOKS / "entries.yml"), *arguments, options=options)


_ONLY_ENVOY = {"k8s4r_provision_spire_server": [], "k8s4r_provision_spire_agent": [], "k8s4r_provision_textfile": []}
_ONLY_AGENT = {"k8s4r_provision_spire_server": [], "k8s4r_provision_envoy": [], "k8s4r_provision_textfile": []}

SERVER = "/opt/k8s4r/bin/spire-server"
AGENT = "/opt/k8s4r/bin/spire-agent"
SERVER_SOCKET = "/run/spire/server/api.sock"
AGENT_SOCKET = "/run/spire/sockets/agent.sock"


def agents(fleet: Fleet) -> dict[str, dict[str, t.Any]]:
    """The agents that the server knows, by the path of their IDs."""
    shown = json.loads(fleet.ssh("robot1", f"{SERVER} agent list -output json -socketPath {SERVER_SOCKET}"))
    return {agent["id"]["path"]: agent for agent in shown["agents"]}


def identities(fleet: Fleet, robot: str, unit: str, user: str) -> list[str]:
    """The SPIFFE IDs that a process of this unit and user is given on the robot."""
    fetch = f"{AGENT} api fetch x509 -output json -socketPath {AGENT_SOCKET}"
    printed = fleet.ssh(robot, f"systemd-run --quiet --wait --pipe --collect --unit={unit} --uid={user} {fetch}", check=False)
    return [svid["spiffe_id"] for svid in json.loads(printed)["svids"]] if printed.startswith("{") else []


def main_pid(fleet: Fleet, robot: str, unit: str) -> str:
    """The main process of a unit."""
    return fleet.ssh(robot, f"systemctl show --property=MainPID --value {unit}").strip()


def digest(fleet: Fleet, robot: str, path: str) -> str:
    """The SHA-256 of a file on the robot."""
    return fleet.ssh(robot, f"sha256sum {path}").split()[0]
