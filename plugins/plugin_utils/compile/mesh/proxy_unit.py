# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The unit of a group's proxy: it has its own user, its own limits, and no privilege except for ports below 1024."""

from __future__ import annotations

from .. import helpers, names, systemd
from ..helpers import Call
from ..network import pods, ports
from ..site.site import Site

# Not counted as the group's. Envoy itself takes 62 to 69 MB; the rest is for connections.
MEMORY_MAX = 256 * 2**20

# Their sum is how long tasks wait when a robot boots without a network.
AWAIT_IDENTITY_SECONDS, AWAIT_READY_SECONDS = 7, 3

# Of its lines in a second journald takes so many at most, a few times as many where the disk has room (journald.conf(5)). It
# counts the others. Lines of Envoy itself, which begin with a level, have a limit of their own.
LOG_INTERVAL, LOG_BURST = "30s", "200"
_LOG_FORMAT = "<4>[%l][%n] %v"

_OPTIONS = (
    "--concurrency",
    "1",
    "--disable-hot-restart",
    "--log-level",
    "warning",
    "--log-format",
    _LOG_FORMAT,
    "--file-flush-interval-msec",
    "1000",
)


def admin_socket(site: Site) -> str:
    """The socket of Envoy's admin interface."""
    return f"{site.proxy_runtime}/admin.sock"


def waits(site: Site, agent_socket: str | None) -> tuple[Call | None, Call]:
    """What the start waits for: the identity, before Envoy starts (None for a proxy without one), and then Envoy itself."""
    identity = Call(helpers.AWAIT_IDENTITY, (agent_socket, f"{AWAIT_IDENTITY_SECONDS}")) if agent_socket else None
    return identity, Call(helpers.AWAIT_PROXY, (admin_socket(site), f"{AWAIT_READY_SECONDS}"))


def text(site: Site, envoy: str, agent_socket: str | None, order: systemd.Directives) -> str:
    """The unit file. `envoy` is the program; `agent_socket` is None for a proxy without an identity; `order` is what it starts after."""
    # Every port of a pod is open to all of its programs (`_engine/pods/link.py`).
    low = not site.are_pods and any(listener.port < 1024 for listener in ports.listeners(site))
    capability = "CAP_NET_BIND_SERVICE" if low else ""
    identity, ready = waits(site, agent_socket)
    return systemd.unit(
        {
            "Unit": [
                ("Description", systemd.text(site.title(*([f"r{site.pod.instance}"] if site.pod else []), "proxy"))),
                ("PartOf", site.target),
                *([("Requires", site.pod.unit)] if site.pod else []),
                ("After", " ".join(("network.target spire-agent.service", *([site.pod.unit] if site.pod else [])))),
                *order,
                ("StartLimitIntervalSec", "0"),
            ],
            "Service": [
                *systemd.started(site.robot.systemd),
                ("Slice", names.PROXY_SLICE),
                ("SyslogIdentifier", "envoy"),
                ("LogRateLimitIntervalSec", LOG_INTERVAL),
                ("LogRateLimitBurst", LOG_BURST),
                ("User", site.proxy_user),
                ("Group", site.proxy_user),
                ("RuntimeDirectory", site.proxy_runtime.removeprefix("/run/")),
                ("RuntimeDirectoryMode", "0700"),
                *pods.directives(site.pod),
                *([("ExecStartPre", systemd.command(identity.command(site.bin), "-"))] if identity else []),
                ("ExecStart", systemd.command((envoy, "-c", f"{site.proxy_home}/bootstrap.json", *_OPTIONS))),
                ("ExecStartPost", systemd.command(ready.command(site.bin), "-")),
                ("TimeoutStartSec", f"{AWAIT_IDENTITY_SECONDS + AWAIT_READY_SECONDS + 20}s"),
                ("Restart", "always"),
                ("RestartSec", "1s"),
                ("KillMode", "control-group"),
                ("TimeoutStopSec", "5s"),
                ("CPUAccounting", "yes"),
                ("MemoryAccounting", "yes"),
                ("MemoryMax", str(MEMORY_MAX)),
                ("TasksMax", "64"),
                ("LimitNOFILE", "65536"),
                ("AmbientCapabilities", capability),
                ("CapabilityBoundingSet", capability),
                # Envoy looks at its own memory with mincore.
                *systemd.confined("AF_UNIX AF_INET AF_INET6 AF_NETLINK", calls="mincore"),
            ],
        }
    )
