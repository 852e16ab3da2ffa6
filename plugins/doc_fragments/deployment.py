# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation that the actions of a deployment share."""

from __future__ import annotations


class ModuleDocFragment:
    # What every action of a deployment supports.
    DOCUMENTATION = r"""
attributes:
  check_mode:
    description: Can run in C(check_mode) and return what a run would change, without changing anything on the target.
    support: full
  platform:
    description: Target systems that are supported.
    support: full
    platforms: linux
requirements:
  - ansible-core 2.19 or later on the controller.
notes:
  - The strategy C(linear) is needed, because the steps of a deployment wait for each other.
"""

    # Where job files come from.
    JOB = r"""
options:
  job:
    description:
      - A job file, several as a list or with commas between them, or a directory whose job files are taken in the order of their names.
      - Relative paths count from the directory where the command was typed.
      - A file named C(*.j2) is rendered by Jinja first, once per run, with the extra variables and the dictionary
        C(k8s4r_vars) of the inventory's group C(all).
      - Files that are vaulted whole, and C(!vault) values, are decrypted.
    type: raw
"""

    # What actions on a robot need there.
    ROBOT = r"""
options: {}
requirements:
  - Python 3.8 or later and systemd 245 or later on the robot.
  - Root on the robot, by login or by C(become).
"""
