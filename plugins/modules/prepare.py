# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action `prepare`."""

from __future__ import annotations

DOCUMENTATION = r"""
module: prepare
short_description: Ask a robot whether anything has to change, and stage what has
version_added: 0.1.0
description:
  - One round trip to the robot. Where its ledger holds what the jobs want and nothing has drifted, that is all.
  - Else the plan is sent, checked against the robot (ports, disk, programs, units, proxies) and staged beside what runs.
    Nothing that runs is touched.
  - Reads the variable C(k8s4r_compiled), the result of M(k8s4r.robot.compile). Register its own as C(k8s4r_prepared).
  - The robot side is kept on the robot under its digest. In check mode a missing one runs from memory instead.
  - A refusal by the robot does not fail this task. M(k8s4r.robot.collect) reports the refusals of all robots together.
extends_documentation_fragment:
  - k8s4r.robot.deployment
  - k8s4r.robot.deployment.robot
attributes:
  diff_mode:
    description: Returns what would change, but for secrets; M(k8s4r.robot.switch) shows it.
    support: full
options:
  keep_data:
    description: Whether the data of groups that leave the robot stays there.
    type: bool
    default: false
  with_entries:
    description: Whether an unchanged robot's registration entries are returned too, to compare them with the server.
    type: bool
    default: false
author:
  - k8s4r.robot contributors (@k8s4r)
"""

EXAMPLES = r"""
- name: Prepare the robots
  k8s4r.robot.prepare:
  register: k8s4r_prepared
"""

RETURN = r"""
status:
  description:
    - V(unchanged) or V(prepared).
    - V(refused) for a robot that cannot take the plan or cannot be talked to, and V(failed) where its engine came to
      grief; M(k8s4r.robot.collect) ends the run on both.
    - V(stale) for a robot that is not as it was assumed to be, or was never asked; it is known from now on.
    - V(waiting) for a robot that is not asked yet because another one is unknown.
  returned: always
  type: str
  sample: prepared
changed:
  description: Whether the robot is a bare one in a check, which comes to no switch that would tell of the changes.
  returned: always
  type: bool
differs:
  description: Whether a switch would change anything on the robot.
  returned: when prepared
  type: bool
steps:
  description: What a switch will do, in order.
  returned: when prepared
  type: list
  elements: str
difference:
  description:
    - What is made or removed, before and after, each with its place on the robot; empty without C(--diff).
    - M(k8s4r.robot.switch) returns it as C(diff).
  returned: when prepared
  type: list
  elements: dict
diff:
  description: The same for a bare robot in a check, else empty.
  returned: when prepared
  type: list
  elements: dict
missing:
  description: What provisioning has to install first, by the names of its roles.
  returned: when prepared
  type: list
  elements: str
errors:
  description: Why the robot refuses, or what failed.
  returned: when refused or failed
  type: list
  elements: str
release:
  description: The staged release; null in check mode, where nothing has to change, and where something is missing.
  returned: when prepared
  type: str
entries:
  description: The registration entries that the robot's groups need.
  returned: when the plan was compiled, because the robot differs or with O(with_entries)
  type: list
  elements: dict
endpoints:
  description: Where the proxies of the robot's groups will listen.
  returned: when the plan was compiled, because the robot differs or with O(with_entries)
  type: list
  elements: dict
"""
