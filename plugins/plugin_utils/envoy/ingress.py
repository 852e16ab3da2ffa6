# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The listener for end users: HTTP from anybody. So it believes nothing that a client says of itself, and bounds what one can take up.

The limits are those that Envoy's documentation has for a proxy at the edge ("Configuring Envoy as an edge proxy").
"""

from __future__ import annotations

from ..job.model.vocabulary import AccessLog
from . import access_log, alive
from .address import Address
from .listeners import listening
from .routes import NAME
from .tls import Data, from_file, typed

# Connections at once. One over TLS takes 21 KB, and 100 KB with a body on its way to a program that does not read.
MAX_CONNECTIONS = 1000
# For a handshake, and for the headers of a request.
HEADERS_SECONDS = 10
# Of a request or a connection on which nothing moves.
IDLE_SECONDS = 300
MAX_HEADERS_KIB, MAX_HEADERS = 60, 100
# Of a body, on its way through: who sends faster than the service reads has to wait.
BUFFER = 32 * 1024

NO_ROUTE = "Nothing is served here: no route has this host name and path.\n"
NO_SERVICE = "The service does not answer at the moment.\n"
NO_REQUEST = "This request cannot be understood, or its path has an escaped slash.\n"

# What proxies tell programs of a client, and programs believe: its address, how and as which host it has asked, and who it is. These
# headers are removed, and all that begin so. x-forwarded-for and x-forwarded-proto are set anew.
FORGED = (
    "cf-connecting-ip",
    "fastly-client-ip",
    "fly-client-ip",
    "forwarded",
    # A program of CGI finds it as HTTP_PROXY, and sends its own requests there.
    "proxy",
    "true-client-ip",
    "x-arr-clientcert",
    "x-authenticated-user",
    "x-client-cert",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-forward-for",
    "x-forwarded",
    "x-host",
    "x-http-method-override",
    "x-original-host",
    "x-original-url",
    "x-originating-ip",
    "x-real-ip",
    "x-rewrite-url",
    "x-scheme",
)
FORGED_PREFIXES = (
    *("client-cert", "remote-", "ssl-client-", "x-auth-request-", "x-envoy-", "x-forwarded-", "x-original-forwarded-", "x-remote-"),
    *("x-ssl-", "x-webauth-"),
)


def watched(path: str) -> Data:
    """Routes that Envoy reads from the file `path` and watches."""
    return {"rds": {"route_config_name": NAME, "config_source": from_file(path)}}


def inline(routes: Data) -> Data:
    """The routes in the listener, for validation."""
    return {"route_config": routes}


def certificate(path: str) -> Data:
    """A certificate that Envoy reads from the file `path` and watches."""
    return {"name": NAME, "sds_config": from_file(path)}


def secret(chain: str, key: str) -> Data:
    """The content of that file. Certificate and key are in one, so that the two are never of different pairs."""
    pair = {"certificate_chain": {"inline_string": chain}, "private_key": {"inline_string": key}}
    return {**typed("extensions.transport_sockets.tls.v3.Secret"), "name": NAME, "tls_certificate": pair}


def ingress_listener(address: Address, routes: Data, certificate: Data | None, log: AccessLog) -> Data:
    """`routes` are `watched` or `inline`. Without a certificate it speaks plaintext."""
    filters = [_limit(), _http(routes, log)]
    made = listening(NAME, address, filters)
    made.update(alive.of_listener(), access_log=access_log.closed(NAME, log))
    made["per_connection_buffer_limit_bytes"] = BUFFER
    if certificate:
        made["filter_chains"][0]["transport_socket"] = _tls(certificate)
        made["filter_chains"][0]["transport_socket_connect_timeout"] = f"{HEADERS_SECONDS}s"
    return made


def _tls(certificate: Data) -> Data:
    context = {
        "tls_certificate_sds_secret_configs": [certificate],
        "alpn_protocols": ["h2", "http/1.1"],
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
    }
    config = typed("extensions.transport_sockets.tls.v3.DownstreamTlsContext", common_tls_context=context)
    return {"name": "envoy.transport_sockets.tls", "typed_config": config}


def _limit() -> Data:
    limit = typed("extensions.filters.network.connection_limit.v3.ConnectionLimit", stat_prefix=NAME, max_connections=MAX_CONNECTIONS)
    return {"name": "envoy.filters.network.connection_limit", "typed_config": limit}


def _http(routes: Data, log: AccessLog) -> Data:
    manager = typed(
        "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix=NAME,
        codec_type="AUTO",
        **routes,
        # What a client says of itself is removed before anything else looks at it.
        early_header_mutation_extensions=[_without_forged()],
        forward_client_cert_details="SANITIZE",
        use_remote_address=True,
        normalize_path=True,
        merge_slashes=True,
        path_with_escaped_slashes_action="REJECT_REQUEST",
        strip_trailing_host_dot=True,
        max_request_headers_kb=MAX_HEADERS_KIB,
        common_http_protocol_options={
            "idle_timeout": f"{IDLE_SECONDS}s",
            "max_headers_count": MAX_HEADERS,
            # Many programs cannot tell x_forwarded_for from x-forwarded-for.
            "headers_with_underscores_action": "DROP_HEADER",
        },
        http2_protocol_options={
            "max_concurrent_streams": 100,
            "initial_stream_window_size": 64 * 1024,
            "initial_connection_window_size": 1024 * 1024,
        },
        request_headers_timeout=f"{HEADERS_SECONDS}s",
        stream_idle_timeout=f"{IDLE_SECONDS}s",
        generate_request_id=False,
        server_header_transformation="PASS_THROUGH",
        upgrade_configs=[{"upgrade_type": "websocket"}],
        local_reply_config={
            "mappers": [
                _said(_flags("NR"), 404, NO_ROUTE),
                _said(_flags("UH", "UF", "UC", "UR", "NC", "UO"), 503, NO_SERVICE),
                _said(_status(400), 400, NO_REQUEST),
            ]
        },
        http_filters=[
            {
                "name": "envoy.filters.http.router",
                "typed_config": typed("extensions.filters.http.router.v3.Router", suppress_envoy_headers=True),
            }
        ],
        access_log=access_log.of_requests(NAME, log),
    )
    return {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}


def _without_forged() -> Data:
    mutations: list[Data] = [{"remove": name} for name in FORGED]
    mutations += [{"remove_on_match": {"key_matcher": {"prefix": prefix, "ignore_case": True}}} for prefix in FORGED_PREFIXES]
    config = typed("extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation", mutations=mutations)
    return {"name": "envoy.http.early_header_mutation.header_mutation", "typed_config": config}


def _flags(*flags: str) -> Data:
    return {"response_flag_filter": {"flags": list(flags)}}


def _status(status: int) -> Data:
    # Only what can be changed at runtime has a default and a name; it never is.
    value = {"default_value": status, "runtime_key": f"{NAME}.status"}
    return {"status_code_filter": {"comparison": {"op": "EQ", "value": value}}}


def _said(which: Data, status: int, words: str) -> Data:
    """What an end user reads, in place of Envoy's own words, which tell of addresses and identities."""
    plain = {"text_format_source": {"inline_string": "%LOCAL_REPLY_BODY%"}, "content_type": "text/plain; charset=utf-8"}
    return {
        "filter": which,
        "status_code": status,
        "body": {"inline_string": words},
        "body_format_override": plain,
    }
