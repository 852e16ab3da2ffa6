#!/usr/bin/python
# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible module: a self-signed authority whose key is made on the machine that keeps it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: spire_authority
short_description: Make a self-signed certificate authority on the machine that keeps its key
version_added: 0.1.0
author: k8s4r.robot contributors (@k8s4r)
description:
  - Makes a private key (ECDSA P-256, mode 0600) and a self-signed certificate for it, once, with the C(openssl) command.
  - An authority that exists is never replaced, not even when it expires soon, because everything that trusts it would be cut
    off. When less than a tenth of its lifetime is left, the module warns.
  - The private key is not returned and does not leave the machine.
  - Where two runs do so at the same time, there is one authority, of which both have the certificate.
options:
  private_key_path:
    description: Absolute path of the private key. Its directory must exist.
    type: path
    required: true
  group:
    description: The group that may read the key, which is root's then, with mode 0640, also where the key was there before.
    type: str
  certificate_path:
    description: Absolute path of the certificate (PEM, mode 0644).
    type: path
    required: true
  common_name:
    description: The name of the authority, which becomes the subject of its certificate.
    type: str
    required: true
  days:
    description: How many days a new certificate is valid.
    type: int
    default: 3650
attributes:
  check_mode:
    description: Reports whether anything would be made, and makes nothing.
    support: full
  diff_mode:
    description: A file is made or not; there is nothing else to show.
    support: none
seealso:
  - module: k8s4r.robot.spire_node_certificate
"""

EXAMPLES = r"""
- name: Make the authority of the robots' node certificates
  k8s4r.robot.spire_authority:
    private_key_path: /etc/spire/server/node-ca.key
    certificate_path: /etc/spire/server/node-ca.pem
    common_name: Robots' node certificates
"""

RETURN = r"""
certificate:
  description: The certificate (PEM). Empty in check mode if there is none yet.
  type: str
  returned: success
not_after:
  description: When the certificate expires, in seconds since the epoch. Absent in check mode if there is no certificate yet.
  type: float
  returned: when there is a certificate
"""

import os
import tempfile
import time

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.k8s4r.robot.plugins.module_utils._provision.files import FileError, add
from ansible_collections.k8s4r.robot.plugins.module_utils._provision.openssl import OpenSSL, OpenSSLError, due

WARN_SHARE = 0.1


def make(module: AnsibleModule, openssl: OpenSSL) -> bool:
    """Make the key and the certificate if they do not exist. Return whether anything was made, or would be in check mode."""
    key, certificate = module.params["private_key_path"], module.params["certificate_path"]
    # The certificate first: another run may be making both, and then the key is there before it.
    have_certificate, have_key = os.path.exists(certificate), os.path.exists(key)
    if have_certificate and not have_key:
        module.fail_json(
            msg=f"{certificate} exists, but its private key {key} does not: restore the key from a backup, "
            "or move the certificate away to start with a new authority, which no robot trusts yet"
        )
    changed = openssl.provide_key(key, module.params["group"], module.check_mode)
    if have_certificate or module.check_mode:
        return changed or not have_certificate
    pem = openssl.self_signed(key, module.params["common_name"], module.params["days"])
    with tempfile.TemporaryDirectory(dir=os.path.dirname(certificate), prefix=".certificate-") as directory:
        temporary = os.path.join(directory, "certificate")
        with open(temporary, "w", encoding="ascii") as file:
            file.write(pem)
            file.flush()
            os.fchmod(file.fileno(), 0o644)
            os.fsync(file.fileno())
        add(temporary, certificate)
    module.set_default_selinux_context(certificate, False)
    return True


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "private_key_path": {"type": "path", "required": True, "no_log": False},
            "group": {"type": "str"},
            "certificate_path": {"type": "path", "required": True},
            "common_name": {"type": "str", "required": True},
            "days": {"type": "int", "default": 3650},
        },
        supports_check_mode=True,
    )
    openssl = OpenSSL(module.run_command)
    key, certificate = module.params["private_key_path"], module.params["certificate_path"]
    try:
        result = {"changed": make(module, openssl), "certificate": ""}
        if os.path.exists(certificate):
            if not openssl.matches(key, certificate):
                module.fail_json(msg=f"{certificate} does not match the private key {key}: one of the two was replaced")
            lifetime = openssl.lifetime(certificate)
            if due(lifetime, time.time(), WARN_SHARE):
                day = time.strftime("%Y-%m-%d", time.gmtime(lifetime[1]))
                module.warn(f"the authority {certificate} expires on {day}: plan its successor")
            with open(certificate, encoding="ascii") as file:
                result.update(certificate=file.read(), not_after=lifetime[1])
    except (FileError, OpenSSLError, OSError) as error:
        module.fail_json(msg=f"the authority {certificate} cannot be made or read: {error}")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
