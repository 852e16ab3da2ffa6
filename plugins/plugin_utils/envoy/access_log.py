# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a proxy writes about its connections: one JSON object for each event, on its standard output.

Each function returns the loggers of one place in the configuration, and none where the job does not want that event.
journald, to which they go, bounds how many it takes (`LogRateLimitBurst=` of the proxy's unit) and counts the others.
"""

from __future__ import annotations

import typing as t

from ..job.model.vocabulary import AccessLog
from .tls import Data, typed

_CONNECTION: t.Mapping[str, str] = {
    "peer": "%DOWNSTREAM_PEER_URI_SAN%",
    "from": "%DOWNSTREAM_REMOTE_ADDRESS%",
    "flags": "%RESPONSE_FLAGS%",
    "refused": "%CONNECTION_TERMINATION_DETAILS%",
    "tls_failure": "%DOWNSTREAM_TRANSPORT_FAILURE_REASON%",
}
# Of a connection that has ended: for how many milliseconds it was open.
_ENDED: t.Mapping[str, str] = {**_CONNECTION, "milliseconds": "%DURATION%"}
_FAILURE: t.Mapping[str, str] = {
    "address": "%UPSTREAM_HOST%",
    "flags": "%RESPONSE_FLAGS%",
    "reason": "%UPSTREAM_TRANSPORT_FAILURE_REASON%",
    "details": "%RESPONSE_CODE_DETAILS%",
}
_REQUEST: t.Mapping[str, str] = {"method": "%REQ(:METHOD)%", "path": "%REQ(:PATH)%", "status": "%RESPONSE_CODE%"}


def opened(name: str, log: AccessLog) -> list[Data]:
    """For a TCP proxy: the connection stands, its peer is known and allowed. Of HTTP there is no such event."""
    filtered = {"filter": {"log_type_filter": {"types": ["TcpUpstreamConnected"]}}}
    return [] if log is AccessLog.NONE else [{**_logger(name, "opened", _CONNECTION), **filtered}]


def closed(name: str, log: AccessLog) -> list[Data]:
    """For a listener: a connection has ended, or was refused, and why."""
    return [] if log is AccessLog.NONE else [_logger(name, "closed", _ENDED)]


def of_requests(name: str, log: AccessLog) -> list[Data]:
    """For HTTP: the requests that failed, and where all are wanted, each."""
    every = [_logger(name, "request", {**_CONNECTION, **_REQUEST})] if log is AccessLog.REQUESTS else []
    # UC: the other side closes the connection without an answer, as it does if its `allow` does not name this group.
    return every + failures(name, log, "UC")


def refused(name: str, log: AccessLog) -> list[Data]:
    """For HTTP at a service: requests of callers that its `allow` does not name, or does no longer. Of these no flag says anything."""
    denied = {
        "filter": "envoy.filters.http.rbac",
        "path": [{"key": "enforced_engine_result"}],
        "value": {"string_match": {"exact": "denied"}},
    }
    filtered = {"filter": {"metadata_filter": {"matcher": denied, "match_if_key_not_found": False}}}
    return [] if log is AccessLog.NONE else [{**_logger(name, "refused", {**_CONNECTION, **_REQUEST}), **filtered}]


def failures(name: str, log: AccessLog, *more: str) -> list[Data]:
    """No connection (UF), none beyond a limit (UO), no healthy address (UH), a name without an answer (DF), and the flags in `more`. The
    reason is logged with them, above all that the peer has another identity.
    """
    filtered = {"filter": {"response_flag_filter": {"flags": ["UF", "UO", "UH", "DF", *more]}}}
    return [] if log is AccessLog.NONE else [{**_logger(name, "failed", _FAILURE), **filtered}]


def _logger(service: str, event: str, fields: t.Mapping[str, str]) -> Data:
    config = typed(
        "extensions.access_loggers.stream.v3.StdoutAccessLog",
        log_format={"json_format": {"service": service, "event": event, **fields}, "omit_empty_values": True},
    )
    return {"name": "envoy.access_loggers.stdout", "typed_config": config}
