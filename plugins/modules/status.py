# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action `status`."""

from __future__ import annotations

DOCUMENTATION = r"""
module: status
short_description: Show what a robot holds and how it does
version_added: 0.1.0
description:
  - Reads the robot's ledger and the state of its units, and prints a table. Changes nothing, and keeps nothing on the robot.
extends_documentation_fragment:
  - k8s4r.robot.deployment
  - k8s4r.robot.deployment.robot
options: {}
author:
  - k8s4r.robot contributors (@k8s4r)
"""

EXAMPLES = r"""
- name: Show what the robots hold
  k8s4r.robot.status:
"""

RETURN = r"""
status:
  description: V(ok).
  returned: success
  type: str
jobs:
  description: The jobs that the robot holds something of.
  returned: success
  type: list
  elements: dict
  contains:
    namespace:
      description: The job's namespace.
      type: str
    name:
      description: The job's name.
      type: str
    whole:
      description: Whether all of its groups are what the last run wanted of them.
      type: bool
    groups:
      description:
        - By the group's id, its C(name), the C(release) and when it was C(committed), its C(ports) and those of them on which nobody
          listens (C(silent)), what it needs and the robot has not got (C(lacks)), data that it left behind (C(kept)), and C(units).
        - Of each unit, by name, C(run) (how it shall run), C(state), C(sub), C(result), C(restarts), C(memory) in bytes,
          C(pid), C(exit_status), and C(since) when it has been up.
      type: dict
busy:
  description: Who is at work on the robot and since when; null when nobody is.
  returned: success
  type: str
interrupted:
  description: The release of a switch that was cut off; null when there is none.
  returned: success
  type: str
"""
