# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action `wait_for_batch`."""

from __future__ import annotations

DOCUMENTATION = r"""
module: wait_for_batch
short_description: Wait until the batch jobs of a run have run to their end
version_added: 0.1.0
description:
  - Waits until all tasks of the run's batch jobs have run to their end on the robot. Fails if one of them failed, with its exit status
    and the last lines that it wrote. Jobs of other types are not waited for.
  - A task has failed when its C(restartPolicy) gives it up. Without one, the robot starts it again for ever; this action then fails at
    its third restart, and the robot goes on.
  - The tasks run whether anybody waits or not. In check mode there is nothing to wait for.
extends_documentation_fragment:
  - k8s4r.robot.deployment
  - k8s4r.robot.deployment.robot
  - k8s4r.robot.deployment.compiled
options:
  seconds:
    description: How many seconds to wait.
    type: int
    default: 3600
author:
  - k8s4r.robot contributors (@k8s4r)
"""

EXAMPLES = r"""
- name: Wait for the batch jobs
  k8s4r.robot.wait_for_batch:
    seconds: 600
"""

RETURN = r"""
finished:
  description: How many tasks have run to their end, with those that ran beside them.
  returned: success
  type: int
  sample: 2
"""
