#!/usr/bin/python
# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible module: what the roles must know of a machine before they change it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: machine
short_description: Look at a machine before it is provisioned
version_added: 0.1.0
author: k8s4r.robot contributors (@k8s4r)
description:
  - Reads in one call what the roles of this collection ask of a machine; M(ansible.builtin.setup) takes longer and tells less.
  - Changes nothing.
options: {}
attributes:
  check_mode:
    description: Does the same.
    support: full
  diff_mode:
    description: Shows no difference.
    support: none
"""

EXAMPLES = r"""
- name: Look at the machine
  k8s4r.robot.machine:
  register: machine
"""

RETURN = r"""
init:
  description: The name of the first process, or C(systemd) where systemd says that it is.
  type: str
  returned: success
  sample: systemd
systemd:
  description: The version of systemd; 0 if there is none.
  type: int
  returned: success
  sample: 252
architecture:
  description: The architecture of its programs, as the kernel names it.
  type: str
  returned: success
  sample: x86_64
python:
  description: The version of the Python that runs the modules.
  type: str
  returned: success
  sample: 3.11.2
"""

import os
import platform

from ansible.module_utils.basic import AnsibleModule


def init() -> str:
    """Return the name of the first process."""
    # As sd_booted(3) asks: whether systemd runs, not whether it is installed.
    if os.path.isdir("/run/systemd/system"):
        return "systemd"
    try:
        with open("/proc/1/comm", encoding="utf-8") as file:
            return file.read().strip()
    except OSError:
        return "unknown"


def systemd(module: AnsibleModule) -> int:
    """Return the version of systemd (\"systemd 252 (252.22-1~deb12u1)\"); 0 if there is none."""
    if module.get_bin_path("systemctl") is None:
        return 0
    words = module.run_command(["systemctl", "--version"])[1].split()
    return int(words[1]) if words[1:] and words[1].isdigit() else 0


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    module.exit_json(
        changed=False,
        init=init(),
        systemd=systemd(module),
        architecture=platform.machine(),
        python=platform.python_version(),
    )


if __name__ == "__main__":
    main()
