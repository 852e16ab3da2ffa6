# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action `validate`."""

from __future__ import annotations

DOCUMENTATION = r"""
module: validate
short_description: Check job files without a robot
version_added: 0.1.0
description:
  - Reads job files as a deployment does, and reports every error of every file with its line and path.
  - Opens no connection and needs no inventory.
  - With an inventory that has robots, it also says where instances belong, and reports what a robot cannot do. It goes by what each
    robot last reported of itself.
extends_documentation_fragment:
  - k8s4r.robot.deployment
  - k8s4r.robot.deployment.job
options:
  lookups:
    description:
      - Whether to render a C(*.j2) file in which C(lookup), C(query) or C(q) is called. Lookups may run any program on the
        controller, and a file that is only to be checked may be a stranger's. A deployment renders them.
      - Without it, such a file is an error.
    type: bool
    default: false
author:
  - k8s4r.robot contributors (@k8s4r)
"""

EXAMPLES = r"""
- name: Check all job files of a directory
  k8s4r.robot.validate:
    job: jobs/
"""

RETURN = r"""
jobs:
  description: The jobs in the files, as C(namespace/name).
  returned: success
  type: list
  elements: str
  sample: [default/web-service]
placement:
  description: By group, as C(namespace/job/group), and by robot, the instances that belong there. Empty without an inventory.
  returned: success
  type: dict
  sample: {default/web-service/web: {work1: [0, 2], work2: [1]}}
"""
