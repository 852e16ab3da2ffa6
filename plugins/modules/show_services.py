# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action `show_services`."""

from __future__ import annotations

DOCUMENTATION = r"""
module: show_services
short_description: Show where the services of the robots are, and who calls them
version_added: 0.1.0
description:
  - Reads the result of M(k8s4r.robot.status) for every robot of the play, prints one table, and returns what is in it. A service is an
    inbound service of a task group, or a service of a task with a port of its group. A robot that is off has a line, too.
  - Opens no connection. Run it once, with C(run_once).
extends_documentation_fragment:
  - k8s4r.robot.deployment
options:
  status:
    description: The name under which the result of M(k8s4r.robot.status) is registered.
    type: str
    default: k8s4r_status
  job_name:
    description: Show only the services of the jobs of this name. Without it, those of all jobs are shown.
    type: str
    default: ""
author:
  - k8s4r.robot contributors (@k8s4r)
"""

EXAMPLES = r"""
- name: Show where services are
  k8s4r.robot.show_services:
  register: found
  run_once: true

- name: Write their addresses
  ansible.builtin.copy:
    content: "{{ found.services | to_nice_json }}"
    dest: services.json
    mode: "0644"
  delegate_to: localhost
  run_once: true
"""

RETURN = r"""
services:
  description: Each service at each of its addresses, sorted by service and robot.
  returned: always
  type: list
  elements: dict
  contains:
    service:
      description: Its name, namespace/job/group/name.
      type: str
    robot:
      description: The robot. Empty for a service that is called and that no robot has.
      type: str
    address:
      description: Where it is reached, the robot's C(k8s4r_address) unless it listens at one address alone.
      type: str
    port:
      description: The port of the robot. Null for a service that no robot has.
      type: int
    protocol:
      description: V(tcp) or V(udp).
      type: str
    instances:
      description: The instances of its group on the robot that are behind this address.
      type: list
      elements: int
    callers:
      description: The groups, namespace/job/group, that call it by its name, on any robot of the play.
      type: list
      elements: str
    wrong:
      description: What is wrong with it, as the table says it. Empty for a service that is well.
      type: list
      elements: str
lines:
  description: The table.
  returned: always
  type: list
  elements: str
"""
