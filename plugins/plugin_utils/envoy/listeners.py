# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Listeners: in plaintext on loopback for upstreams, with mTLS on the robot's addresses for inbound services."""

from __future__ import annotations

import typing as t

from ..job.addresses import ALWAYS_THERE, LOOPBACK
from ..job.model.vocabulary import Protocol
from .address import Address, socket_address
from .tls import Data, typed


def upstream_listener(name: str, port: int, protocol: Protocol, cluster: str, host: str) -> Data:
    """Plaintext on 127.0.0.1, so that clients work unmodified. `host` is what an HTTP upstream gets as the Host header."""
    return _listener(name, Address(LOOPBACK, port), [_forward(name, protocol, cluster, host_rewrite=host)])


def inbound_listener(name: str, address: Address, protocol: Protocol, cluster: str, transport_socket: Data, authorization: Data) -> Data:
    """mTLS on an address of the robot, then authorization, then the service. Every connection is logged with its peer."""
    listener = _listener(name, address, [authorization, _forward(name, protocol, cluster, inbound=True)])
    listener["filter_chains"][0]["transport_socket"] = transport_socket
    listener["access_log"] = [_access_log(name, "closed", _CONNECTION)]
    return listener


def _listener(name: str, address: Address, filters: list[Data]) -> Data:
    listener: Data = {"name": name, "address": socket_address(address), "filter_chains": [{"filters": filters}]}
    if address.numeric and address.host not in ALWAYS_THERE:
        # At boot the robot may not have this address yet, and Envoy tries to bind only once.
        listener["freebind"] = True
    return listener


def _forward(name: str, protocol: Protocol, cluster: str, host_rewrite: str | None = None, inbound: bool = False) -> Data:
    if protocol is Protocol.TCP:
        proxy = typed("extensions.filters.network.tcp_proxy.v3.TcpProxy", stat_prefix=name, cluster=cluster, idle_timeout="0s")
        if inbound:
            # By default Envoy connects to the service before the caller has shown a certificate.
            proxy["upstream_connect_mode"], proxy["max_early_data_bytes"] = "ON_DOWNSTREAM_TLS_HANDSHAKE", 0
            opened = _access_log(name, "opened", _CONNECTION)
            proxy["access_log"] = [{**opened, "filter": {"log_type_filter": {"types": ["TcpUpstreamConnected"]}}}]
            proxy["access_log_options"] = {"flush_access_log_on_connected": True}
        else:
            proxy["access_log"] = [_failures(name)]
        return {"name": "envoy.filters.network.tcp_proxy", "typed_config": proxy}
    # No time limits: how long a poll or a stream may take is up to the programs.
    route: Data = {"cluster": cluster, "timeout": "0s", "idle_timeout": "0s"}
    if host_rewrite:
        route["host_rewrite_literal"] = host_rewrite
    manager = typed(
        "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix=name,
        codec_type="AUTO",
        stream_idle_timeout="0s",
        generate_request_id=False,
        server_header_transformation="PASS_THROUGH",
        upgrade_configs=[{"upgrade_type": "websocket"}],
        http_filters=[
            {
                "name": "envoy.filters.http.router",
                "typed_config": typed("extensions.filters.http.router.v3.Router", suppress_envoy_headers=True),
            }
        ],
        route_config={
            "name": name,
            "virtual_hosts": [{"name": name, "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": route}]}],
        },
    )
    if inbound:
        # x-forwarded-client-cert names the caller to the service. What a caller itself writes there is removed.
        manager["forward_client_cert_details"] = "SANITIZE_SET"
        manager["set_current_client_cert_details"] = {"uri": True}
        manager["access_log"] = [_access_log(name, "request", {**_CONNECTION, **_REQUEST})]
    else:
        # The other side closes the connection without an answer (UC) if its `allow` does not name this group.
        manager["access_log"] = [_failures(name, "UC")]
    return {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}


_CONNECTION: t.Mapping[str, str] = {
    "peer": "%DOWNSTREAM_PEER_URI_SAN%",
    "from": "%DOWNSTREAM_REMOTE_ADDRESS%",
    "flags": "%RESPONSE_FLAGS%",
    "refused": "%CONNECTION_TERMINATION_DETAILS%",
    "tls_failure": "%DOWNSTREAM_TRANSPORT_FAILURE_REASON%",
}
_FAILURE: t.Mapping[str, str] = {
    "address": "%UPSTREAM_HOST%",
    "flags": "%RESPONSE_FLAGS%",
    "reason": "%UPSTREAM_TRANSPORT_FAILURE_REASON%",
    "details": "%RESPONSE_CODE_DETAILS%",
}
_REQUEST: t.Mapping[str, str] = {"method": "%REQ(:METHOD)%", "path": "%REQ(:PATH)%", "status": "%RESPONSE_CODE%"}


def _failures(name: str, *more: str) -> Data:
    """Logs failures only: no connection (UF), no healthy address (UH), a name without an answer (DF), and the flags in `more`.
    The reason is logged with them, above all that the peer has another identity.
    """
    filtered = {"filter": {"response_flag_filter": {"flags": ["UF", "UH", "DF", *more]}}}
    return {**_access_log(name, "failed", _FAILURE), **filtered}


def _access_log(service: str, event: str, fields: t.Mapping[str, str]) -> Data:
    config = typed(
        "extensions.access_loggers.stream.v3.StdoutAccessLog",
        log_format={"json_format": {"service": service, "event": event, **fields}, "omit_empty_values": True},
    )
    return {"name": "envoy.access_loggers.stdout", "typed_config": config}
