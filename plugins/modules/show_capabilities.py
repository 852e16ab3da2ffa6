# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action `show_capabilities`."""

from __future__ import annotations

DOCUMENTATION = r"""
module: show_capabilities
short_description: Show what the robots can do as a table
version_added: 0.1.0
description:
  - Reads the result of M(k8s4r.robot.probe) for every robot of the play and prints one table, with what a robot cannot do of what a
    job file may ask for, and why. A robot that is off has a line, too.
  - Opens no connection. Run it once, with C(run_once).
extends_documentation_fragment:
  - k8s4r.robot.deployment
options:
  probed:
    description: The name under which the result of M(k8s4r.robot.probe) is registered.
    type: str
    default: k8s4r_probed
author:
  - k8s4r.robot contributors (@k8s4r)
"""

EXAMPLES = r"""
- name: Show what the robots can do
  k8s4r.robot.show_capabilities:
  run_once: true
"""

RETURN = r"""
lines:
  description: The table.
  returned: always
  type: list
  elements: str
"""
