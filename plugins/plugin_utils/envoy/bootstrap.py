# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bootstrap: what a proxy reads when it starts. It names the files from which listeners and clusters come."""

from __future__ import annotations

import typing as t

from .tls import Data, agent_cluster, from_file, typed

# Of memory that Envoy itself has taken, 15 MiB when nobody is there; the unit may have 256 MiB, with Envoy's program in it.
HEAP = 160 * 2**20
_MONITOR = "envoy.resource_monitors.fixed_heap"


def bootstrap(node: str, group: str, admin_pipe: str, agent_socket: str | None, dynamic: Data, static: Data) -> Data:
    """`node` and `group` become node.id and node.cluster, which SDS requires. The admin interface is a Unix socket that only
    the proxy's own user can open. `agent_socket` is None for a proxy without an identity.
    """
    resources = {**static}
    if agent_socket:
        resources["clusters"] = [agent_cluster(agent_socket), *resources.get("clusters", [])]
    return {
        "node": {"id": node, "cluster": group},
        "admin": {"address": {"pipe": {"path": admin_pipe, "mode": 0o600}}},
        **({"dynamic_resources": dynamic} if dynamic else {}),
        **({"static_resources": resources} if resources else {}),
        "overload_manager": _overload(),
    }


def _overload() -> Data:
    """Before the kernel would end the proxy, and with it every connection, new requests are refused, and then new connections."""
    monitor = typed("extensions.resource_monitors.fixed_heap.v3.FixedHeapConfig", max_heap_size_bytes=HEAP)

    def act(action: str, above: float) -> Data:
        return {"name": f"envoy.overload_actions.{action}", "triggers": [{"name": _MONITOR, "threshold": {"value": above}}]}

    return {
        "refresh_interval": "0.25s",
        "resource_monitors": [{"name": _MONITOR, "typed_config": monitor}],
        "actions": [act("shrink_heap", 0.8), act("stop_accepting_requests", 0.9), act("stop_accepting_connections", 0.95)],
    }


def watched(listeners: str, clusters: str) -> Data:
    """Dynamic resources from two files. Envoy reads a file again when another is renamed over it."""
    return {
        "lds_config": from_file(listeners),
        "cds_config": from_file(clusters),
    }


def inlined(listeners: t.Sequence[Data], clusters: t.Sequence[Data]) -> Data:
    """The same resources as static ones, because `envoy --mode validate` reads no others."""
    return {"listeners": list(listeners), "clusters": list(clusters)}
