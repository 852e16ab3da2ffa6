# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP/2 between proxies, and between a proxy and a program: how much is on its way at once, and when a connection counts as lost."""

from __future__ import annotations

from .tls import Data

# Bytes. Of a call whose reader is slow, or has vanished, so many wait in the proxy; and all calls of a connection wait for one another when
# so many do. Envoy's own limits, of 16 MiB and 24 MiB, would let two such readers hold up a service, and a dozen fill a proxy's memory.
STREAM_WINDOW, CONNECTION_WINDOW = 2**20, 16 * 2**20
# All calls to an endpoint share one connection, on which something is nearly always under way: so the kernel never asks whether the other
# side is there. The answer may come behind all that a slow link has been given before.
PING = {"interval": "30s", "timeout": "90s"}


def options(between_ours: bool) -> Data:
    """`between_ours`: the other side is a proxy of ours. A program could take pings for an attack: many allow one every five minutes."""
    windows = {"initial_stream_window_size": STREAM_WINDOW, "initial_connection_window_size": CONNECTION_WINDOW}
    return {**windows, **({"connection_keepalive": PING} if between_ours else {})}
