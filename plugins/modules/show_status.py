# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action `show_status`."""

from __future__ import annotations

DOCUMENTATION = r"""
module: show_status
short_description: Show what the robots run as a table
version_added: 0.1.0
description:
  - Reads the result of M(k8s4r.robot.status) for every robot of the play and prints one table. A task group that is well takes one line;
    units are shown if something is wrong, or if one job is asked for. A robot that is off has a line, too.
  - Opens no connection. Run it once, with C(run_once).
extends_documentation_fragment:
  - k8s4r.robot.deployment
options:
  status:
    description: The name under which the result of M(k8s4r.robot.status) is registered.
    type: str
    default: k8s4r_status
  job_name:
    description: Show only the jobs of this name, with all of their units. Without it, all jobs are shown.
    type: str
    default: ""
  problems:
    description: Show only what is wrong.
    type: bool
    default: false
author:
  - k8s4r.robot contributors (@k8s4r)
"""

EXAMPLES = r"""
- name: Show what runs
  k8s4r.robot.show_status:
    problems: true
  run_once: true
"""

RETURN = r"""
lines:
  description: The table.
  returned: always
  type: list
  elements: str
"""
