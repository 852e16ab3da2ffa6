# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action `compile`."""

from __future__ import annotations

DOCUMENTATION = r"""
module: compile
short_description: Read job files, place their groups on the fleet and compile a plan for every robot
version_added: 0.1.0
description:
  - Reads the job files of a run, places every task group on the robots of the inventory group C(robots), and compiles a plan for
    every robot. Every error of every file is found before any robot is asked.
  - Always looks at the complete group C(robots), whatever the run is limited to.
  - Opens no connection. Run it once, with C(run_once), in a play without C(serial).
  - Register its result as C(k8s4r_compiled), or give its name to M(k8s4r.robot.prepare) and M(k8s4r.robot.entries). It is safe
    to print, because the plans in it are encrypted with the controller's key.
extends_documentation_fragment:
  - k8s4r.robot.deployment
  - k8s4r.robot.deployment.job
options:
  state:
    description: Whether the jobs run on the fleet, or are removed from every robot.
    type: str
    choices: [present, absent]
    default: present
  namespace:
    description: With O(state=absent) and without O(job), the namespace of the job to remove.
    type: str
    default: default
  name:
    description: With O(state=absent) and without O(job), the name of the job to remove.
    type: str
  keep_data:
    description: Whether to keep the data of groups that are removed from a robot.
    type: bool
    default: false
  refresh:
    description: Whether the robots ask again the addresses of artifacts that have no checksum, and the registries of images.
    type: bool
    default: false
  verify_entries:
    description: Whether M(k8s4r.robot.prepare) returns an unchanged robot's registration entries too, to compare them with the server.
    type: bool
    default: false
  wait:
    description: Whether a later task of the run waits for the end of batch jobs, checked here before anything changes.
    type: bool
    default: false
  wait_seconds:
    description: The option O(k8s4r.robot.wait_for_batch#module:seconds) of a later task of the run, checked here before anything changes.
    type: int
  asked:
    description:
      - Whether the robots of the run were asked in this run what they can do.
      - Unless they were, an error that may rest on what a robot reported earlier makes M(k8s4r.robot.prepare) ask it again.
    type: bool
    default: false
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
  description: By group (C(namespace/job/group)) and robot, the indices of the group's instances that the robot runs.
  returned: when every robot is known
  type: dict
  sample: {default/shop/web: {robot1: [0, 2], robot2: [1, 3]}}
everywhere:
  description: The groups of system jobs (C(namespace/job/group)), of which each robot has an instance of its own.
  returned: with O(state=present), when every robot is known
  type: list
  elements: str
files:
  description: By job (C(namespace/job)), the file that describes it.
  returned: with O(state=present), when every robot is known
  type: dict
addresses:
  description: By robot on which groups with inbound services run, the addresses at which other robots reach it.
  returned: with O(state=present), when every robot is known
  type: dict
unheard:
  description: For each robot that has not yet reported its services, its addresses; empty unless the jobs call services of other jobs.
  returned: with O(state=present), when every robot is known
  type: dict
outdated:
  description: For each robot that last reported services of the jobs at another port or address than they are to have, these services.
  returned: with O(state=present), when every robot is known
  type: dict
  sample: {robot2: [default/shop/api/http]}
reasons:
  description: By group (C(namespace/job/group)), why each robot was or was not chosen for it.
  returned: with C(-v) and O(state=present), when every robot is known
  type: dict
robots:
  description: By robot of the run, what M(k8s4r.robot.prepare) needs.
  returned: when every robot is known
  type: dict
  contains:
    jobs:
      description: Namespace, name and digest of each job, and whether it is removed from the robot.
      type: list
      elements: dict
    assumptions:
      description: The robot's capabilities, as it last reported them.
      type: dict
    agent:
      description: The parent ID of its registration entries. Empty without a trust domain.
      type: str
    plan:
      description:
        - Its plan and registration entries, and what groups of other jobs are told of the services that they call, encrypted with the
          controller's key.
      type: str
    mesh:
      description: The digest of what its groups serve and call, and of their pods, as it last said. Only where that may matter to the run.
      type: str
    tells:
      description: The groups of other jobs there that are to hear where a service of the run is now.
      type: list
      elements: str
    downloads:
      description: Who downloads the artifacts of its plan, V(robot) or V(controller).
      type: str
unprobed:
  description: Robots of the run whose capabilities are not known yet, or may be out of date. M(k8s4r.robot.prepare) asks them.
  returned: always
  type: list
  elements: str
state:
  description: The option O(state), for M(k8s4r.robot.collect).
  returned: always
  type: str
keep_data:
  description: The option O(keep_data), for M(k8s4r.robot.prepare).
  returned: always
  type: bool
refresh:
  description: The option O(refresh), for M(k8s4r.robot.prepare).
  returned: always
  type: bool
verify_entries:
  description: The option O(verify_entries), for M(k8s4r.robot.prepare).
  returned: always
  type: bool
identities:
  description:
    - With O(state=absent), whether the jobs may have had registration entries. A job that is given by its name may, whatever it was.
    - With O(state=present), always false.
  returned: always
  type: bool
who:
  description: The user who runs it, and the name of the controller.
  returned: always
  type: str
"""
