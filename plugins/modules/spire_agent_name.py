#!/usr/bin/python
# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible module: as whom a robot's SPIRE agent has attested, and the note of it that a deployment reads."""

from __future__ import annotations

DOCUMENTATION = r"""
module: spire_agent_name
short_description: Read, and note, the name of a robot's SPIRE agent
version_added: 0.1.0
author: k8s4r.robot contributors (@k8s4r)
description:
  - An agent keeps the name under which it first attested. If the robot is renamed in the inventory, or its disk is copied to another
    robot, the agent still has the old name, and no registration entry for the new name reaches it.
  - This module reads the agent's own certificate. It runs on the robot.
  - The note is an empty file in O(directory), whose name is the robot's. A deployment that needs an identity looks for it.
options:
  data:
    description: Absolute path of the file in which the agent keeps its certificate.
    type: path
    default: /var/lib/spire/agent/agent-data.json
  directory:
    description: Absolute path of the directory with the note. The directory above it must exist.
    type: path
    default: /etc/spire/agent/names
  note:
    description: The robot's name, to be noted as the agent's. Any other note is removed. Nothing is noted without this option.
    type: str
attributes:
  check_mode:
    description: Reports whether the note would change.
    support: full
  diff_mode:
    description: Shows no difference.
    support: none
"""

EXAMPLES = r"""
- name: Read the name under which the agent has attested
  k8s4r.robot.spire_agent_name:
  register: agent
"""

RETURN = r"""
id:
  description: The SPIFFE ID of the agent. Empty if it has not attested yet.
  type: str
  returned: success
names:
  description: The names that were noted before.
  type: list
  elements: str
  returned: success
"""

import base64
import json
import os
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.k8s4r.robot.plugins.module_utils._provision.openssl import OpenSSL, OpenSSLError


def agent_id(openssl: OpenSSL, path: str) -> str:
    """Return the SPIFFE ID in the agent's certificate; empty if there is none."""
    try:
        with open(path, encoding="utf-8") as file:
            chain = json.load(file).get("svid") or [""]
        certificate = base64.b64decode(chain[0]).decode()
    except FileNotFoundError:
        return ""
    except (ValueError, AttributeError, TypeError, LookupError):
        # SPIRE itself attests again if it cannot read its file.
        return ""
    return openssl.spiffe_id(certificate) if certificate else ""


def noted(directory: str) -> t.List[str]:
    """Return the names that are noted."""
    try:
        return sorted(os.listdir(directory))
    except FileNotFoundError:
        return []


def write(directory: str, name: str, before: t.Sequence[str]) -> None:
    """Make this name the only one that is noted."""
    os.makedirs(directory, mode=0o755, exist_ok=True)
    for other in before:
        if other != name:
            os.unlink(os.path.join(directory, other))
    with open(os.path.join(directory, name), "a", encoding="utf-8"):
        pass


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "data": {"type": "path", "default": "/var/lib/spire/agent/agent-data.json"},
            "directory": {"type": "path", "default": "/etc/spire/agent/names"},
            "note": {"type": "str"},
        },
        supports_check_mode=True,
    )
    directory, name = module.params["directory"], module.params["note"]
    try:
        found = agent_id(OpenSSL(module.run_command), module.params["data"])
        names = noted(directory)
        changed = name is not None and names != [name]
        if changed and not module.check_mode:
            write(directory, name, names)
    except (OpenSSLError, OSError) as error:
        module.fail_json(msg=f"the name of the SPIRE agent cannot be read or noted: {error}")
    module.exit_json(changed=changed, id=found, names=names)


if __name__ == "__main__":
    main()
