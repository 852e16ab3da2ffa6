# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Listeners: in plaintext on loopback for upstreams, with mTLS on the robot's addresses for inbound services."""

from __future__ import annotations

import typing as t

from ..job.addresses import ALWAYS_THERE, LOOPBACK
from ..job.model.vocabulary import AccessLog, Protocol
from . import access_log, alive, endpoints, http2
from .address import Address, socket_address
from .tls import Data, typed


def upstream_listener(name: str, port: int, protocol: Protocol, cluster: str, host: str, log: AccessLog, tries: int = 1) -> Data:
    """Plaintext on 127.0.0.1, so that clients work unmodified. `host` is what an HTTP upstream gets as the Host header. `tries`: so many
    endpoints of the cluster are tried.
    """
    if protocol is Protocol.TCP:
        forward = _tcp(name, cluster, access_log.failures(name, log), endpoints.of_tcp(tries))
    else:
        route = {"host_rewrite_literal": host, **endpoints.of_http(tries)}
        forward = _http(name, cluster, access_log.of_requests(name, log), route, _of_programs(host))
    return listening(name, Address(LOOPBACK, port), [forward])


def _of_programs(host: str) -> Data:
    """Some programs speak HTTP/1.0, as nginx does to what it forwards to, and need not say which host they ask."""
    of_http1 = {"accept_http_10": True, "default_host_for_http_10": host}
    return {"http_protocol_options": of_http1, "http2_protocol_options": http2.options(between_ours=False)}


def inbound_listener(
    name: str,
    address: Address,
    protocol: Protocol,
    cluster: str,
    transport_socket: Data,
    authorization: Data,
    of_requests: list[Data],
    log: AccessLog,
    tries: int = 1,
) -> Data:
    """mTLS on an address of the robot, then authorization, of HTTP that `of_requests` too, then the service, of which the robot may have
    several instances: so many are tried.
    """
    if protocol is Protocol.TCP:
        forward = _tcp(name, cluster, access_log.opened(name, log), {**_INBOUND_TCP, **endpoints.of_tcp(tries)})
    else:
        logs = [*access_log.of_requests(name, log), *access_log.refused(name, log)]
        forward = _http(name, cluster, logs, endpoints.of_http(tries), _INBOUND_HTTP, of_requests)
    listener = listening(name, address, [authorization, forward])
    # Whoever never says who it is keeps no connection.
    listener["filter_chains"][0].update(transport_socket=transport_socket, transport_socket_connect_timeout=f"{HANDSHAKE_SECONDS}s")
    listener["access_log"] = access_log.closed(name, log)
    return {**listener, **alive.of_listener()}


# For the handshake of a caller, as at the ingress.
HANDSHAKE_SECONDS = 10
_INBOUND_TCP: Data = {
    # By default Envoy connects to the service before the caller has shown a certificate.
    "upstream_connect_mode": "ON_DOWNSTREAM_TLS_HANDSHAKE",
    "max_early_data_bytes": 0,
    "access_log_options": {"flush_access_log_on_connected": True},
}
_INBOUND_HTTP: Data = {
    # x-forwarded-client-cert names the caller to the service. What a caller itself writes there is removed.
    "forward_client_cert_details": "SANITIZE_SET",
    "set_current_client_cert_details": {"uri": True},
    "http2_protocol_options": http2.options(between_ours=True),
}


def listening(name: str, address: Address, filters: list[Data]) -> Data:
    """By its address and its name: Envoy first removes the listeners whose names are gone, and then takes in the others one by one. It
    refuses one at the address of another: of two that exchange their ports, each would go on at its old one.
    """
    listener: Data = {"name": f"{name}@{address}", "address": socket_address(address), "filter_chains": [{"filters": filters}]}
    if address.numeric and address.host not in ALWAYS_THERE:
        # At boot the robot may not have this address yet, and Envoy tries to bind only once.
        listener["freebind"] = True
    return listener


def _tcp(name: str, cluster: str, logs: list[Data], more: Data | None = None) -> Data:
    proxy = typed(
        "extensions.filters.network.tcp_proxy.v3.TcpProxy",
        stat_prefix=name,
        cluster=cluster,
        idle_timeout="0s",
        access_log=logs,
        **(more or {}),
    )
    return {"name": "envoy.filters.network.tcp_proxy", "typed_config": proxy}


def _http(name: str, cluster: str, logs: list[Data], route: Data, more: Data, filters: t.Sequence[Data] = ()) -> Data:
    # No time limits: how long a poll or a stream may take is up to the programs.
    route = {"cluster": cluster, "timeout": "0s", "idle_timeout": "0s", **route}
    manager = typed(
        "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix=name,
        codec_type="AUTO",
        stream_idle_timeout="0s",
        generate_request_id=False,
        server_header_transformation="PASS_THROUGH",
        upgrade_configs=[{"upgrade_type": "websocket"}],
        http_filters=[
            *filters,
            {
                "name": "envoy.filters.http.router",
                "typed_config": typed("extensions.filters.http.router.v3.Router", suppress_envoy_headers=True),
            },
        ],
        route_config={
            "name": name,
            "virtual_hosts": [{"name": name, "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": route}]}],
        },
        access_log=logs,
        **more,
    )
    return {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}
