# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action `switch`."""

from __future__ import annotations

DOCUMENTATION = r"""
module: switch
short_description: Switch a robot to the release that prepare staged
version_added: 0.1.0
description:
  - The robot applies the staged release and waits until it is healthy. Then it commits the release, or rolls back to the last good
    one. It does so in a transient unit, which keeps running if the connection is lost.
  - This task waits and shows progress. It reopens a lost connection once; after that the robot counts as unreachable. The robot
    still ends on one complete release.
  - Register its result as C(k8s4r_switched), or give its name to M(k8s4r.robot.entries).
extends_documentation_fragment:
  - k8s4r.robot.deployment
  - k8s4r.robot.deployment.robot
attributes:
  diff_mode:
    description: Shows what was made or removed, or would be in check mode, without secrets.
    support: full
options:
  wait:
    description: How many seconds to wait for the robot.
    type: int
    default: 3600
  prepared:
    description: The name under which the result of M(k8s4r.robot.prepare) is registered.
    type: str
    default: k8s4r_prepared
  collected:
    description: The name under which the result of M(k8s4r.robot.collect) is registered. Without one, nothing moves.
    type: str
    default: k8s4r_collected
  switched:
    description: The name under which the result of this action is registered.
    type: str
    default: k8s4r_switched
  followed:
    description: The name under which the result with O(turn=follow) is registered.
    type: str
    default: k8s4r_followed
  turn:
    description:
      - A switch has up to three turns, each on all robots before the next one.
      - In V(begin), the robot switches. Files with the endpoints of services stay as they are, if they are there already, and so do
        instances that move to another robot.
      - In V(follow), groups that call a service get its new endpoints, unless the run did not succeed on a robot that has one of them.
      - In V(give_up), after a new M(k8s4r.robot.prepare), what has moved is given up, unless the run did not succeed on the robot that
        it moves to.
    type: str
    choices: [begin, follow, give_up]
    default: begin
author:
  - k8s4r.robot contributors (@k8s4r)
"""

EXAMPLES = r"""
- name: Switch the robots
  k8s4r.robot.switch:
  register: k8s4r_switched
"""

RETURN = r"""
status:
  description:
    - V(committed), or V(planned) in check mode. V(unchanged) if there was nothing to switch. V(stays) if O(turn=give_up) and nothing that
      moves can be given up yet, or if O(turn=follow) and some callers go on with the endpoints that they have.
    - When the task fails, V(rolled-back) for a robot that runs the previous release again, V(failed) for one that does not, and
      V(refused) for one that was not touched. The output then says why, with the unit, its exit status and its last log lines.
  returned: when the robot has answered
  type: str
  sample: committed
release:
  description: The release that the robot switched to, or tried to.
  returned: when there was something to switch, except in check mode
  type: str
  sample: 20261120T120000-0a1b2c3d
groups:
  description: The result of the switch for each group, by the group's id.
  returned: on success, when there was something to switch
  type: dict
  sample: {shop-web-0a1b2c3d: committed}
rest:
  description: The release that waits for O(turn=follow); empty if there is none.
  returned: on success, when there was something to switch
  type: str
units:
  description: The state of every unit of the switched jobs.
  returned: on success, when there was something to switch
  type: dict
  sample: {k8s4r-task-shop-web-r0-store-0a1b2c3d.service: active (running)}
restored:
  description: The names of the groups that were rolled back to their last good release.
  returned: when a switch has ended
  type: list
  elements: str
undone:
  description: The names of the groups that are gone again, because there was no earlier release of them.
  returned: when a switch has ended
  type: list
  elements: str
committed:
  description: The names of the groups that are as this run wants them, though others of the robot may have been rolled back.
  returned: when a switch has ended
  type: list
  elements: str
changes:
  description: What was done, in order, or would be done in check mode.
  returned: on success, when there was something to switch
  type: list
  elements: str
diff:
  description: What was made or removed, before and after, with its path or name on the robot. Empty without C(--diff).
  returned: on success, when there was something to switch
  type: list
  elements: dict
stays:
  description:
    - The names of groups of which something stays on the robot for now, because what replaces it elsewhere is not ready, or because
      callers of it are not yet told of others.
  returned: on success, when there was something to switch
  type: list
  elements: str
  sample: [default/shop/web]
untold:
  description: The files with endpoints that stay as they are, because the run did not succeed on a robot that has one of them.
  returned: if O(turn=follow) and there are such files
  type: list
  elements: str
  sample: [/etc/k8s4r/groups/front-web-0a1b2c3d/proxy/endpoints-upstream-shop-api-http-0a1b2c3d.json]
endpoints:
  description:
    - Where the proxies of the robot's groups listen, or would listen in check mode, and the ports of their tasks.
    - C(called) is the instance and label of a task's port, C(protocol) is V(udp) for one of UDP.
  returned: on success, unless C(status) is V(unchanged) or O(turn=follow)
  type: list
  elements: dict
  sample: [{group: default/shop/web, address: 127.0.0.1, port: 8080, where: "shop.yml: taskGroups[0].network.upstreams[0].localPort"}]
"""
