# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clusters: where a proxy forwards connections to."""

from __future__ import annotations

import typing as t

from ..job.model.vocabulary import Protocol
from . import alive, endpoints, http2
from .address import Address, socket_address
from .tls import Data, spoken, typed

ALPN: t.Mapping[Protocol, tuple[str, ...]] = {Protocol.TCP: (), Protocol.HTTP: ("http/1.1",), Protocol.GRPC: ("h2",)}

# A name server is asked for 6 s at most, twice. If it is silent, Envoy reads /etc/resolv.conf again: a robot that has moved to
# another network has another name server, and Envoy would go on asking the old one.
_RESOLVER = {
    "name": "envoy.network.dns_resolver.cares",
    "typed_config": typed(
        "extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig",
        query_timeout_seconds=2,
        query_tries=2,
        reinit_channel_on_timeout=True,
    ),
}

# Robots often have IPv6 addresses on the link only, so a working IPv4 address (A) comes before an IPv6 one (AAAA). Names are
# resolved again every half minute and not more often, because a query may cross a paid link; sooner while there is no answer.
_DNS = {
    "name": "envoy.clusters.dns",
    "typed_config": typed(
        "extensions.clusters.dns.v3.DnsCluster",
        typed_dns_resolver_config=_RESOLVER,
        dns_lookup_family="V4_PREFERRED",
        dns_refresh_rate="30s",
        dns_failure_refresh_rate={"base_interval": "1s", "max_interval": "30s"},
    ),
}


# Envoy's own limits are 1,024 connections, and three requests at a time that may go to another endpoint: of those that wait for one that
# is off, the others would fail. What bounds a proxy is its memory (bootstrap.py), and the number of its open files.
_UNBOUNDED = dict.fromkeys(("max_connections", "max_pending_requests", "max_requests", "max_retries"), 65536)


def cluster(name: str, addresses: t.Sequence[Address], protocol: Protocol, transport_socket: Data | None = None) -> Data:
    """A cluster whose addresses are used in turns. A name is the only one; Envoy resolves it again and again for as long as it runs, and it
    may have several addresses.
    """
    where = {
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": socket_address(address)}} for address in addresses]}],
        },
        **({"type": "STATIC"} if all(address.numeric for address in addresses) else {"cluster_type": _DNS, **endpoints.SEVERAL}),
    }
    return leading_to(where, name, protocol, transport_socket)


def leading_to(where: Data, name: str, protocol: Protocol, transport_socket: Data | None = None, to_ours: bool = False) -> Data:
    """A cluster by where its endpoints are. `to_ours`: they are proxies of ours."""
    data: Data = {
        "name": name,
        "connect_timeout": "5s",
        **where,
        **alive.of_cluster(),
        "circuit_breakers": {"thresholds": [_UNBOUNDED]},
    }
    if protocol is not Protocol.TCP:
        grpc = protocol is Protocol.GRPC
        how: Data = {"http2_protocol_options": http2.options(to_ours)} if grpc else {"http_protocol_options": {}}
        unused = {"idle_timeout": f"{alive.UNUSED_SECONDS}s"}
        data["typed_extension_protocol_options"] = spoken(how, common_http_protocol_options=unused)
    if transport_socket:
        data["transport_socket"] = transport_socket
    return data


def resources(kind: str, items: t.Iterable[Data]) -> Data:
    """The content of a file that Envoy watches. `kind` is the type of the resources, without `envoy.` in front."""
    return {"resources": [{**typed(kind), **item} for item in items]}
