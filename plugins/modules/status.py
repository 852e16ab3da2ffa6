# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action `status`."""

from __future__ import annotations

DOCUMENTATION = r"""
module: status
short_description: Ask a robot which jobs it has and what their units do
version_added: 0.1.0
description:
  - Reads the robot's ledger and the state of its units. Changes nothing and leaves nothing on the robot.
  - A robot that cannot be reached does not fail; its RV(status) is V(off). M(k8s4r.robot.show_status) shows all robots as a table.
extends_documentation_fragment:
  - k8s4r.robot.deployment
  - k8s4r.robot.deployment.robot
options: {}
author:
  - k8s4r.robot contributors (@k8s4r)
"""

EXAMPLES = r"""
- name: Ask the robots
  k8s4r.robot.status:
  register: k8s4r_status
"""

RETURN = r"""
status:
  description: V(ok), or V(off) for a robot that gave no answer. C(msg) then says why.
  returned: success
  type: str
jobs:
  description: The jobs that have anything on the robot.
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
      description: Whether all of its groups are as the last run described them.
      type: bool
    groups:
      description:
        - By the group's id, its C(name), its C(release), when that was C(committed), its C(ports), those of them on which no process
          listens (C(silent)), what the group needs but the robot does not have (C(lacks)), paths of its own that somebody has removed
          (C(gone)), its proxies that run without a valid identity and need one (C(unidentified)), the data that it
          left (C(kept)), what all but its proxy use (C(usage)), and its C(units).
        - For each unit, by name, what people call it (C(called)), whether it does what it should (C(well)) and has done it once and for
          all (C(done)), how it is meant to run (C(run)), C(state), C(sub), C(result), C(restarts), what it uses (C(usage)), C(pid),
          C(exit_status), when it started (C(since)), when it C(ended) and C(how), for how many C(seconds) that has been so, and of a
          schedule when it runs C(next).
        - C(checks) are its health checks, each with C(name), C(type), C(status) (V(passing), V(warning) or V(critical)), for how many
          C(seconds) it has had that, and what it came to (C(said)).
        - C(calls) are the full names of services that the group has looked up or calls by name, and a port has those that are found there
          in C(serves). M(k8s4r.robot.show_services) makes a table of them.
        - C(usage) has the keys C(cpu), C(memory), C(io), C(processes), C(threads) and C(threads_limit) as M(k8s4r.robot.taskgroup_info)
          describes them.
      type: dict
busy:
  description: Which run is changing the robot at the moment, and since when; null if none is.
  returned: success
  type: str
interrupted:
  description: The release of a switch that was interrupted; null if there is none.
  returned: success
  type: str
idle:
  description:
    - What serves all groups of the robot and is down, each unit with since when and why. The next deployment of a group that needs it
      starts it. What a timer starts again and again, for health checks and for the walls between pods, is here while its last run has
      failed. SPIRE's agent and server are among them where they are to be started at boot; M(k8s4r.robot.provision) starts these. So is
      the agent's certificate when a quarter of its time is left; M(k8s4r.robot.provision) renews it.
  returned: success
  type: list
  elements: str
unclaimed:
  description:
    - Units that have names of this collection's, and are of no job that the robot knows, because the record of their job was deleted.
      Deploy that job, and remove it if it is not wanted, or stop and delete them by hand.
  returned: success
  type: list
  elements: str
unread:
  description:
    - What the collection keeps on the robot but this version cannot read, because it is damaged or a newer version left it. Each text names
      the file and what to do. The jobs in these files are not among C(jobs).
  returned: success
  type: list
  elements: str
"""
