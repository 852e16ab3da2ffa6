# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action `textfile`."""

from __future__ import annotations

DOCUMENTATION = r"""
module: textfile
short_description: Have a robot write its statistics for Prometheus' node_exporter
version_added: 0.1.0
description:
  - Makes a timer and a service that write the file C(k8s4r.prom), every 30 seconds, into the directory of node_exporter's collector
    C(textfile). Nothing stays resident in between.
  - Without a directory, both are removed, with the file.
  - The playbook C(k8s4r.robot.provision) does this with the variable C(k8s4r_textfile_directory) of each robot.
extends_documentation_fragment:
  - k8s4r.robot.deployment
  - k8s4r.robot.deployment.robot
options:
  directory:
    description:
      - The absolute path of the collector's directory on the robot, C(--collector.textfile.directory) of node_exporter. It must be there,
        and no link may lead to it. After a boot, nothing is written as long as it is not there.
      - If it is empty, nothing is written any more.
    type: str
    default: ""
author:
  - k8s4r.robot contributors (@k8s4r)
"""

EXAMPLES = r"""
- name: Write statistics where Debian's node_exporter reads them
  k8s4r.robot.textfile:
    directory: /var/lib/prometheus/node-exporter

- name: Write them no longer
  k8s4r.robot.textfile:
"""

RETURN = r"""
changed:
  description: Whether anything had to change on the robot.
  returned: success
  type: bool
"""
