# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action `compile`."""

from __future__ import annotations

DOCUMENTATION = r"""
module: compile
short_description: Read job files, place them on the fleet and compile every robot
version_added: 0.1.0
description:
  - Reads the job files of a run, places every task group on the robots of the whole inventory group C(robots), whatever
    the run is limited to, and compiles every robot, so that every error of every file is found before any robot is asked.
  - Opens no connection. Runs once per run, with C(run_once).
  - Register its result as C(k8s4r_compiled); M(k8s4r.robot.prepare) and M(k8s4r.robot.entries) read that variable. It
    holds nothing that may not be printed, the job files in it are sealed with the controller's key.
extends_documentation_fragment:
  - k8s4r.robot.deployment
  - k8s4r.robot.deployment.job
options:
  state:
    description: Whether the jobs shall run on the fleet, or shall be taken from every robot.
    type: str
    choices: [present, absent]
    default: present
  namespace:
    description: With O(state=absent) and without O(job), the namespace of the job to take away.
    type: str
    default: default
  name:
    description: With O(state=absent) and without O(job), the name of the job to take away.
    type: str
author:
  - k8s4r.robot contributors (@k8s4r)
"""

EXAMPLES = r"""
- name: Compile the jobs for the whole fleet
  k8s4r.robot.compile:
    job: web-service.yml
  register: k8s4r_compiled
  run_once: true
"""

RETURN = r"""
placement:
  description: The indices of the instances that each robot holds of each group, by C(namespace/job/group).
  returned: when every robot is known
  type: dict
  sample: {default/shop/web: {robot1: [0, 2], robot2: [1, 3]}}
reasons:
  description: Why each robot holds what it holds of each group, or why not, by C(namespace/job/group).
  returned: with C(-v), when every robot is known
  type: dict
robots:
  description: Per robot, the digests of the jobs that it shall hold, what was assumed about it, and its agent's SPIFFE ID.
  returned: when every robot is known
  type: dict
  contains:
    jobs:
      description: Namespace, name and digest of each job, and whether the robot shall hold nothing of it.
      type: list
      elements: dict
    assumptions:
      description: The robot's capabilities as it told them last.
      type: dict
    agent:
      description: The parent of its registration entries; empty without a trust domain.
      type: str
    share:
      description: Its share of fleet and placement for M(k8s4r.robot.prepare), readable with this controller's key alone.
      type: str
texts:
  description: The job files for M(k8s4r.robot.prepare), readable with this controller's key alone.
  returned: when every robot is known
  type: str
unprobed:
  description: Robots of the run that were never asked what they can do; then M(k8s4r.robot.prepare) asks them.
  returned: always
  type: list
  elements: str
who:
  description: Who runs it, and on which controller.
  returned: always
  type: str
"""
