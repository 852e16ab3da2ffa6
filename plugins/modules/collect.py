# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action `collect`."""

from __future__ import annotations

DOCUMENTATION = r"""
module: collect
short_description: Collect the robots' answers to prepare
version_added: 0.1.0
description:
  - Reads the result of M(k8s4r.robot.prepare) for every robot that is still in the play. Fails with all errors of all robots
    if any robot refuses. Robots that could not be reached have left the play and do not stop the others.
  - Otherwise returns which machines belong to which dynamic groups of the run.
  - Opens no connection. Run it once, with C(run_once).
extends_documentation_fragment:
  - k8s4r.robot.deployment
options:
  provisioned:
    description: Whether provisioning has run. If so, a program that is still missing is an error.
    type: bool
    default: false
  prepared:
    description: The name under which the result of M(k8s4r.robot.prepare) is registered.
    type: str
    default: k8s4r_prepared
  compiled:
    description: The name under which the result of M(k8s4r.robot.compile) is registered.
    type: str
    default: k8s4r_compiled
author:
  - k8s4r.robot contributors (@k8s4r)
"""

EXAMPLES = r"""
- name: Collect their answers
  k8s4r.robot.collect:
  register: k8s4r_collected
  run_once: true
"""

RETURN = r"""
members:
  description:
    - Pairs of a machine and a group that it belongs to.
    - The groups are C(k8s4r_again) (compile and prepare again), C(k8s4r_bare) (prepare again after provisioning),
      C(k8s4r_without_<role>) (provision that role), and C(k8s4r_switch) (switch).
  returned: always
  type: list
  elements: dict
  sample: [{robot: robot1, group: k8s4r_switch}]
moves:
  description:
    - What moves away from each robot, by the group's id. C(to) has the robot that is to run each instance.
    - M(k8s4r.robot.switch) lets a robot keep it until then.
  returned: always
  type: dict
  sample: {robot1: {shop-web-0a1b2c3d: {group: default/shop/web, to: {1: robot2}}}}
lost:
  description: Robots of the play that could not be reached.
  returned: always
  type: list
  elements: str
"""
