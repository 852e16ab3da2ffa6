# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Somebody beyond a robot who speaks IPv6: a network of its own on a link of the robot's, since robots share none of IPv6."""

from __future__ import annotations

# A machine on another link of the robot, and the robot's address there. It is a router: of one that answers for itself as a host, the
# kernel forgets what it announced.
OUTSIDE, HERE = "2001:db8:64::2", "2001:db8:64::1"
BEYOND = f"""
ip netns add beyond && ip link add name out0 type veth peer name eth0 netns beyond
unshare --mount sh -ec 'mount -t proc proc /proc; cd /proc/sys/net/ipv6/conf;
  echo 0 > out0/disable_ipv6; echo 1 > out0/accept_ra; echo 0 > lo/disable_ipv6'
ip link set out0 up && ip address add {HERE}/64 dev out0 nodad
ip netns exec beyond unshare --mount sh -ec 'mount -t proc proc /proc; cd /proc/sys/net/ipv6/conf
  echo 0 > eth0/disable_ipv6; echo 0 > eth0/accept_dad; echo 1 > eth0/forwarding'
ip -n beyond link set eth0 up && ip -n beyond address add {OUTSIDE}/64 dev eth0 nodad
"""
# A container has no IPv6 of its own, not even at the loopback.
NO_LOOPBACK = "unshare --mount sh -ec 'mount -t proc proc /proc; echo 1 > /proc/sys/net/ipv6/conf/lo/disable_ipv6'"
GONE = "systemctl stop 'answers-*' 2>/dev/null; ip netns delete beyond 2>/dev/null; ip link delete out0 2>/dev/null; true"
