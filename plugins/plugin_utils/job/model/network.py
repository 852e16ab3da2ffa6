# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The group's network: what it calls, what it serves, and as whom."""

from __future__ import annotations

from ..declare.keys import Support, key
from ..declare.record import record
from .vocabulary import ADDRESS, HOST_PORT, NAME, PATH, SUBSTITUTED, NetworkMode, NetworkType, Protocol, Reserved, TlsMode


@record
class Tls:
    """How a connection to an upstream is secured. `true` means `{mode: spiffe}`, `false` means `{mode: none}`."""

    mode: TlsMode = key(
        "spiffe is mTLS with one exact peer; none is plaintext.", default=TlsMode.SPIFFE, refused_values=(TlsMode.SYSTEM, TlsMode.CUSTOM)
    )
    spiffe_id: str | None = key(
        "The peer's exact identity.",
        default=None,
        ours=True,
        pattern=r"spiffe://[a-z0-9._-]+(/[A-Za-z0-9._-]+)+",
        says="spiffe://<trust domain>/<path>",
    )
    sni: Reserved | None = key("Server name.", default=None, ours=True, support=Support.REFUSED)
    ca_file: Reserved | None = key("Certificate authorities of the peer.", default=None, ours=True, support=Support.REFUSED)


@record
class Upstream:
    """A service elsewhere that the group reaches at 127.0.0.1:localPort."""

    name: str = key("Names the injected variables.", pattern=NAME)
    local_port: int = key("Port of the listener on 127.0.0.1.", minimum=1, maximum=65535)
    upstream: str = key(
        "host:port, a bracketed address for IPv6.",
        substituted=True,
        pattern=rf"{HOST_PORT}|{SUBSTITUTED}",
        says="host:port or [IPv6 address]:port",
    )
    protocol: Protocol = key("What is spoken.", default=Protocol.TCP)
    tls: Tls = key(
        "`true` (SPIFFE mTLS), `false` (plaintext) or a mapping.", factory=Tls, shorthand={True: Tls(), False: Tls(mode=TlsMode.NONE)}
    )
    database: str = key(
        "Database named in DATABASE_URL.", default="mydb", ours=True, pattern=r"[^/?#\x00-\x20]+", says="a name without / ? # and blanks"
    )
    scheme: str = key(
        "Scheme of DATABASE_URL.", default="postgresql", ours=True, pattern=r"[a-z][a-z0-9+.-]*", says="a URL scheme, such as postgresql"
    )


@record
class Allowed:
    """A group that may call a service."""

    group: str = key("Name of the task group.", pattern=NAME)
    job: str | None = key("Its job; default: this one.", default=None, pattern=NAME)
    namespace: str | None = key("Its namespace; default: this job's.", default=None, pattern=NAME)


@record
class InboundService:
    """A port of the robot where the group's proxy ends mTLS and lets exactly the allowed groups in."""

    name: str = key("Unique in its group.", pattern=NAME)
    port: int = key("Port of the listener.", minimum=1, maximum=65535)
    to: str = key("host:port on the robot that is served.", pattern=HOST_PORT, says="host:port or [IPv6 address]:port")
    address: str = key("Address of the listener.", default="0.0.0.0", pattern=ADDRESS, says="an IP address of the robot")
    protocol: Protocol = key("What is spoken.", default=Protocol.TCP)
    allow: tuple[Allowed, ...] = key("Who may call; nobody else gets in.", factory=tuple)


@record
class Spiffe:
    """Where the group's identity comes from; both must match the inventory."""

    trust_domain: str | None = key(
        "Trust domain of the fleet.", default=None, pattern=r"[a-z0-9._-]{1,255}", says="a trust domain: lower-case letters, digits, . _ -"
    )
    agent_socket_path: str | None = key("Socket of the robot's SPIRE agent.", default=None, pattern=PATH, says="an absolute path")


@record
class Network:
    """The group's connections: one Envoy per group and robot carries them."""

    enabled: bool = key("`false` is as if `network` were not written.", default=True)
    type: NetworkType = key("envoy, or none for no proxy.", default=NetworkType.ENVOY)
    mode: NetworkMode = key(
        "host: the robot's own network; group is refused today.", default=NetworkMode.HOST, ours=True, refused_values=(NetworkMode.GROUP,)
    )
    spiffe: Spiffe = key("Identity.", factory=Spiffe)
    upstreams: tuple[Upstream, ...] = key("What the group calls.", factory=tuple)
    services: tuple[InboundService, ...] = key("What the group serves.", factory=tuple, ours=True)
    ports: Reserved | None = key("Published ports.", default=None, ours=True, support=Support.REFUSED)
    local_tls: bool = key("The group's certificate on the loopback listeners.", default=False, ours=True, support=Support.REFUSED)
