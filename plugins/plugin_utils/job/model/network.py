# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The group's network: what it calls, what it serves, and as whom."""

import typing as t

from ..declare.keys import Support, key
from ..declare.record import record
from .ingress import Ingress
from .ports import Port
from .vocabulary import (
    ADDRESS,
    DOMAIN,
    HOST_LABEL,
    HOST_PORT,
    NAME,
    NAME_IN_CONSUL,
    PATH,
    SERVICE,
    SPIFFE_ID,
    SUBSTITUTED,
    TRUST_DOMAIN,
    AccessLog,
    NetworkMode,
    NetworkType,
    Protocol,
    Reserved,
    TlsMode,
)


@record
class Tls:
    """How the connection to an upstream is secured. `true` means `{mode: spiffe}`, `false` means `{mode: none}`."""

    mode: TlsMode = key(
        "`spiffe`: mTLS with exactly one peer. `none`: plaintext.", default=TlsMode.SPIFFE, refused_values=(TlsMode.SYSTEM, TlsMode.CUSTOM)
    )
    spiffe_id: str | None = key(
        "SPIFFE ID of the peer. Default: the one in `k8s4r_peers`, or that of the one inbound service known at this address.",
        default=None,
        ours=True,
        pattern=SPIFFE_ID,
        expected="spiffe://<trust domain>/<path>",
    )
    sni: Reserved | None = key("Server name that is asked for.", default=None, ours=True, support=Support.REFUSED)
    ca_file: Reserved | None = key("Certificate authorities of the peer.", default=None, ours=True, support=Support.REFUSED)


@record
class Upstream:
    """A service elsewhere, which the group reaches at 127.0.0.1:localPort."""

    name: str = key("Name, unique in its group. Injected variables are named after it.", pattern=NAME)
    local_port: int = key("Port on 127.0.0.1 where the group reaches it.", minimum=1, maximum=65535)
    upstream: str | None = key(
        "Where it is: `host:port`, with an IPv6 address in brackets. Give exactly one of this, `service` and `consul`.",
        default=None,
        substituted=True,
        pattern=rf"{HOST_PORT}|{SUBSTITUTED}",
        expected="host:port or [IPv6 address]:port",
    )
    protocol: Protocol = key("Protocol spoken on the connection.", default=Protocol.TCP)
    tls: Tls = key(
        "`true` (SPIFFE mTLS), `false` (plaintext) or a mapping.", factory=Tls, shorthand={True: Tls(), False: Tls(mode=TlsMode.NONE)}
    )
    database: str = key(
        "Name of the database in DATABASE_URL.",
        default="mydb",
        ours=True,
        pattern=r"[^/?#\x00-\x20]+",
        expected="a name without / ? # and blanks",
    )
    scheme: str = key(
        "Scheme of DATABASE_URL, such as `mysql`.",
        default="postgresql",
        ours=True,
        pattern=r"[a-z][a-z0-9+.-]*",
        expected="a URL scheme, such as postgresql",
    )
    service: str | None = key(
        "The inbound service that it is, `[namespace/]job/group/name`, on whichever robots its group runs. Default namespace: this job's.",
        default=None,
        ours=True,
        pattern=SERVICE,
        expected="job/group/name or namespace/job/group/name",
    )
    consul: str | None = key(
        "Name of a service in Consul; the upstream leads to its healthy instances, as the robot's own agent knows them.",
        default=None,
        ours=True,
        pattern=NAME_IN_CONSUL,
        expected="only letters, digits and -",
    )


@record
class Allowed:
    """A group that may call an inbound service, or open connections to pods."""

    group: str = key("Name of the task group.", pattern=NAME)
    job: str | None = key("Its job. Default: this job.", default=None, pattern=NAME)
    namespace: str | None = key("Its namespace. Default: this job's.", default=None, pattern=NAME)


