#!/usr/bin/python
# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible module: the robot's half of a node certificate, its key and its signing request."""

from __future__ import annotations

DOCUMENTATION = r"""
module: spire_node_request
short_description: Say whether a robot needs a node certificate, and request it
version_added: 0.1.0
author: k8s4r.robot contributors (@k8s4r)
description:
  - A node certificate is what a machine shows to the SPIRE server's C(x509pop) attestor. This module runs on that machine.
    It makes the private key there, once, and returns a signing request when a certificate is due.
  - A certificate is due when there is none, when it is for another name, key or authority, and when less than O(renew_at)
    of its life is left.
  - The private key is not returned and does not leave the machine.
options:
  private_key_path:
    description: Absolute path of the private key (ECDSA P-256, mode 0600 when it is made here). Its directory must exist.
    type: path
    required: true
  certificate_path:
    description: Absolute path of the certificate that is there, or will be.
    type: path
    required: true
  common_name:
    description: The name that the certificate is for; the SPIRE agent's ID is made of it.
    type: str
    required: true
  authority:
    description: The certificate (PEM) of the authority that issues node certificates.
    type: str
    required: true
  renew_at:
    description: The share of a certificate's life, 0 to 1, that is left when it is renewed.
    type: float
    default: 0.3333
attributes:
  check_mode:
    description: Says what is due, and makes no key; without a key there is no request either.
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
  description: Why one is due, or how long the present one lasts.
  type: str
  returned: success
csr:
  description: The signing request (PEM); empty when none is due, and in check mode when there is no key yet.
  type: str
  returned: success
"""

import os
import time

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.k8s4r.robot.plugins.module_utils._provision.openssl import OpenSSL, OpenSSLError, due

DAY = 86400


def why_due(openssl, parameters, now):
    """Return why a certificate is due, or None."""
    key, certificate = parameters["private_key_path"], parameters["certificate_path"]
    if not os.path.exists(key):
        return "there is no key yet"
    if not os.path.exists(certificate):
        return "there is no certificate yet"
    if not openssl.matches(key, certificate):
        return "the certificate is for another key"
    if openssl.subject(certificate) != "CN=" + parameters["common_name"]:
        return "the certificate is for another name"
    if not openssl.issued_by(certificate, parameters["authority"]):
        return "the certificate is of another authority"
    life = openssl.life(certificate)
    if due(life, now, parameters["renew_at"]):
        return f"{(life[1] - now) / DAY:.1f} of {(life[1] - life[0]) / DAY:.1f} days are left"
    return None


def main():
    module = AnsibleModule(
        argument_spec={
            "private_key_path": {"type": "path", "required": True, "no_log": False},
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
        new_key = not os.path.exists(key)
        if new_key and not module.check_mode:
            openssl.new_key(key)
        csr = openssl.request(key, module.params["common_name"]) if reason and os.path.exists(key) else ""
    except (OpenSSLError, OSError) as error:
        module.fail_json(msg=f"the node certificate {module.params['certificate_path']} cannot be examined: {error}")
    module.exit_json(changed=new_key, due=reason is not None, reason=reason or "the certificate is good", csr=csr)


if __name__ == "__main__":
    main()
