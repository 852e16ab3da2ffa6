# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action `collect`."""

from __future__ import annotations

DOCUMENTATION = r"""
module: collect
short_description: Collect the robots' answers to prepare
version_added: 0.1.0
description:
  - Reads the result of M(k8s4r.robot.prepare) for every robot that is still in the play. Fails with all errors of all robots
    if any robot refuses. Robots that could not be reached have left the play and do not stop the others.
  - Otherwise returns what comes next, and for which machines.
  - Opens no connection. Run it once, with C(run_once).
extends_documentation_fragment:
  - k8s4r.robot.deployment
  - k8s4r.robot.deployment.compiled
options:
  again:
    description: Whether all robots were compiled again. A robot that reports something else of itself three times is an error.
    type: bool
    default: false
  provisioned:
    description: Whether provisioning has run. If so, a program that is still missing is an error.
    type: bool
    default: false
  prepared:
    description: The name under which the result of M(k8s4r.robot.prepare) is registered.
    type: str
    default: k8s4r_prepared
author:
  - k8s4r.robot contributors (@k8s4r)
"""

EXAMPLES = r"""
- name: Collect their answers
  k8s4r.robot.collect:
  register: k8s4r_collected
  run_once: true
"""

RETURN = r"""
summary:
  description:
    - What changes, one entry for each thing, in plain words. Each is also printed, as a line, unless it was printed before machines were
      provisioned. With C(again.yml) as RV(next), that is not known yet, and only what was printed before is here.
    - What robots have fetched is printed in any case, and also where this action fails.
    - C(text) names the group, the unit if it is one, what happens to it, and why. No value of a variable is in it.
    - C(robots) are the robots that it applies to.
  returned: always
  type: list
  elements: dict
  sample: [{robots: [robot1, robot2], text: "web r0 store: restart (env SPEED)"}]
next:
  description:
    - The file of tasks that comes next, by its path on the controller. Its name says what is done.
    - C(again.yml) if the fleet is to be compiled and prepared again, because a robot is not as it was assumed to be.
    - C(install_missing.yml) if machines lack something that provisioning installs.
    - C(switch.yml) if robots are to be switched, C(switch_with_identities.yml) if the SPIRE server is to be asked too,
      C(switch_with_followers.yml) if callers of a service are to hear of other endpoints, and C(switch_with_moves.yml) if something
      moves from one robot to another, or goes after its callers have heard of it.
    - C(identities.yml) if only the SPIRE server is to be asked.
  returned: always
  type: str
  sample: /usr/share/ansible/collections/ansible_collections/k8s4r/robot/playbooks/tasks/switch.yml
machines:
  description: The machines for which it is to be done; none if there is nothing to do.
  returned: always
  type: list
  elements: str
  sample: [robot1]
without:
  description: For C(install_missing.yml), the machines that lack what each of the roles C(spire_server), C(spire_agent), C(envoy),
    C(nftables) and C(dnsmasq) installs. Of C(spire_server), those that may lack it.
  returned: always
  type: dict
identities:
  description:
    - Whether the SPIRE server is asked on the way. It is not where no robot that changes needs other registration entries than it was
      committed with, unless the run compares them with the server or removes jobs.
    - C(switch_with_followers.yml) and C(switch_with_moves.yml) leave the server alone without it.
  returned: always
  type: bool
moves:
  description:
    - What must not go from each robot yet, by the group's id. C(to) has the robot that is to run each instance. C(after) has, if
      the group ends, the other robots on which something of its job is new, and, if the group has no tasks, those on which it is new.
      C(callers) are the robots that call it, and have to hear of other endpoints first. C(absent) are those of the robots in C(to)
      and C(after) that the run does not come to, each with the reason.
    - M(k8s4r.robot.switch) lets a robot keep it until then.
  returned: always
  type: dict
  sample: {robot1: {shop-web-0a1b2c3d: {group: default/shop/web, to: {"1": robot2}, after: {}, callers: [], absent: {}}}}
followers:
  description:
    - By robot and path, the files with endpoints of a service that change only after all robots have switched, with the group that they
      belong to, the service, and the robots that must have switched well.
    - M(k8s4r.robot.switch) does so with O(k8s4r.robot.switch#module:turn=follow).
  returned: always
  type: dict
  sample:
    robot1:
      /etc/k8s4r/groups/front-web-0a1b2c3d/proxy/endpoints-upstream-shop-api-http-0a1b2c3d.json:
        group: default/front/web
        service: default/shop/api/http
        after: [robot2]
lost:
  description: Robots of the play that could not be reached, or that have failed.
  returned: always
  type: list
  elements: str
rounds:
  description: How often the robots' answers have been collected in this run, since the first time that O(again) was not set.
  returned: always
  type: int
"""
