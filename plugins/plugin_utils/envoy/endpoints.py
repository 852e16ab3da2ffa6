# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Endpoints of a service that runs on several robots: a file that Envoy watches (EDS), and what happens when one cannot be reached.

A change of the endpoints is a change of that file alone: it drains no listener and restarts nothing. Requests under way at an endpoint
that is no longer there are answered before its connections are closed.
"""

from __future__ import annotations

import typing as t

from .address import Address, socket_address
from .tls import Data, from_file, typed

# One endpoint: its address, and others at which it can be reached, which are tried if the first does not answer (RFC 8305).
Endpoint = t.Sequence[Address]

# A connection that cannot be opened goes to another endpoint, so often in all: of a service, and of a name, which may have several
# addresses. Nothing has been sent by then, so nothing is done twice. That is all that is tried again: a request that an endpoint may have
# seen is not.
TRIES, TRIES_OF_NAME = 4, 2

# An endpoint to which two connections in a row could not be opened is left alone for a while; answers of programs do not count. Where
# that would leave less than half of the endpoints, all are used.
_LEFT_ALONE: Data = {
    "split_external_local_origin_errors": True,
    "consecutive_local_origin_failure": 2,
    "enforcing_consecutive_local_origin_failure": 100,
    "enforcing_local_origin_success_rate": 0,
    "enforcing_consecutive_5xx": 0,
    "enforcing_consecutive_gateway_failure": 0,
    "enforcing_success_rate": 0,
    "interval": "1s",
    "base_ejection_time": "5s",
    "max_ejection_time": "30s",
    "max_ejection_percent": 100,
}
# What a cluster has that may have several endpoints. A connection has less time than to one address: there may be another to go on to.
SEVERAL: Data = {"connect_timeout": "3s", "outlier_detection": _LEFT_ALONE}


def of_tcp(tries: int) -> Data:
    """Of a TCP proxy: so many tries in all."""
    return {"max_connect_attempts": tries} if tries > 1 else {}


def of_http(tries: int) -> Data:
    """Of a route: so many tries in all."""
    if tries == 1:
        return {}
    predicate = typed("extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate")
    return {
        "retry_policy": {
            "retry_on": "connect-failure,refused-stream",
            "num_retries": tries - 1,
            "retry_back_off": {"base_interval": "0.025s", "max_interval": "0.25s"},
            "retry_host_predicate": [{"name": "envoy.retry_host_predicates.previous_hosts", "typed_config": predicate}],
            "host_selection_retry_max_attempts": 5,
        }
    }


def discovered(service: str, path: str) -> Data:
    """Where a cluster's endpoints are: in the file `path`, under the name of the service."""
    return {**SEVERAL, "type": "EDS", "eds_cluster_config": {"service_name": service, "eds_config": from_file(path)}}


def inline(service: str, endpoints: t.Sequence[Endpoint]) -> Data:
    """The same with the endpoints in it, for validation."""
    return {**SEVERAL, "type": "STATIC", "load_assignment": _assignment(service, endpoints)}


def resource(service: str, endpoints: t.Sequence[Endpoint]) -> Data:
    """A member of the file with the endpoints."""
    return {**typed("config.endpoint.v3.ClusterLoadAssignment"), **_assignment(service, endpoints)}


def _assignment(service: str, endpoints: t.Sequence[Endpoint]) -> Data:
    return {"cluster_name": service, "endpoints": [{"lb_endpoints": [{"endpoint": _endpoint(each)} for each in endpoints]}]}


def _endpoint(addresses: Endpoint) -> Data:
    first, *others = addresses
    more = {"additional_addresses": [{"address": socket_address(each)} for each in others]} if others else {}
    return {"address": socket_address(first), **more}
