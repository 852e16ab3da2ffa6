#!/usr/bin/python
# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible module: as whom and by which root a robot's SPIRE agent has attested, and the note of it that a deployment reads."""

from __future__ import annotations

DOCUMENTATION = r"""
module: spire_agent_name
short_description: Read, and note, the name of a robot's SPIRE agent, and see whether it trusts its server
version_added: 0.1.0
author: k8s4r.robot contributors (@k8s4r)
description:
  - An agent keeps the name under which it first attested. If the robot is renamed in the inventory, or its disk is copied to another
    robot, the agent still has the old name, and no registration entry for the new name reaches it.
  - An agent also keeps the trust bundle of its server. If the server lost its data and was built again with a new root, the agent
    trusts it no more, and never gets an identity by itself again.
  - This module reads the agent's own certificate and trust bundle. It runs on the robot.
  - The note is an empty file in O(directory), whose name is the robot's, with C(@join_token) behind it where the agent has attested with a
    join token. A deployment that needs an identity looks for it.
options:
  data:
    description: Absolute path of the file in which the agent keeps its certificate and its trust bundle.
    type: path
    default: /var/lib/spire/agent/agent-data.json
  bundle:
    description: The server's trust bundle, as PEM. Without it the agent's own bundle is not looked at.
    type: str
    default: ""
  directory:
    description: Absolute path of the directory with the note. The directory above it must exist.
    type: path
    default: /etc/spire/agent/names
  note:
    description: The name of the file, to be noted as the agent's. Any other note is removed. Nothing is noted without this option.
    type: str
  withdraw:
    description: Whether any note is removed, and none written.
    type: bool
    default: false
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

- name: See also whether it still trusts its server
  k8s4r.robot.spire_agent_name:
    bundle: "{{ server.stdout }}"
  register: agent
"""

RETURN = r"""
id:
  description: The SPIFFE ID of the agent. Empty if it has not attested yet.
  type: str
  returned: success
other_root:
  description: Whether the agent's own trust bundle has no certificate of O(bundle). False if there is nothing to compare.
  type: bool
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
import re
import time
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.k8s4r.robot.plugins.module_utils._provision.openssl import OpenSSL, OpenSSLError

STARTING = 5.0
"""For how many seconds a file without a bundle is read again."""

CERTIFICATE = re.compile("-----BEGIN CERTIFICATE-----(.+?)-----END CERTIFICATE-----", re.DOTALL)


def kept(path: str) -> t.Dict[str, t.List[str]]:
    """Return what the agent keeps: its certificate with what follows (svid), and its trust bundle (bundle), each as PEM."""
    try:
        with open(path, encoding="utf-8") as file:
            data = json.load(file)
        return {key: [base64.b64decode(one).decode() for one in data.get(key) or []] for key in ("svid", "bundle")}
    except (FileNotFoundError, ValueError, AttributeError, TypeError, LookupError):
        # SPIRE itself attests again if it cannot read its file.
        return {"svid": [], "bundle": []}


def settled(path: str) -> t.Dict[str, t.List[str]]:
    """Return what the agent keeps, once it is whole: an agent that starts (1.13.0) writes its file for a moment without the bundle."""
    until = time.monotonic() + STARTING
    found = kept(path)
    while found["svid"] and not found["bundle"] and time.monotonic() < until:
        time.sleep(0.05)
        found = kept(path)
    return found


def certificates(pem: str) -> t.Set[str]:
    """Return the certificates in a text, in base64 without line breaks."""
    return {"".join(found.split()) for found in CERTIFICATE.findall(pem)}


def other_root(bundle: t.Sequence[str], servers: str) -> bool:
    """Return whether the agent's bundle and the server's have nothing in common."""
    own, wanted = certificates("".join(bundle)), certificates(servers)
    return bool(own and wanted) and own.isdisjoint(wanted)


def noted(directory: str) -> t.List[str]:
    """Return the names that are noted."""
    try:
        return sorted(os.listdir(directory))
    except FileNotFoundError:
        return []


def write(directory: str, name: t.Optional[str], before: t.Sequence[str]) -> None:
    """Make this name the only one that is noted; without one, none is."""
    os.makedirs(directory, mode=0o755, exist_ok=True)
    for other in before:
        if other != name:
            os.unlink(os.path.join(directory, other))
    if name is None:
        return
    with open(os.path.join(directory, name), "a", encoding="utf-8"):
        pass


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "data": {"type": "path", "default": "/var/lib/spire/agent/agent-data.json"},
            "bundle": {"type": "str", "default": ""},
            "directory": {"type": "path", "default": "/etc/spire/agent/names"},
            "note": {"type": "str"},
            "withdraw": {"type": "bool", "default": False},
        },
        mutually_exclusive=[("note", "withdraw")],
        supports_check_mode=True,
    )
    directory, name = module.params["directory"], module.params["note"]
    try:
        agent = settled(module.params["data"])
        certificate = "".join(agent["svid"][:1])
        found = OpenSSL(module.run_command).spiffe_id(certificate) if certificate else ""
        names = noted(directory)
        changed = bool(names) if module.params["withdraw"] else name is not None and names != [name]
        if changed and not module.check_mode:
            write(directory, name, names)
    except (OpenSSLError, OSError) as error:
        module.fail_json(msg=f"the name of the SPIRE agent cannot be read or noted: {error}")
    module.exit_json(changed=changed, id=found, other_root=other_root(agent["bundle"], module.params["bundle"]), names=names)


if __name__ == "__main__":
    main()
