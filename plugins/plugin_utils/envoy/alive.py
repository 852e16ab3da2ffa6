# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a connection counts as lost: a robot that loses its power, or its network, closes none.

The kernel asks whether the other side is there while nothing moves, as it would for programs that ask for it: theirs ends at the proxy.
For what is under way nothing is said here (TCP_USER_TIMEOUT), since that would also end what waits for a slow reader.
"""

from __future__ import annotations

import typing as t

from ..job.model.vocabulary import Protocol
from .tls import Data


class Asking(t.NamedTuple):
    """Seconds without traffic until the kernel asks, seconds between two questions, and how many without an answer are the end."""

    idle: int
    interval: int
    tries: int


# Five minutes: a program that only listens outlives a gap of its link, as it would without a proxy.
_PATIENT = Asking(60, 30, 8)
# One minute: connections that nobody uses at the moment are kept for the next request, which would wait on one that is lost.
_POOLED = Asking(30, 10, 3)
# All calls to an endpoint share one connection, on which something is nearly always under way.
_SHARED = {"interval": "30s", "timeout": "20s"}

# By their numbers on Linux: SOL_SOCKET and SO_KEEPALIVE; IPPROTO_TCP and TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT.
_KEEPALIVE, _TIMES = (1, 9), ((6, 4), (6, 5), (6, 6))


def of_cluster(protocol: Protocol) -> Data:
    """What a cluster has for its connections."""
    idle, interval, tries = _PATIENT if protocol is Protocol.TCP else _POOLED
    asks = {"keepalive_time": idle, "keepalive_interval": interval, "keepalive_probes": tries}
    return {"upstream_connection_options": {"tcp_keepalive": asks}}


def of_listener() -> Data:
    """What a listener has for the connections that it accepts: they take over the options of its socket."""
    options = [(_KEEPALIVE, 1), *zip(_TIMES, _PATIENT)]
    return {"socket_options": [{"level": level, "name": name, "int_value": value} for (level, name), value in options]}


def of_http2() -> Data:
    """What HTTP/2 to another proxy has besides. A program could take it for an attack: many allow a ping every five minutes."""
    return {"connection_keepalive": _SHARED}
