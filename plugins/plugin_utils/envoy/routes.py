# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Routes of an ingress: host name and path to cluster, in a file of their own (RDS), so that a change of them drains nothing."""

from __future__ import annotations

import typing as t

from .endpoints import TRIES, of_http
from .tls import Data

# The name of the listener, of its routes and of its certificate.
NAME = "ingress"
TYPE = "config.route.v3.RouteConfiguration"
EVERY_HOST = "*"
# Of two Host headers, Envoy makes one with a comma, where programs take either (RFC 9112, 3.2). It is like no host but one with `*`.
_SEVERAL_HOSTS: Data = {
    "match": {"prefix": "/", "headers": [{"name": ":authority", "string_match": {"contains": ","}}]},
    "direct_response": {"status": 400},
}


class Route(t.NamedTuple):
    """`host`: a name, `*.` and a name, or `*`. `path`: a prefix that ends where a segment of the path ends."""

    host: str
    path: str
    cluster: str


def configuration(routes: t.Iterable[Route]) -> Data:
    """Envoy chooses the most specific host by itself, but of the routes of a host the first one that matches: so the longest is first."""
    hosts: dict[str, list[Route]] = {}
    for route in routes:
        hosts.setdefault(route.host, []).append(route)
    return {
        "name": NAME,
        # Browsers add the port to the name, where it is not the usual one.
        "ignore_port_in_host_matching": True,
        # What Envoy itself says of a client to other proxies.
        "request_headers_to_remove": ["x-envoy-external-address", "x-envoy-internal"],
        "virtual_hosts": [
            {
                "name": host,
                "domains": [host],
                **of_http(TRIES),
                "routes": [
                    *([_SEVERAL_HOSTS] if "*" in host else []),
                    *(_route(route) for route in sorted(hosts[host], key=lambda each: (-len(each.path), each.path))),
                ],
            }
            for host in sorted(hosts)
        ],
    }


def _route(route: Route) -> Data:
    match = {"prefix": "/"} if route.path == "/" else {"path_separated_prefix": route.path}
    # How long an answer may take is up to the programs; a request that stands still ends by the listener's limit.
    return {"match": match, "route": {"cluster": route.cluster, "timeout": "0s"}}
