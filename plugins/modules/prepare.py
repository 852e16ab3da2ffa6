# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action `prepare`."""

from __future__ import annotations

DOCUMENTATION = r"""
module: prepare
short_description: Find out whether anything must change on a robot, and stage it
version_added: 0.1.0
description:
  - Asks the robot in one round trip. If the robot already runs what the jobs describe, that is all.
  - Otherwise sends the plan, checks it on the robot (ports, disk, programs, units, proxies) and stages it beside what runs. What
    runs is not touched.
  - Register its result as C(k8s4r_prepared), or give its name to the modules that read it.
  - The program on the robot that does this is installed there when it is missing. In check mode it runs from memory instead.
  - A refusal by the robot does not fail this task. M(k8s4r.robot.collect) reports the refusals of all robots together.
extends_documentation_fragment:
  - k8s4r.robot.deployment
  - k8s4r.robot.deployment.robot
  - k8s4r.robot.deployment.compiled
attributes:
  diff_mode:
    description: Returns what would change, without secrets. M(k8s4r.robot.switch) shows it.
    support: full
options:
  moved:
    description: Whether this run has switched the robot before. What groups of other jobs call is then not looked at again.
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
    - V(unchanged) for a robot that is as the jobs describe.
    - V(tells) for a robot that is as the jobs describe, but has groups of other jobs that must be told where a service is now.
    - V(staged) for a robot that is ready to switch, and V(planned) for the same in check mode.
    - V(recorded) for a robot that already was as the plan describes, but whose ledger did not say so. Now it does.
    - V(lacking) for a robot on which something must be provisioned first.
    - V(refused) for a robot that cannot take the plan or gave no usable answer, and V(failed) for one on which an error occurred.
      M(k8s4r.robot.collect) ends the run on both.
    - V(stale) for a robot whose capabilities were unknown or have changed, or on which a port that was chosen for a task is taken, or whose
      groups call or serve something else than was known. From now on, all of this is known.
    - V(waiting) for a robot that was not asked yet, because the capabilities of another one are unknown.
  returned: always
  type: str
  sample: staged
changed:
  description:
    - True only in check mode, for a robot on which something must be provisioned first. For all others M(k8s4r.robot.switch) reports
      the changes.
  returned: always
  type: bool
steps:
  description: The steps of the switch, in order. Empty if it would change nothing.
  returned: when the robot was given the plan
  type: list
  elements: str
diff:
  description:
    - What is made or removed, before and after, with its path or name on the robot. Empty without C(--diff).
    - M(k8s4r.robot.switch) returns the same, and Ansible shows it there.
  returned: when the robot was given the plan
  type: list
  elements: dict
missing:
  description: What must be provisioned first, by the names of the roles.
  returned: when the robot was given the plan
  type: list
  elements: str
holds:
  description: The groups that the robot has of these jobs already, as C(namespace/job/group).
  returned: when the robot was given the plan
  type: list
  elements: str
needed:
  description: What the groups need that the robot has of these jobs already, by the names of the roles.
  returned: when the robot was given the plan
  type: list
  elements: str
summary:
  description:
    - What the switch does to each unit, and why. If C(unit) is empty, it is about the rest of the C(group).
    - C(does) is V(new), V(restart), V(start) for what should run and does not, V(run again) for what had come to its
      end, V(stop) for what no longer runs by itself, or V(in place) for what restarts nothing; or, of a unit that goes on
      with changed files, what it is told, such as V(signal SIGHUP). V(is told) is of a group of another job, which calls a
      service of this run.
    - Where C(group) is empty, C(does) is the whole sentence, about a switch that was interrupted, a unit that serves all
      groups, or a download.
    - With C(fetched), the robot has it from elsewhere; without, as for most, it has nothing to do with that.
    - M(k8s4r.robot.collect) prints this for all robots together.
  returned: when the robot was given the plan
  type: list
  elements: dict
  sample: [{group: default/shop/web, unit: r0 store, does: restart, why: [env SPEED]}]
goes:
  description:
    - What would go from the robot, by the group's id.
    - C(name) is the group's name. C(whole) says whether all of the group goes. C(units) names what goes within the group, and C(data)
      is how many bytes on the disk go with it, C(kept) how many stay because this run keeps data.
  returned: when the robot was given the plan
  type: dict
  sample: {shop-web-0a1b2c3d: {name: default/shop/web, whole: false, units: [r1 store], data: 12582912, kept: 0}}
follows:
  description:
    - The files with endpoints of services that are on the robot and would change, by their paths.
    - C(group) is the group that a file belongs to, C(follows) the service, and C(before) what the file has now.
  returned: when the robot was given the plan
  type: dict
tell:
  description: For M(k8s4r.robot.switch), the request that tells groups of other jobs on the robot where a service is.
  returned: when there are such groups
  type: dict
has:
  description: The jobs that the robot has, as C(namespace/job).
  returned: when a job is to be removed and the robot has nothing of it
  type: list
  elements: str
errors:
  description: Why the robot refuses, or what failed.
  returned: when refused or failed
  type: list
  elements: str
release:
  description: The staged release.
  returned: when staged
  type: str
entries:
  description: The registration entries that the robot's groups need.
  returned: when the robot must change, or with O(k8s4r.robot.compile#module:verify_entries)
  type: list
  elements: dict
entries_differ:
  description: Whether the SPIRE server may need other entries for it than before. If not, the run does not ask the server.
  returned: when the robot must change, or with O(k8s4r.robot.compile#module:verify_entries)
  type: bool
endpoints:
  description: Where the proxies of the robot's groups will listen, and the ports of their tasks, with the instance and label as C(called).
  returned: when the robot must change, or with O(k8s4r.robot.compile#module:verify_entries)
  type: list
  elements: dict
"""
