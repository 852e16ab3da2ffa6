# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The names in a pod's /etc/hosts, beside those that each has: the robot, the pod itself, what it calls, and what its job says."""

from __future__ import annotations

import ipaddress
import typing as t

from ...job.addresses import LOOPBACK
from ...job.model.network import Upstream
from .. import names
from ..site.placed import Pod
from ..site.site import Site


def known(site: Site, pod: Pod) -> dict[str, str]:
    """Names with their addresses: what the group calls; the robot by its name in the inventory, if that can be one; the pod's host name;
    and what the job says. Of two with one name, the later one wins.
    """
    robot = site.robot
    own = site.group.network
    return {
        **(_called(site.network.upstreams, site.job.namespace) if site.network else {}),
        **({robot.name: gateway(site)} if names.is_host(robot.name) else {}),
        pod.host: pod.address,
        **(own.extra_hosts if own else {}),
    }


def gateway(site: Site) -> str:
    """The address at which pods reach their robot."""
    return str(ipaddress.IPv4Network(site.robot.pods)[1])


def _called(upstreams: t.Sequence[Upstream], namespace: str) -> dict[str, str]:
    """What the group calls is at its proxy, by the name of the upstream and by that of the service, each at its own `localPort`.

    The proxy reads the same file. So there is no name in it by which it may look for an upstream.
    """
    written = [each.upstream for each in upstreams if each.upstream]
    looked_for = {host.rpartition(":")[0].rstrip(".").lower() for host in written}
    found = {each.name for each in upstreams} if not any("${" in host for host in written) else set()
    found |= {names.service_host(names.full_name(each.service, namespace)) for each in upstreams if each.service}
    return {name: LOOPBACK for name in sorted(found - looked_for) if names.is_host(name)}
