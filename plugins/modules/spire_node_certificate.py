#!/usr/bin/python
# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible module: the authority's part of a node certificate, which is to sign it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: spire_node_certificate
short_description: Issue a node certificate for a robot's request
version_added: 0.1.0
author: k8s4r.robot contributors (@k8s4r)
description:
  - Runs on the machine that keeps the key of the node authority, and signs the request that M(k8s4r.robot.spire_node_request)
    returned on a robot. Writes no file.
  - The caller names the robot. A request with any other subject is refused, so that a robot that an attacker controls cannot
    obtain the identity of another robot.
options:
  csr:
    description: The signing request (PEM).
    type: str
    required: true
  common_name:
    description: The name of the robot. It must be the complete subject of the request.
    type: str
    required: true
  authority_private_key_path:
    description: Absolute path of the authority's private key.
    type: path
    required: true
  authority_certificate_path:
    description: Absolute path of the authority's certificate.
    type: path
    required: true
  days:
    description:
      - How many days the certificate is valid.
      - A robot whose certificate expires while it is off needs a run of Ansible to get a new one.
    type: int
    default: 730
attributes:
  check_mode:
    description: Signs nothing, and returns an empty certificate.
    support: full
  diff_mode:
    description: Nothing is written.
    support: none
seealso:
  - module: k8s4r.robot.spire_authority
  - module: k8s4r.robot.spire_node_request
"""

EXAMPLES = r"""
- name: Issue the node certificate
  k8s4r.robot.spire_node_certificate:
    csr: "{{ request.csr }}"
    common_name: "{{ inventory_hostname }}"
    authority_private_key_path: /etc/spire/server/node-ca.key
    authority_certificate_path: /etc/spire/server/node-ca.pem
  delegate_to: "{{ groups['spire_server'] | first }}"
  when: request.due
  register: issued
"""

RETURN = r"""
certificate:
  description: The node certificate (PEM). Empty in check mode.
  type: str
  returned: success
"""

import re

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.k8s4r.robot.plugins.module_utils._provision import names
from ansible_collections.k8s4r.robot.plugins.module_utils._provision.openssl import OpenSSL, OpenSSLError


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "csr": {"type": "str", "required": True},
            "common_name": {"type": "str", "required": True},
            "authority_private_key_path": {"type": "path", "required": True, "no_log": False},
            "authority_certificate_path": {"type": "path", "required": True},
            "days": {"type": "int", "default": 730},
        },
        supports_check_mode=True,
    )
    name = module.params["common_name"]
    if not re.fullmatch(names.AGENT, name):
        module.fail_json(msg=f"a node certificate cannot have the name {name!r}; such a name has {names.ALLOWED}")
    if module.check_mode:
        module.exit_json(changed=True, certificate="")
    openssl = OpenSSL(module.run_command)
    try:
        subject = openssl.request_subject(module.params["csr"])
        if subject != "CN=" + name:
            module.fail_json(msg=f"the request of {name} is refused, because its subject is {subject!r} and not 'CN={name}'")
        certificate = openssl.sign(
            module.params["csr"],
            module.params["authority_private_key_path"],
            module.params["authority_certificate_path"],
            module.params["days"],
        )
    except (OpenSSLError, OSError) as error:
        module.fail_json(msg=f"the node certificate for {name} cannot be issued: {error}")
    module.exit_json(changed=True, certificate=certificate)


if __name__ == "__main__":
    main()
