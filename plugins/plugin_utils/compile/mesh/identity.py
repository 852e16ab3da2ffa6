# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The identity of a group's proxy: its SPIFFE ID, and the registration entry with which the SPIRE server issues it."""

from __future__ import annotations

import re
import typing as t

from ....module_utils._engine import plan
from ...job.errors import Problem
from ...job.model.network import Network
from ...job.model.vocabulary import NetworkType, TlsMode
from .. import names
from ..site.site import Site


class Selector(t.TypedDict):
    """A property that the SPIRE agent must find in a process before it issues the identity."""

    type: str
    value: str


class Entry(t.TypedDict):
    """A registration entry, as the module `k8s4r.robot.spire_entries` takes it."""

    entry_id: str
    spiffe_id: str
    parent_id: str
    selectors: list[Selector]
    dns_names: list[str]


def needed(network: Network | None) -> bool:
    """Whether the proxy that carries these connections needs an identity: for an inbound service, an ingress, or an upstream with TLS."""
    if network is None or network.type is not NetworkType.ENVOY:
        return False
    return bool(network.services or network.ingress) or any(each.tls.mode is not TlsMode.NONE for each in network.upstreams)


def spiffe_id(site: Site) -> str:
    return names.spiffe_id(site.fleet.trust_domain, *site.names)


def entry(site: Site, unit: str) -> Entry:
    """The registration entry of the group on this robot, or of a pod. It has three selectors: the unit, the file that the unit was loaded
    from (a transient unit of the same name has another), and the user (by name: the compiler cannot know user ids).
    """
    dns = re.sub(r"[^a-z0-9.-]+", "-", site.robot.name.lower()).strip("-.")
    return {
        "entry_id": names.entry_id(site.fleet.trust_domain, *site.names, site.robot.name, site.pod.instance if site.pod else None),
        "spiffe_id": spiffe_id(site),
        "parent_id": names.agent_id(site.fleet.trust_domain, site.robot.name, site.robot.attestor),
        "selectors": [
            {"type": "systemd", "value": f"id:{unit}"},
            {"type": "systemd", "value": f"fragment_path:{plan.UNIT_DIRECTORY}/{unit}"},
            {"type": "unix", "value": f"user:{site.proxy_user}"},
        ],
        "dns_names": [dns] if dns else [],
    }


def mismatches(site: Site) -> t.Iterator[Problem]:
    """Errors where the job and the inventory disagree about identities."""
    spiffe = site.network.spiffe if site.network else None
    fleet, path = site.fleet, f"{site.path}.network"
    if spiffe and spiffe.trust_domain and spiffe.trust_domain != fleet.trust_domain:
        found = f"found {spiffe.trust_domain!r}, but the fleet's trust domain is {fleet.trust_domain!r}"
        yield site.problem(f"{path}.spiffe.trustDomain", found, "leave it out")
    if spiffe and spiffe.agent_socket_path and spiffe.agent_socket_path != fleet.agent_socket:
        found = f"found {spiffe.agent_socket_path!r}, but the fleet's agents are at {fleet.agent_socket!r}"
        yield site.problem(f"{path}.spiffe.agentSocketPath", found, "leave it out")
    if needed(site.network) and not fleet.trust_domain:
        yield site.problem(path, "the inventory sets no k8s4r_trust_domain", "set it for the group `all`, or write tls: false")
