# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a connection counts as lost: a robot that loses its power, or its network, closes none.

The kernel asks whether the other side is there while nothing moves, as it would for programs that ask for it: theirs ends at the proxy.
For what is under way nothing is said here (TCP_USER_TIMEOUT), since that would also end what waits for a slow reader.
"""

from __future__ import annotations

from .tls import Data

# Seconds without traffic until the kernel asks, seconds between two questions, and how many without an answer are the end: five minutes.
# What waits outlives a gap of its link, as it would without a proxy.
IDLE, INTERVAL, TRIES = 60, 30, 8
# A connection that no request uses is kept for so long, for the next one: that would wait on one that is lost.
UNUSED_SECONDS = 60
# By their numbers on Linux: SOL_SOCKET and SO_KEEPALIVE; IPPROTO_TCP and TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT.
_OPTIONS = ((1, 9, 1), (6, 4, IDLE), (6, 5, INTERVAL), (6, 6, TRIES))


def of_cluster() -> Data:
    """What a cluster has for its connections."""
    asks = {"keepalive_time": IDLE, "keepalive_interval": INTERVAL, "keepalive_probes": TRIES}
    return {"upstream_connection_options": {"tcp_keepalive": asks}}


def of_listener() -> Data:
    """What a listener has for the connections that it accepts: they take over the options of its socket."""
    return {"socket_options": [{"level": level, "name": name, "int_value": value} for level, name, value in _OPTIONS]}
