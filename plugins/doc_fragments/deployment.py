# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation that the actions of a deployment share."""

from __future__ import annotations


class ModuleDocFragment:
    # For every action of a deployment.
    DOCUMENTATION = r"""
attributes:
  check_mode:
    description: Returns what a run would change, without changing anything on the target.
    support: full
  platform:
    description: The supported target systems.
    support: full
    platforms: linux
requirements:
  - ansible-core 2.19 or later on the controller.
notes:
  - The strategy C(linear) is required, because the steps of a deployment wait for each other.
"""

    # For actions that read job files.
    JOB = r"""
options:
  job:
    description:
      - A job file; several job files, as a list or separated by commas; or a directory, whose job files are read in the order of
        their names.
      - Relative paths start at the directory where the command is run.
      - A file named C(*.j2) is a Jinja template. It is rendered once per run, with the extra variables and the dictionary C(k8s4r_vars)
        of the inventory's group C(all).
      - Files that are encrypted as a whole with Ansible Vault, and C(!vault) values, are decrypted.
    type: raw
"""

    # For actions that take up what `compile` has returned.
    COMPILED = r"""
options:
  compiled:
    description: The name under which the result of M(k8s4r.robot.compile) is registered.
    type: str
    default: k8s4r_compiled
"""

    # For actions that connect to a robot.
    ROBOT = r"""
options: {}
requirements:
  - Python 3.8 or later and systemd 245 or later on the robot.
  - Root on the robot, by login or with C(become).
"""
