# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action `server`."""

from __future__ import annotations

DOCUMENTATION = r"""
module: server
short_description: See whether the SPIRE server can be asked
version_added: 0.1.0
description:
  - Fails, and says why, if the machine of the SPIRE server cannot be reached. The result says whether the server runs there.
  - Also fails if a robot of the play and the server's machine both have the connection C(local), as with C(ansible-pull), because
    the robot would then be taken for the server's machine.
  - Run it once, with C(run_once), and delegate it to the machine of the SPIRE server.
extends_documentation_fragment:
  - k8s4r.robot.deployment
options:
  host:
    description: The inventory name of the server's machine.
    type: str
    required: true
author:
  - k8s4r.robot contributors (@k8s4r)
"""

EXAMPLES = r"""
- name: Check that the server can be asked
  k8s4r.robot.server:
    host: "{{ groups.spire_server | first }}"
  delegate_to: "{{ groups.spire_server | first }}"
  run_once: true
"""

RETURN = r"""
problem:
  description: Why the server cannot be asked although its machine can be reached. Empty if it can.
  returned: success
  type: str
  sample: "there is no SPIRE server on hub yet; install it with: ansible-playbook k8s4r.robot.provision"
state:
  description: Whether the server runs on its machine (V(up)), is installed and does not (V(down)), or is not installed (V(none)).
  returned: success
  type: str
  sample: up
"""
