# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The group's proxy: one Envoy per group and robot, its configuration, its unit and its registration entry.

Three parts change at different prices: the bootstrap (a restart), listeners and clusters (files, taken up live), the
identities that may call (files of their own, taken up with no drain).
"""

from __future__ import annotations

import json
import re
import typing as t

from ....module_utils._engine import plan
from ...envoy import authorization, bootstrap, clusters, listeners, tls
from ...envoy.clusters import ALPN, Address
from ...job.declare.keys import Secret
from ...job.model.network import InboundService, Upstream
from ...job.model.vocabulary import TlsMode
from .. import helpers, names, paths, systemd
from ..content import environment
from ..site import RUNTIME, Site
from ..units.tasks import Unit
from . import peers, ports

ENVOY = f"{paths.PROGRAMS}/envoy"

# The proxy is not charged to the tasks. Envoy is at 62-69 MB; the rest is room for connections.
MEMORY_MAX = 256 * 2**20

# Together they bound how long the tasks wait at a boot with no network.
AWAIT_IDENTITY_SECONDS, AWAIT_READY_SECONDS = 7, 3


class Proxy(t.NamedTuple):
    """What a group with upstreams or inbound services gets on a robot."""

    unit: Unit
    check: dict[str, t.Any]
    needs: tuple[dict[str, t.Any], ...]
    ports: tuple[dict[str, t.Any], ...]
    entry: dict[str, t.Any] | None


class _Parts(t.NamedTuple):
    listeners: list[tls.Data]
    inline_listeners: list[tls.Data]
    clusters: list[tls.Data]
    rules: dict[str, tls.Data]


def compile_proxy(site: Site, directory: peers.Directory) -> Proxy | None:
    """The proxy of the group at this site; None where the group has none."""
    network, name = site.network, site.proxy
    if network is None or name is None:
        return None
    _match_inventory(site)
    identity = names.spiffe_id(site.fleet.trust_domain, *site.names)
    secured = bool(network.services) or any(upstream.tls.mode is not TlsMode.NONE for upstream in network.upstreams)
    if secured and not site.fleet.trust_domain:
        site.error(f"{site.path}.network", "the inventory sets no k8s4r_trust_domain", "set it for the group `all`, or write tls: false")
    parts = _Parts([], [], [], {})
    for number, upstream in enumerate(network.upstreams):
        _upstream(site, parts, upstream, f"{site.path}.network.upstreams[{number}]", identity, directory)
    for number, service in enumerate(network.services):
        _service(site, parts, service, f"{site.path}.network.services[{number}]", identity)
    socket = site.fleet.agent_socket if secured else None
    return Proxy(
        unit=Unit(name, _resources(site, name, parts, socket)),
        check=plan.check(
            f"envoy configuration of {site.job.name}/{site.group.name}",
            (ENVOY, "--mode", "validate", "-c", "{dir}/envoy.json", "-l", "error", "--disable-hot-restart"),
            {"envoy.json": _dump(_bootstrap(site, socket, {}, bootstrap.inlined(parts.inline_listeners, parts.clusters)))},
        ),
        needs=(plan.need(ENVOY, "envoy"), *([plan.need(socket, "spire_agent")] if socket else [])),
        ports=tuple(plan.port(address, port, site.where(path)) for address, port, path in ports.listeners(site)),
        entry=_entry(site, identity, name) if secured else None,
    )


def _match_inventory(site: Site) -> None:
    spiffe = site.network.spiffe if site.network else None
    path = f"{site.path}.network.spiffe"
    if spiffe and spiffe.trust_domain and spiffe.trust_domain != site.fleet.trust_domain:
        site.error(f"{path}.trustDomain", f"{spiffe.trust_domain!r} is not the fleet's {site.fleet.trust_domain!r}", "leave it out")
    if spiffe and spiffe.agent_socket_path and spiffe.agent_socket_path != site.fleet.agent_socket:
        site.error(
            f"{path}.agentSocketPath", f"{spiffe.agent_socket_path!r} is not the fleet's {site.fleet.agent_socket!r}", "leave it out"
        )


def _address(site: Site, text: str, path: str) -> Address | None:
    try:
        return Address.parse(text)
    except ValueError as error:
        site.error(path, str(error))
        return None


def _upstream(site: Site, parts: _Parts, upstream: Upstream, path: str, identity: str, directory: peers.Directory) -> None:
    text = site.text(upstream.upstream, f"{path}.upstream", environment.of_group(site))
    if isinstance(text, Secret):
        site.error(f"{path}.upstream", "a secret would stand in the proxy's configuration", "write the address in the clear")
    address = _address(site, text, f"{path}.upstream")
    if address is None:
        return
    name, transport = f"upstream-{upstream.name}", None
    if upstream.tls.mode is TlsMode.SPIFFE:
        try:
            expected = peers.peer(address, upstream.tls.spiffe_id, site.fleet, directory)
        except ValueError as error:
            example = names.spiffe_id(site.fleet.trust_domain, "default", "<job>", "<group>")
            site.error(
                f"{path}.tls",
                str(error),
                "deploy it together with the job that serves this address, "
                f"write tls: {{mode: spiffe, spiffeId: {example}}}, or add the address to k8s4r_peers",
            )
            return
        served = directory.get(str(address), {})
        if served and expected not in served:
            site.warn(f"{path}.upstream", f"{expected} is expected, but {', '.join(sorted(served))} serves {address} in this run")
        elif served and identity not in served[expected]:
            site.warn(f"{path}.upstream", f"{expected} serves {address} in this run, and its `allow` does not let {identity} in")
        if not upstream.tls.spiffe_id:
            site.peers[str(address)] = expected
        transport = tls.upstream_tls(identity, expected, None if address.numeric else address.host, ALPN[upstream.protocol])
    listener = listeners.upstream_listener(name, upstream.local_port, upstream.protocol, name, str(address))
    parts.listeners.append(listener)
    parts.inline_listeners.append(listener)
    parts.clusters.append(clusters.cluster(name, address, upstream.protocol, transport))


def _service(site: Site, parts: _Parts, service: InboundService, path: str, identity: str) -> None:
    target = _address(site, service.to, f"{path}.to")
    address = _address(site, str(Address(service.address.strip("[]"), service.port)), f"{path}.address")
    if target is None or address is None:
        return
    name = f"service-{service.name}"
    allowed = peers.callers(site.fleet, site.job, service)
    transport = tls.downstream_tls(identity, ALPN[service.protocol])
    for into, rbac in (
        (parts.listeners, authorization.discovered(name, _rules_path(site, name))),
        (parts.inline_listeners, authorization.inline(name, allowed)),
    ):
        into.append(listeners.inbound_listener(name, address, service.protocol, name, transport, rbac))
    parts.clusters.append(clusters.cluster(name, target, service.protocol))
    parts.rules[name] = authorization.resource(name, allowed)


def _resources(site: Site, name: str, parts: _Parts, socket: str | None) -> tuple[dict[str, t.Any], ...]:
    home = _home(site)
    readable = {"group": site.proxy_user, "mode": "0640"}
    dynamic = bootstrap.watched(f"{home}/listeners.json", f"{home}/clusters.json")
    return (
        plan.directory(home, "root", site.proxy_user, "0750"),
        *(plan.file(_rules_path(site, rule), _dump({"resources": [data]}), **readable) for rule, data in sorted(parts.rules.items())),
        plan.file(
            f"{home}/clusters.json",
            _dump(clusters.resources("config.cluster.v3.Cluster", parts.clusters)),
            union="resources",
            **readable,
        ),
        plan.file(f"{home}/listeners.json", _dump(clusters.resources("config.listener.v3.Listener", parts.listeners)), **readable),
        plan.file(f"{home}/bootstrap.json", _dump(_bootstrap(site, socket, dynamic, {})), **readable),
        plan.unit(name, _unit(site, socket), run="always", reads=[f"{home}/bootstrap.json"]),
    )


def _unit(site: Site, socket: str | None) -> str:
    capability = "CAP_NET_BIND_SERVICE" if any(port < 1024 for _address, port, _path in ports.listeners(site)) else ""
    wait = ("/usr/bin/timeout", f"{AWAIT_IDENTITY_SECONDS}", *site.helper(helpers.AWAIT_IDENTITY), socket or "")
    ready = (*site.helper(helpers.AWAIT_PROXY), _admin(site), f"{AWAIT_READY_SECONDS}")
    options = ("--concurrency", "1", "--disable-hot-restart", "--log-level", "warning", "--file-flush-interval-msec", "1000")
    start = (ENVOY, "-c", f"{_home(site)}/bootstrap.json", *options)
    return systemd.unit(
        {
            "Unit": [
                ("Description", systemd.text(f"{site.job.name}/{site.group.name} proxy")),
                ("PartOf", site.target),
                ("After", "network.target spire-agent.service"),
                ("StartLimitIntervalSec", "0"),
            ],
            "Service": [
                ("Type", "exec"),
                ("Slice", "k8s4r-proxy.slice"),
                ("SyslogIdentifier", "envoy"),
                ("User", site.proxy_user),
                ("Group", site.proxy_user),
                ("RuntimeDirectory", _admin(site).removeprefix("/run/").rpartition("/")[0]),
                ("RuntimeDirectoryMode", "0700"),
                *([("ExecStartPre", systemd.command(wait, "-"))] if socket else []),
                ("ExecStart", systemd.command(start)),
                ("ExecStartPost", systemd.command(ready, "-")),
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
                ("NoNewPrivileges", "yes"),
                ("ProtectSystem", "strict"),
                ("ProtectHome", "yes"),
                ("PrivateTmp", "yes"),
                ("PrivateDevices", "yes"),
                ("ProtectKernelTunables", "yes"),
                ("ProtectKernelModules", "yes"),
                ("ProtectControlGroups", "yes"),
                ("RestrictAddressFamilies", "AF_UNIX AF_INET AF_INET6 AF_NETLINK"),
                ("RestrictNamespaces", "yes"),
                ("LockPersonality", "yes"),
                ("SystemCallArchitectures", "native"),
                # mincore: Envoy's own look at its memory. A call that it may lack is refused, not its death.
                ("SystemCallFilter", "@system-service mincore"),
                ("SystemCallErrorNumber", "EPERM"),
            ],
        }
    )


def _entry(site: Site, identity: str, unit: str) -> dict[str, t.Any]:
    """One registration entry per group and robot. Three selectors: the unit, the file it was loaded from (a transient
    unit of that name has another), and the user (a name: the compiler cannot know numbers).
    """
    dns = re.sub(r"[^a-z0-9.-]+", "-", site.robot.name.lower()).strip("-.")
    return {
        "entry_id": names.entry_id(site.fleet.trust_domain, *site.names, site.robot.name),
        "spiffe_id": identity,
        "parent_id": names.agent_id(site.fleet.trust_domain, site.robot.name, site.robot.attestor),
        "selectors": [
            {"type": "systemd", "value": f"id:{unit}"},
            {"type": "systemd", "value": f"fragment_path:{plan.UNIT_DIRECTORY}/{unit}"},
            {"type": "unix", "value": f"user:{site.proxy_user}"},
        ],
        "dns_names": [dns] if dns else [],
    }


def _bootstrap(site: Site, socket: str | None, dynamic: tls.Data, static: tls.Data) -> tls.Data:
    return bootstrap.bootstrap(f"{site.id}@{site.robot.name}", site.id, _admin(site), socket, dynamic, static)


def _home(site: Site) -> str:
    return f"{site.configuration}/proxy"


def _rules_path(site: Site, name: str) -> str:
    return f"{_home(site)}/allow-{name}.json"


def _admin(site: Site) -> str:
    return f"{RUNTIME}/proxy/{site.id}/admin.sock"


def _dump(data: tls.Data) -> str:
    """JSON without an indent: that one is written in Python, and was a third of a large fleet's compile time."""
    return json.dumps(data, sort_keys=True, separators=(",", ":")) + "\n"
