# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory that plain ``ansible-playbook -i`` accepts. Written as JSON, which is YAML: no library is needed."""

from __future__ import annotations

import json
from pathlib import Path

from tests.robots import mirror
from tests.robots.machine import Setup

TRUST_DOMAIN = "fleet.example"


def ssh_options(known_hosts: Path, control: Path) -> list[str]:
    """Options of ssh that hold for every robot; host keys are known beforehand, so checking them is strict."""
    return [
        *("-o", f"UserKnownHostsFile={known_hosts}", "-o", "StrictHostKeyChecking=yes", "-o", "ControlMaster=auto"),
        *("-o", "ControlPersist=300s", "-o", f"ControlPath={control}/%h", "-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=5"),
    ]


def inventory(setups: list[Setup], key: Path, options: list[str], variables: dict[str, str]) -> str:
    """The robots with their labels. The data centre, or else the first robot, has the SPIRE server."""
    server = next((setup for setup in setups if setup.spec.datacentre), setups[0]).spec.name
    hosts = {
        setup.spec.name: {
            "ansible_host": setup.address,
            "k8s4r_labels": setup.spec.labels,
            **(mirror.host_variables() if setup.spec.has_programs else {}),
        }
        for setup in setups
    }
    tree = {
        "all": {
            "vars": {
                "ansible_user": "root",
                "ansible_python_interpreter": "/usr/bin/python3",
                "ansible_pipelining": True,
                # Two processors have many robots, and a suite that they are busy with. ServerAlive has the same reason.
                "ansible_timeout": 30,
                "ansible_ssh_private_key_file": str(key),
                "ansible_ssh_args": " ".join(options),
                "k8s4r_trust_domain": TRUST_DOMAIN,
                **variables,
            },
            "children": {"robots": {"hosts": hosts}, "spire_server": {"hosts": {server: {}}}},
        }
    }
    return json.dumps(tree, indent=2) + "\n"
