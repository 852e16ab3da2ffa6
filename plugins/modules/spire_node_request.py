#!/usr/bin/python
# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible module: the robot's part of a node certificate, which is its key and its signing request."""

from __future__ import annotations

DOCUMENTATION = r"""
module: spire_node_request
short_description: Request a node certificate for a robot if one is due
version_added: 0.1.0
author: k8s4r.robot contributors (@k8s4r)
description:
  - With a node certificate a machine proves its name to the C(x509pop) attestor of the SPIRE server. This module runs on that
    machine. It makes the private key there, once, and returns a signing request if a certificate is due.
  - A certificate is due when there is none, when the present one has another name, key or authority, and when less than
    O(renew_at) of its lifetime is left.
  - The private key is not returned and does not leave the machine.
options:
  private_key_path:
    description: Absolute path of the private key. Its directory must exist. A new key is ECDSA P-256, with mode 0600.
    type: path
    required: true
  group:
    description: The group that may read the key, which is root's then, with mode 0640, also where the key was there before.
    type: str
  certificate_path:
    description: Absolute path of the certificate. The module reads it if it exists, and does not write it.
    type: path
    required: true
  common_name:
    description: The name of the certificate, which becomes part of the SPIRE agent's ID.
    type: str
    required: true
  authority:
    description: The certificate (PEM) of the authority that issues node certificates.
    type: str
    required: true
  renew_at:
    description: The share of a certificate's lifetime, 0 to 1. The certificate is due when less than that is left.
    type: float
    default: 0.3333
attributes:
  check_mode:
    description: Reports whether a certificate is due, and makes no key. Without a key there is no request either.
    support: full
  diff_mode:
    description: A key is never shown.
    support: none
seealso:
  - module: k8s4r.robot.spire_node_certificate
"""

EXAMPLES = r"""
- name: Ask for a node certificate when one is due
  k8s4r.robot.spire_node_request:
    private_key_path: /etc/spire/agent/node.key
    certificate_path: /etc/spire/agent/node.pem
    group: spire-agent
    common_name: "{{ inventory_hostname }}"
    authority: "{{ node_authority.certificate }}"
  register: request
"""

RETURN = r"""
due:
  description: Whether a certificate must be issued.
  type: bool
  returned: success
reason:
  description: Why a certificate is due, or that the present one is good.
  type: str
  returned: success
csr:
  description: The signing request (PEM). Empty if no certificate is due, and in check mode if there is no key yet.
  type: str
  returned: success
"""

import os
import time
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.k8s4r.robot.plugins.module_utils._provision.files import FileError
from ansible_collections.k8s4r.robot.plugins.module_utils._provision.openssl import OpenSSL, OpenSSLError, due

DAY = 86400


def why_due(openssl: OpenSSL, parameters: t.Mapping[str, t.Any], now: float) -> t.Optional[str]:
    """Return why a certificate is due, or None. ``now`` is in seconds since the epoch."""
    key, certificate = parameters["private_key_path"], parameters["certificate_path"]
    if not os.path.exists(key):
        return "there is no key yet"
    if not os.path.exists(certificate):
        return "there is no certificate yet"
    if not openssl.matches(key, certificate):
        return "the certificate has another key"
    if openssl.subject(certificate) != "CN=" + parameters["common_name"]:
        return "the certificate has another name"
    if not openssl.issued_by(certificate, parameters["authority"]):
        return "the certificate was issued by another authority"
    start, end = openssl.lifetime(certificate)
    if due((start, end), now, parameters["renew_at"]):
        return f"{(end - now) / DAY:.1f} of {(end - start) / DAY:.1f} days are left"
    return None


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "private_key_path": {"type": "path", "required": True, "no_log": False},
            "group": {"type": "str"},
            "certificate_path": {"type": "path", "required": True},
            "common_name": {"type": "str", "required": True},
            "authority": {"type": "str", "required": True},
            "renew_at": {"type": "float", "default": 0.3333},
        },
        supports_check_mode=True,
    )
    openssl = OpenSSL(module.run_command)
    key = module.params["private_key_path"]
    try:
        reason = why_due(openssl, module.params, time.time())
        changed = openssl.provide_key(key, module.params["group"], module.check_mode)
        csr = openssl.request(key, module.params["common_name"]) if reason and os.path.exists(key) else ""
    except (FileError, OpenSSLError, OSError) as error:
        module.fail_json(msg=f"the node certificate {module.params['certificate_path']} cannot be read or requested: {error}")
    module.exit_json(changed=changed, due=reason is not None, reason=reason or "the certificate is good", csr=csr)


if __name__ == "__main__":
    main()
