# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action `held`."""

from __future__ import annotations

DOCUMENTATION = r"""
module: held
short_description: Ask a robot which units of a run's jobs it has now
version_added: 0.1.0
description:
  - Returns the units that the robot has of the jobs, or that a release which is staged there will have.
  - Use it right before M(k8s4r.robot.entries) with O(k8s4r.robot.entries#module:state=exact), which leaves the identities of these units
    registered. Another controller may have deployed the jobs since this run switched the robot.
  - Warns if the robot does not answer. In check mode it is not asked.
extends_documentation_fragment:
  - k8s4r.robot.deployment
  - k8s4r.robot.deployment.robot
  - k8s4r.robot.deployment.compiled
author:
  - k8s4r.robot contributors (@k8s4r)
"""

EXAMPLES = r"""
- name: Ask the robots what they have now
  k8s4r.robot.held:
  register: k8s4r_held
"""

RETURN = r"""
units:
  description: The names of the units.
  returned: when the robot has answered
  type: list
  elements: str
  sample: [k8s4r-proxy-web-front-1a2b3c4d.service]
"""
