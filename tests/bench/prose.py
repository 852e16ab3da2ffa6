# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the report says around its tables; HEAD is a format."""

from __future__ import annotations

QUIET = "which is what the benchmark itself causes."
BUSY = """\
more than the benchmark causes:
other programs were running, so the seconds say little, and the ratios favour those that compute least."""

HEAD = """\
# Benchmarks

Written by `make bench`. Every figure is as measured, whether it reaches its goal or not. One machine with {cores} cores runs the
controller and two container robots (Debian bookworm, complete with systemd), so the times include the work of the robots.
The load average was {load}

## Time of a whole run

Wall-clock time from the start of the command to its end. The contenders take turns in one process, for {rounds} rounds; those whose
ratio is near their goal run three times in each round, so that their medians are of {often} runs. Connections are warm unless a row
says fresh: multiplexed OpenSSH (ControlPersist), opened before the clock starts. pyinfra has an SSH client of its own and connects
again in each run, as it always does; Mitogen keeps its interpreters for one run. Ansible runs with pipelining, without facts, with
five forks, and with bytecode caching on. The plain role has three loops over six items (copy, template, systemd_service). The
result of each run is checked: an unchanged one must report 0 changes.
"""

BYTES = """\

## Bytes

Counted by the robot's network interface, with Ethernet headers and acknowledgements; medians of three runs on two robots. The SPIRE
agents are halted meanwhile, because what they exchange with their server, about 1 KB a second, is not part of a run.
"""

CALLS = """\

## Task lines and round trips

"Task lines of each robot" are the lines of output that grow with the fleet. A round trip is one command over SSH. "All lines" are the
lines that are not empty, in a run on two robots with Ansible's own callback.
"""

ENGINE = """
## The engine on a robot

The robot's part of an unchanged run: the engine that it keeps, called as the controller calls it, but on the robot itself. Medians
of 40 calls, alternating with the command in the second column. The engine asks systemd directly, over D-Bus, and for less than
systemctl does.

"""

FLEETS = """\

## Large fleets

Placement and compilation of 5 groups on every robot, with the collection's own functions, without Ansible, by the clock of a
machine that does nothing else; the median of three runs for each size. From 200 robots on, the processors of the controller share the
robots among themselves, and this machine has two. Linear means that the milliseconds per robot stay the same.
Every robot of the inventory is compiled; a digest is made and a plan is encrypted only for those that the run reaches, here all of
them. The plan is read by the worker of each robot that changed.
"""

GROWTH = """\

Complete unchanged runs, limited (`--limit`) to the two robots of an inventory that names many more, with 6 tasks on each. Placement
and compilation are done for every robot, and two robots are asked. CPU time and the largest process of the controller, medians of three.
"""

MANY = """\

Complete runs on an inventory in which the two robots have many names: what each further robot of a run costs the controller. Five
forks, warm connections, medians of five runs in turns. The robots compute on the same cores, each for half of the names.
"""

MEMORY = """\

## What stays in a robot's memory

The resident set of a process includes the pages that it shares with others, above all those of the C library. The proportional set
includes only its share of them.
"""

TASKS = """
## The life of tasks

Whole runs on one robot, as above, in turns; each must restart as many tasks as its row says.
"""

START = """
A task of the driver exec has namespaces and directories of its own, and its log. The same command, which writes down the time at which
it runs, is started as a bare transient unit (`systemd-run`); medians of 21 turns on the robot.
"""

LOG_PATH = """
A program writes lines of 100 bytes as fast as it can, for 3 s: as a task, whose log is 10 files of 10 MiB, as is that of svlogd beside
it, and into a plain file; medians of 5 turns.
"""

DATA_PATH = """
## Requests through the proxies

From wrk on one robot to nginx on the other, both Debian's, over HTTP: through a pair of our proxies as a job gets them, with their
log, and through a pair of the same Envoy that is tuned by hand: static, without a log, certificates in files. Both have one worker
each and mTLS in which each side accepts exactly the other. They take turns; the ratio is of each turn, its median and quartiles are of
20 turns of 2 s. The machine's cores are shared by everything: wrk, nginx and four proxies.
"""

PODS = """
## Pods

How much later a task runs in a pod: a group is started as a whole and stopped as a whole, on the robot's own network and in a pod. The
goal is for the median of what each turn takes more. Beside it is what Nomad's bridge mode does for the network of one allocation, with
the configuration of Nomad 2.0 (but for its subnet) and the CNI plugins of Debian's containernetworking-plugins: a namespace
(`ip netns add`), Nomad's look at its own chain of iptables, and the plugins loopback, bridge, firewall and portmap, one after the
other. The same program then starts in that namespace as a bare transient unit (`systemd-run`), and without a namespace in another.
The way back is the unit's stop, the plugins once more, and `ip netns delete`. All four take turns, 21 of them, on one robot; neither
network has a port to publish.

So no Nomad runs here, and what it does besides is not in its figures: the scheduler's word to its client, the other hooks of an
allocation, the driver, and for tasks of Docker the pause container that holds the namespace. A script in Python calls the plugins, as a
service of the robot, where Nomad's client has libcni in its own process. Nor do the two do the same. A pod also has namespaces of
processes, IPC and host name, and walls around it, where the allocations on Nomad's bridge all reach each other. With its last pod a
robot's bridge goes, too: ours makes it and the walls anew in each turn, while Nomad's bridge and chains stay.

Fifty pods of one group, and whole runs as above. Their networks are held by processes beside Envoy; the memory is the proportional set of
these. What a pod's network carries is measured with wrk and nginx, without proxies, beside the same two programs in namespaces made by
hand: a bridge, links, and one rule of nftables. They take turns of 2 s; the ratio is of each turn, with its median and quartiles of 12
turns.
"""

MOVES = """
## Services that move

Two robots; the caller's proxy finds the service by `service:`. Eight connections send 200 requests a second, while runs that deploy the
caller too add an instance on the other robot, and take it away again. A robot has committed when its ledger says so.
"""
