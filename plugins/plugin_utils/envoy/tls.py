# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SPIFFE mTLS for Envoy: certificates and trust bundles come from the robot's SPIRE agent, by SDS."""

from __future__ import annotations

import typing as t

Data = dict[str, t.Any]

AGENT_CLUSTER = "spire_agent"
TYPE = "type.googleapis.com/envoy."


def typed(type_name: str, **fields: t.Any) -> Data:
    """A protobuf Any. `type_name` is the name of its type, without `envoy.` in front."""
    return {"@type": TYPE + type_name, **fields}


def from_file(path: str) -> Data:
    """A source of configuration: a file that Envoy watches."""
    return {"resource_api_version": "V3", "path_config_source": {"path": path}}


# Between tries for a certificate that the agent does not have yet. Envoy's own pauses grow to half a minute.
_RETRY = {"retry_back_off": {"base_interval": "0.2s", "max_interval": "5s"}}


def from_agent(name: str) -> Data:
    """A secret that the agent serves."""
    service = {"envoy_grpc": {"cluster_name": AGENT_CLUSTER, "retry_policy": _RETRY}}
    source = {"api_type": "GRPC", "transport_api_version": "V3", "grpc_services": [service]}
    return {"name": name, "sds_config": {"resource_api_version": "V3", "api_config_source": source}}


# The bundle named ALL verifies identities of our own and of federated trust domains, each with its own bundle. Its name stays
# the same when a federation is added later, so adding one drains no connection.
_BUNDLE = from_agent("ALL")


def upstream_tls(own_id: str, peer_id: str, server_name: str | None, alpn: t.Sequence[str]) -> Data:
    """The client's side: it presents our identity and accepts exactly one peer. The bundle alone would accept any of the trust domain."""
    peer = {"match_typed_subject_alt_names": [{"san_type": "URI", "matcher": {"exact": peer_id}}]}
    context = {
        "tls_certificate_sds_secret_configs": [from_agent(own_id)],
        "combined_validation_context": {"default_validation_context": peer, "validation_context_sds_secret_config": _BUNDLE},
        **({"alpn_protocols": list(alpn)} if alpn else {}),
    }
    config = typed("extensions.transport_sockets.tls.v3.UpstreamTlsContext", common_tls_context=context)
    if server_name:
        config["sni"] = server_name
    return {"name": "envoy.transport_sockets.tls", "typed_config": config}


def downstream_tls(own_id: str, alpn: t.Sequence[str]) -> Data:
    """The server's side: every identity of the trust domains may finish the handshake. The RBAC filter after it lets only the
    allowed ones go on: a change of the filter drains no connection, and one of the TLS context does.
    """
    context = {
        "tls_certificate_sds_secret_configs": [from_agent(own_id)],
        "validation_context_sds_secret_config": _BUNDLE,
        **({"alpn_protocols": list(alpn)} if alpn else {}),
    }
    config = typed("extensions.transport_sockets.tls.v3.DownstreamTlsContext", common_tls_context=context, require_client_certificate=True)
    return {"name": "envoy.transport_sockets.tls", "typed_config": config}


def agent_cluster(socket: str) -> Data:
    """The SPIRE agent, which serves SDS on the Unix socket of its Workload API."""
    return {
        "name": AGENT_CLUSTER,
        "type": "STATIC",
        "connect_timeout": "1s",
        "typed_extension_protocol_options": spoken({"http2_protocol_options": {}}),
        "load_assignment": {"cluster_name": AGENT_CLUSTER, "endpoints": [{"lb_endpoints": [_endpoint({"pipe": {"path": socket}})]}]},
    }


def _endpoint(address: Data) -> Data:
    return {"endpoint": {"address": address}}


def spoken(how: Data, **more: t.Any) -> Data:
    """What a cluster speaks: `how` has the options of one version of HTTP, `more` those of all."""
    options = typed("extensions.upstreams.http.v3.HttpProtocolOptions", explicit_http_config=how, **more)
    return {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options}
