# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action `probe`."""

from __future__ import annotations

DOCUMENTATION = r"""
module: probe
short_description: Ask a robot what it can do
version_added: 0.1.0
description:
  - Returns the robot's capabilities and remembers them on the controller, where placement and compiler look them up.
  - A deployment does so by itself for robots whose capabilities are not known yet.
extends_documentation_fragment:
  - k8s4r.robot.deployment
  - k8s4r.robot.deployment.robot
options: {}
author:
  - k8s4r.robot contributors (@k8s4r)
"""

EXAMPLES = r"""
- name: Ask the robots what they can do
  k8s4r.robot.probe:
"""

RETURN = r"""
capabilities:
  description: The capabilities by name. Job files use them as C(${attr.<name>}).
  returned: success
  type: dict
  sample: {systemd: "252", cgroup: "2", arch: amd64}
"""
