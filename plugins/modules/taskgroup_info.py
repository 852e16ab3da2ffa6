# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action `taskgroup_info`."""

from __future__ import annotations

DOCUMENTATION = r"""
module: taskgroup_info
short_description: Ask a robot about its task groups and what they use
version_added: 0.1.0
description:
  - Returns each task group of the robot with its tasks, init tasks and proxy, what each does and what it uses. Changes nothing and leaves
    nothing on the robot.
  - A value is null if the robot does not count it, or if nothing runs.
extends_documentation_fragment:
  - k8s4r.robot.deployment
  - k8s4r.robot.deployment.robot
options:
  job_name:
    description: Only groups of jobs with this name.
    type: str
    default: ""
  group:
    description: Only groups with this name.
    type: str
    default: ""
  namespace:
    description: Only groups of jobs in this namespace.
    type: str
    default: ""
  sample:
    description:
      - For how many seconds the robot watches, 0 to 3, to tell how busy the processor is.
      - If it is 0, C(cpu.percent) says little.
    type: float
    default: 0.5
author:
  - k8s4r.robot contributors (@k8s4r)
"""

EXAMPLES = r"""
- name: Ask about one job
  k8s4r.robot.taskgroup_info:
    job_name: web-service
  register: found

- name: Tasks should have memory to spare
  ansible.builtin.assert:
    that: item.memory.limit is none or item.memory.peak is none or item.memory.peak < 0.9 * item.memory.limit
    fail_msg: "{{ item.task }} needs {{ item.memory.peak }} bytes"
  loop: "{{ found.taskgroups | map(attribute='tasks') | flatten }}"
  loop_control:
    label: "{{ item.unit }}"
"""

RETURN = r"""
taskgroups:
  description: The task groups of the robot that were asked for, by job and id.
  returned: success
  type: list
  elements: dict
  contains:
    namespace:
      description: The namespace of its job.
      type: str
    job:
      description: The name of its job.
      type: str
    group:
      description: Its name.
      type: str
    id:
      description: What it is called on the robot.
      type: str
    release:
      description: Its last good release.
      type: str
    committed:
      description: When that was committed, in UTC.
      type: str
      sample: "2026-11-26T12:34:56Z"
    well:
      description:
        - Whether all of its units do what they should, what it needs is there, nobody has removed what its release has put there, and its
          proxies have the identity that they need.
      type: bool
    ports:
      description: Where its proxy (inbound services, ingress, upstreams) and its tasks listen.
      type: list
      elements: dict
      contains:
        address:
          description: The address of the robot; C(::) is every address.
          type: str
        port:
          description: The number.
          type: int
        protocol:
          description: V(tcp) or V(udp).
          type: str
        called:
          description: The instance and the label of a task's port; empty for one of the proxy.
          type: str
        where:
          description: What in the job file it comes from.
          type: str
          sample: "job.yml: taskGroups[0].network.ingress.port"
        silent:
          description: Whether nobody listens there although the proxy should.
          type: bool
    tasks:
      description:
        - Its tasks and init tasks, by the names of their units.
        - The robot's own proxy of the group is in RV(taskgroups[].proxy), those of pods are in RV(taskgroups[].pods).
      type: list
      elements: dict
      contains:
        unit:
          description: The name of its systemd unit.
          type: str
        task:
          description: Its name.
          type: str
        instance:
          description: The index of its instance; null for an init task, which is of no instance.
          type: int
        address:
          description: The address of its pod; null for a task that is in none.
          type: str
        well:
          description: Whether it does what it should. A proxy without a valid identity is up, and does not.
          type: bool
        done:
          description: Whether it has run to its end and need not run again.
          type: bool
        leaving:
          description:
            - Whether the job does not want it on this robot any more. It stays until the robots that take over are ready.
            - Of a group that leaves the robot as a whole this is not known.
          type: bool
        state:
          description: The unit's state, as systemd calls it.
          type: str
          sample: active
        sub:
          description: That in detail.
          type: str
          sample: running
        result:
          description:
            - How its last run ended, as systemd calls it. V(oom-kill) is a program that was killed because memory ran out; that is known on
              cgroup v1, too, if the robot has the kernel's log (C(/dev/kmsg)).
          type: str
          sample: success
        exit_status:
          description:
            - The exit status of its last run, or the number of the signal that ended it; 0 as long as it has not ended.
            - A program under C(exec) that a signal ended has 128 and the signal's number.
          type: int
        restarts:
          description: How often systemd has restarted it by itself since it was last started.
          type: int
        pid:
          description: The ID of its main process.
          type: int
        since:
          description: When it was started, in UTC.
          type: str
        ended:
          description: If it is down, when it ended, in UTC.
          type: str
        how:
          description: If it is down, how it ended, in words.
          type: str
        checks:
          description:
            - Its health checks, each with C(name), C(type), C(status) (V(passing), V(warning) or V(critical)), for how many C(seconds) it
              has had that, and what it came to (C(said)).
          type: list
          elements: dict
        cpu: &cpu
          description: CPU time.
          type: dict
          contains:
            seconds:
              description: CPU time since the start, in seconds.
              type: float
            percent:
              description: Use within the sample, in percent of one core.
              type: float
            limit:
              description: The limit, in cores; null if there is none.
              type: float
            percent_of_limit:
              description: Use within the sample, in percent of the limit.
              type: float
            throttled_seconds:
              description: For how many seconds its threads, all together, had to wait because of the limit.
              type: float
        memory: &memory
          description: Memory, with what the kernel keeps of files, which it gives up where others need room.
          type: dict
          contains:
            current:
              description: What it has now, in bytes.
              type: int
            peak:
              description: The most since the start, in bytes. On cgroup v2 the kernel must be Linux 5.19 or later.
              type: int
            limit:
              description: The limit, in bytes; null if there is none.
              type: int
            oom_kills:
              description: How many processes were killed since the robot's boot because memory ran out, as far as the kernel's log tells.
              type: int
        io: &io
          description: What was read from disks and written to them.
          type: dict
          contains:
            read_bytes:
              description: Bytes read since the start.
              type: int
            written_bytes:
              description: Bytes written since the start.
              type: int
            reads:
              description:
                - Read operations since the start. They are counted on cgroup v2, for groups with a task that has C(ioWeight) or C(iops).
              type: int
            writes:
              description: Write operations, under the same condition.
              type: int
        processes:
          description: How many processes it has.
          type: int
        threads:
          description: How many threads these have.
          type: int
        threads_limit:
          description: How many it may have, C(resources.tasks); null if there is no limit.
          type: int
    proxy:
      description:
        - The group's proxy, with the same keys as a task; null if the group has none.
        - It is not included in what the group uses.
      type: dict
    pods:
      description: The group's instances, if each of them is a pod (C(network.mode=group)).
      type: list
      elements: dict
      contains:
        instance:
          description: The index of the instance.
          type: int
        name:
          description: The pod's name.
          type: str
        address:
          description: Its address, at which its robot reaches it.
          type: str
        address6:
          description: The same of IPv6; null where the robot's pods have none.
          type: str
        proxy:
          description: The pod's own proxy, with the same keys as a task; null if it has none.
          type: dict
    cpu: *cpu
    memory: *memory
    io: *io
    processes:
      description: How many processes all tasks have.
      type: int
    threads:
      description: How many threads these have.
      type: int
    threads_limit:
      description: How many they may have; null if there is no limit.
      type: int
unread:
  description: What the collection keeps on the robot but this version cannot read. The jobs in these files are not among RV(taskgroups).
  returned: success
  type: list
  elements: str
"""
