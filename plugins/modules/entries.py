# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action `entries`."""

from __future__ import annotations

DOCUMENTATION = r"""
module: entries
short_description: Update the SPIRE server's registration entries for a deployment
version_added: 0.1.0
description:
  - Registers the entries that M(k8s4r.robot.prepare) returned, as M(k8s4r.robot.spire_entries) does, but without a module on the
    server's machine, which would take most of the time.
  - Run it once, with C(run_once). Delegate it to the machine of the SPIRE server, which is then reached under C(--limit) too.
  - Does not connect if there is nothing to do, so that jobs without a network do not need the server.
  - Fails if there is something to do and the server's machine cannot be reached, or if a robot and the server's machine both have
    the connection C(local), as with C(ansible-pull).
extends_documentation_fragment:
  - k8s4r.robot.deployment
  - k8s4r.robot.deployment.compiled
attributes:
  diff_mode:
    description: Shows the entries that differ.
    support: full
options:
  state:
    description:
      - V(present) creates and updates entries. Use it before the robots switch.
      - V(exact) also deletes the entries that are no longer needed by robots that have committed. A robot that rolled back keeps
        its entries.
      - Only entries of robots that M(k8s4r.robot.held) has asked are deleted, and none of a unit that the robot has. In check mode, all
        that this run does not need count as deleted.
    type: str
    choices: [present, exact]
    default: present
  delete:
    description: Whether O(state=exact) deletes. With V(false) it only names what it would delete, as RV(superfluous).
    type: bool
    default: true
  prepared:
    description: The name under which the result of M(k8s4r.robot.prepare) is registered.
    type: str
    default: k8s4r_prepared
  switched:
    description: The name under which the result of M(k8s4r.robot.switch) is registered, if there was one.
    type: str
    default: k8s4r_switched
  held:
    description: The name under which the result of M(k8s4r.robot.held) is registered.
    type: str
    default: k8s4r_held
author:
  - k8s4r.robot contributors (@k8s4r)
"""

EXAMPLES = r"""
- name: Give the proxies their identities
  k8s4r.robot.entries:
  delegate_to: "{{ groups.spire_server | first }}"
  run_once: true
"""

RETURN = r"""
created:
  description: The ids of the entries that were created, or would be in check mode.
  returned: when there was something to do
  type: list
  elements: str
updated:
  description: The ids of the entries that were updated, or would be.
  returned: when the server was asked
  type: list
  elements: str
deleted:
  description: The ids of the entries that were deleted, or would be.
  returned: when the server was asked
  type: list
  elements: str
superfluous:
  description: The ids of the entries of these robots that the jobs no longer need, which O(state=exact) deletes.
  returned: when the server was asked
  type: list
  elements: str
"""