@record
class InboundService:
    """A port of the robot where the group's proxy terminates mTLS and lets in only the allowed groups. A pod's proxy has it in the pod, and
    the robot's port leads there.
    """

    name: str = key("Name, unique in its group.", pattern=NAME)
    port: int = key("Port where callers reach it.", minimum=1, maximum=65535)
    to: str = key(
        "Where the proxy passes connections on to, on the robot, or in mode group from inside the pod: `host:port`, or the label of a port "
        "of the group.",
        pattern=rf"{HOST_PORT}|{NAME}",
        expected="host:port, [IPv6 address]:port or the label of a port",
    )
    address: str = key(
        "Address of the robot where callers reach it. `::`: every address, IPv4 and IPv6. `0.0.0.0`: every IPv4 address.",
        default="::",
        pattern=ADDRESS,
        expected="an IP address of the robot",
    )
    protocol: Protocol = key("Protocol spoken on the connection.", default=Protocol.TCP)
    allow: tuple[Allowed, ...] = key("The groups that may call it. All others are refused.", factory=tuple)


@record
class Dns:
    """How names are looked up in a pod."""

    servers: tuple[str, ...] = key(
        "IPv4 addresses of name servers. Default: the robot's.", factory=tuple, ours=True, pattern=ADDRESS, expected="an IP address"
    )
    searches: tuple[str, ...] = key(
        "Domains in which a short name is looked up. Default: the robot's.", factory=tuple, ours=True, pattern=DOMAIN, expected="a domain"
    )


@record
class Spiffe:
    """Where the group's identity comes from. Both must match the inventory."""

    trust_domain: str | None = key(
        "The fleet's trust domain. Default: the inventory's.",
        default=None,
        pattern=TRUST_DOMAIN,
        expected="a trust domain: lower-case letters, digits, . _ -",
    )
    agent_socket_path: str | None = key(
        "Path of the SPIRE agent's socket on the robot.", default=None, pattern=PATH, expected="an absolute path"
    )


@record
class Network:
    """The group's connections. One Envoy per group and robot carries them; in mode group, one in each pod."""

    enabled: bool = key("`false` means the same as no `network` at all.", default=True)
    type: NetworkType = key("`envoy`: an Envoy proxy carries the connections. `none`: there is no proxy.", default=NetworkType.ENVOY)
    mode: NetworkMode = key(
        "`host`: the group uses the robot's network. `group`: each instance is a pod, with an address, ports, a proxy and a host name of "
        "its own.",
        default=NetworkMode.HOST,
        ours=True,
        # Nomad's and Docker's word for a network of one's own behind a bridge.
        values_elsewhere={"bridge": NetworkMode.GROUP.value},
    )
    hostname: str | None = key(
        "Of pods: their host name. Default: the pod's name.",
        default=None,
        ours=True,
        pattern=HOST_LABEL,
        expected="1 to 63 lower-case letters, digits and -",
    )
    extra_hosts: t.Mapping[str, str] = key(
        "Of pods: names for their `/etc/hosts`, each with an IPv4 address.",
        factory=dict,
        ours=True,
        key_pattern=DOMAIN,
        names=("a host name", "use letters, digits, - and ."),
        pattern=ADDRESS,
        expected="an IP address",
    )
    dns: Dns = key("Of pods: how names are looked up.", factory=Dns, ours=True)
    reach: tuple[Allowed, ...] = key(
        "Of pods: the groups whose pods may open connections to them, besides those of this group.",
        factory=tuple,
        ours=True,
    )
    access_log: AccessLog = key(
        "What the proxy writes into the journal, at a bounded rate. `connections`: connections to the group's services with their peers, "
        "refusals and failures. `requests`: http and grpc requests as well. `none`: nothing.",
        default=AccessLog.CONNECTIONS,
        ours=True,
    )
    spiffe: Spiffe = key("The group's identity.", factory=Spiffe)
    upstreams: tuple[Upstream, ...] = key("Services that the group calls.", factory=tuple)
    services: tuple[InboundService, ...] = key("Services that the group offers to other groups.", factory=tuple, ours=True)
    ingress: Ingress | None = key("Where end users reach services, by host name and path.", default=None, ours=True)
    ports: tuple[Port, ...] = key(
        "Ports of the robot on which the group's tasks listen, or in mode group that lead to its pods.", factory=tuple, ours=True
    )
    local_tls: bool = key("TLS with the group's certificate on the local ports.", default=False, ours=True, support=Support.REFUSED)
