#!/usr/bin/python
# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible module: the registration entries of a SPIRE server."""

from __future__ import annotations

DOCUMENTATION = r"""
module: spire_entries
short_description: Create, update and delete registration entries of a SPIRE server
version_added: 0.1.0
author: k8s4r.robot contributors (@k8s4r)
description:
  - Lists the server's entries, compares them with the wanted ones, and creates, updates and deletes those that differ, in calls
    of at most 1,000 entries. The status of each entry is checked.
  - Runs on the machine of the SPIRE server, because its administrative socket is there. Delegate the task to it.
  - An entry whose O(entries[].entry_id) does not begin with O(prefix) is never changed or deleted.
  - SPIRE's batches are not atomic. If a call fails half way, the next run does the rest.
options:
  entries:
    description: The wanted entries. With O(state=absent), the entries to delete, of which only the id is used.
    type: list
    elements: dict
    required: true
    suboptions:
      entry_id:
        description: The id, unique on the server. It must begin with O(prefix) and have at most 255 characters of A-Z a-z 0-9 _ . -
        type: str
        required: true
      spiffe_id:
        description: The SPIFFE ID that a process gets.
        type: str
      parent_id:
        description: The SPIFFE ID of the agent that the process gets it from.
        type: str
      selectors:
        description: The conditions that a process must meet to get it, all of them.
        type: list
        elements: dict
        suboptions:
          type:
            description: The name of the workload attestor, such as V(unix).
            type: str
            required: true
          value:
            description: The value of its selector, such as V(user:nobody).
            type: str
            required: true
      x509_svid_ttl:
        description: How many seconds a certificate is valid; 0 for the server's default.
        type: int
        default: 0
      dns_names:
        description: DNS names in the certificate. The first is also its common name.
        type: list
        elements: str
        default: []
      federates_with:
        description: Trust domains whose bundles the process gets, too. The server must have them already.
        type: list
        elements: str
        default: []
      hint:
        description: A word by which a process with several identities can tell them apart.
        type: str
        default: ""
  state:
    description:
      - V(present) creates and updates.
      - V(exact) also deletes entries that begin with O(prefix), are in O(scope), and are not wanted.
      - V(absent) deletes the named entries.
    type: str
    choices: [present, exact, absent]
    default: present
  scope:
    description:
      - Path prefixes of SPIFFE IDs, such as V(/ns/default/job/web/). Each begins and ends with a slash. Wanted entries must be
        inside.
      - Required with O(state=exact), because it limits what may be deleted. With O(state=present), the entries that would be
        deleted are returned as RV(superfluous).
    type: list
    elements: str
    default: []
  parents:
    description:
      - The SPIFFE IDs of the agents whose entries in O(scope) may be deleted. An empty list means all agents.
      - A deployment names the robots that it reached, so that the others keep the entries of what they still run.
    type: list
    elements: str
    default: []
  prefix:
    description: The beginning of the ids of all entries that this module may change.
    type: str
    default: k8s4r.
  program:
    description: Absolute path of the C(spire-server) program.
    type: path
    default: /opt/k8s4r/bin/spire-server
  socket:
    description: Absolute path of the server's administrative socket.
    type: path
    default: /run/spire/server/api.sock
attributes:
  check_mode:
    description: Lists and compares the entries, and changes nothing.
    support: full
  diff_mode:
    description: Shows the entries that differ, before and after.
    support: full
"""

EXAMPLES = r"""
- name: Give the web proxy of robot1 its identity, and delete the entries that the job no longer needs
  k8s4r.robot.spire_entries:
    state: exact
    scope: [/ns/default/job/web/]
    entries:
      - entry_id: k8s4r.web-robot1
        spiffe_id: spiffe://fleet.example/ns/default/job/web/group/front
        parent_id: spiffe://fleet.example/spire/agent/x509pop/robot1
        selectors:
          - type: unix
            value: user:web-proxy
        dns_names: [robot1]
  delegate_to: "{{ groups['spire_server'] | first }}"
"""

RETURN = r"""
created:
  description: The ids of the entries that were created, or would be in check mode.
  type: list
  elements: str
  returned: success
updated:
  description: The ids of the entries that were updated.
  type: list
  elements: str
  returned: success
deleted:
  description: The ids of the entries that were deleted.
  type: list
  elements: str
  returned: success
superfluous:
  description: The ids of the entries in O(scope) that are not wanted, which O(state=exact) deletes.
  type: list
  elements: str
  returned: success
"""

import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.k8s4r.robot.plugins.module_utils._provision import registering
from ansible_collections.k8s4r.robot.plugins.module_utils._provision.server import Server, ServerError

SELECTOR = {"type": {"type": "str", "required": True}, "value": {"type": "str", "required": True}}
ENTRY = {
    "entry_id": {"type": "str", "required": True},
    "spiffe_id": {"type": "str"},
    "parent_id": {"type": "str"},
    "selectors": {"type": "list", "elements": "dict", "options": SELECTOR},
    "x509_svid_ttl": {"type": "int", "default": 0},
    "dns_names": {"type": "list", "elements": "str", "default": []},
    "federates_with": {"type": "list", "elements": "str", "default": []},
    "hint": {"type": "str", "default": ""},
}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "entries": {"type": "list", "elements": "dict", "required": True, "options": ENTRY},
            "state": {"type": "str", "choices": ["present", "exact", "absent"], "default": "present"},
            "scope": {"type": "list", "elements": "str", "default": []},
            "parents": {"type": "list", "elements": "str", "default": []},
            "prefix": {"type": "str", "default": "k8s4r."},
            "program": {"type": "path", "default": "/opt/k8s4r/bin/spire-server"},
            "socket": {"type": "path", "default": "/run/spire/server/api.sock"},
        },
        supports_check_mode=True,
    )
    options, program = module.params, module.params["program"]
    try:
        wanted = registering.checked(options)
        if not os.access(program, os.X_OK):
            raise ServerError(f"{program} does not exist on this machine: is this the machine of the SPIRE server, and is it provisioned?")
        server = Server(module.run_command, program, options["socket"])
        result = registering.registered(options, wanted, server.list(), None if module.check_mode else server)
    except ServerError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
