# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A pair of Envoys as somebody would tune them by hand who needs nothing but speed: static, no log, certificates in files.

What it has in common with our pair is the program, one worker each, and mTLS in which each accepts exactly the other.
"""

from __future__ import annotations

import typing as t

Data = dict[str, t.Any]

TYPE = "type.googleapis.com/envoy.extensions."


def caller(port: int, address: str, peer_port: int, peer: str, certificates: str) -> Data:
    """Plaintext from 127.0.0.1:port on to the peer, whose SPIFFE ID is `peer`. `certificates` is the directory with ours."""
    context = {"@type": f"{TYPE}transport_sockets.tls.v3.UpstreamTlsContext", "common_tls_context": _tls(peer, certificates)}
    cluster = _cluster(address, peer_port)
    cluster["transport_socket"] = {"name": "tls", "typed_config": context}
    return _proxy("call", _listener("127.0.0.1", port, {}), cluster)


def answerer(port: int, target: int, peer: str, certificates: str) -> Data:
    """mTLS on every address, for `peer` alone, on to 127.0.0.1:target."""
    context = {
        "@type": f"{TYPE}transport_sockets.tls.v3.DownstreamTlsContext",
        "require_client_certificate": True,
        "common_tls_context": _tls(peer, certificates),
    }
    chain = {"transport_socket": {"name": "tls", "typed_config": context}}
    return _proxy("answer", _listener("0.0.0.0", port, chain), _cluster("127.0.0.1", target))


def _tls(peer: str, certificates: str) -> Data:
    return {
        "alpn_protocols": ["http/1.1"],
        "tls_certificates": [
            {
                "certificate_chain": {"filename": f"{certificates}/svid.pem"},
                "private_key": {"filename": f"{certificates}/key.pem"},
            }
        ],
        "validation_context": {
            "trusted_ca": {"filename": f"{certificates}/bundle.pem"},
            "match_typed_subject_alt_names": [{"san_type": "URI", "matcher": {"exact": peer}}],
        },
    }


def _listener(address: str, port: int, chain: Data) -> Data:
    manager = {
        "@type": f"{TYPE}filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "tuned",
        "generate_request_id": False,
        "http_filters": [{"name": "router", "typed_config": {"@type": f"{TYPE}filters.http.router.v3.Router"}}],
        "route_config": {
            "virtual_hosts": [
                {"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "next", "timeout": "0s"}}]}
            ]
        },
    }
    return {
        "name": "tuned",
        "address": _address(address, port),
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}], **chain}],
    }


def _cluster(address: str, port: int) -> Data:
    endpoint = {"endpoint": {"address": _address(address, port)}}
    return {"name": "next", "load_assignment": {"cluster_name": "next", "endpoints": [{"lb_endpoints": [endpoint]}]}}


def _proxy(name: str, listener: Data, cluster: Data) -> Data:
    return {"node": {"id": name, "cluster": "tuned"}, "static_resources": {"listeners": [listener], "clusters": [cluster]}}


def _address(address: str, port: int) -> Data:
    return {"socket_address": {"address": address, "port_value": port}}
