# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Upstreams and inbound services as Envoy sees them: each is a listener, and the cluster that it forwards to."""

from __future__ import annotations

import types
import typing as t

from ...envoy import authorization, clusters, endpoints, listeners, tls
from ...envoy.address import Address
from ...envoy.authorization import Of
from ...envoy.clusters import ALPN
from ...envoy.tls import Data
from ...job.declare.keys import Secret
from ...job.errors import Problem, quoted
from ...job.model.network import InboundService, Upstream
from ...job.model.vocabulary import AccessLog, Protocol, TlsMode
from .. import names
from ..content.environment import Environment
from ..content.substitution import substituted
from ..network.ports import of_label, proxy_host
from ..site.site import Site
from . import consul, discovery, identity, peers


class Connection(t.NamedTuple):
    """One upstream or inbound service.

    An inbound service has `rules`, which say who may call: files, by their paths. An upstream that is a service of ours has `endpoints`,
    in a file at `endpoints_path`, and so has a service whose instances have ports of their own. `inlined` are the listener and the cluster
    with all of this in them, for validation.
    """

    name: str
    listener: Data
    cluster: Data
    inlined: tuple[Data, Data]
    rules: t.Mapping[str, Data] = types.MappingProxyType({})
    endpoints: Data | None = None
    endpoints_path: str = ""


class Found(t.NamedTuple):
    """A connection, or the errors that prevent it; and warnings."""

    connection: Connection | None
    errors: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()


def _rules_path(site: Site, name: str, of: Of) -> str:
    return f"{site.proxy_home}/{'allow' if of is Of.CONNECTIONS else 'allow-requests'}-{name}.json"


def connections(site: Site, group: Environment, known: peers.KnownServices) -> list[Found]:
    """All upstreams and services of the group. `group` is the environment that its tasks share."""
    network = site.network
    if network is None:
        return []
    path = f"{site.path}.network"
    upstreams = [
        _upstream(site, each, f"{path}.upstreams[{n}]", group, known, network.access_log) for n, each in enumerate(network.upstreams)
    ]
    return upstreams + [_service(site, each, f"{path}.services[{n}]", network.access_log) for n, each in enumerate(network.services)]


def _upstream(site: Site, upstream: Upstream, path: str, group: Environment, known: peers.KnownServices, log: AccessLog) -> Found:
    if upstream.service:
        return _service_of_ours(site, upstream, path, upstream.service, known, log)
    if upstream.consul:
        return _service_in_consul(site, upstream, path, upstream.consul, log)
    text, errors = substituted(site, upstream.upstream or "", f"{path}.upstream", group.variables)
    if isinstance(text, Secret):
        found = "a secret cannot be used here: it would be readable in the proxy's configuration"
        errors = (*errors, site.problem(f"{path}.upstream", found, "write the address as plain text"))
    try:
        address = Address.parse(text)
    except ValueError as error:
        return Found(None, (*errors, site.problem(f"{path}.upstream", str(error))))
    name, transport = f"upstream-{upstream.name}", None
    warnings: tuple[Problem, ...] = ()
    if upstream.tls.mode is TlsMode.SPIFFE:
        try:
            expected = peers.peer(address, upstream.tls.spiffe_id, site.fleet, known)
        except ValueError as error:
            return Found(None, (*errors, _no_peer(site, path, address, str(error), known)))
        own = identity.spiffe_id(site)
        transport = tls.upstream_tls(own, expected, None if address.numeric else address.host, ALPN[upstream.protocol])
        warnings += (*_contradictions(site, f"{path}.upstream", address, expected, known), *_foreign(site, f"{path}.tls", expected))
    tries = 1 if address.numeric else endpoints.TRIES_OF_NAME
    listener = listeners.upstream_listener(name, upstream.local_port, upstream.protocol, name, str(address), log, tries)
    cluster = clusters.cluster(name, [address], upstream.protocol, transport)
    return Found(Connection(name, listener, cluster, (listener, cluster)), errors, warnings)


def _service_of_ours(site: Site, upstream: Upstream, path: str, written: str, known: peers.KnownServices, log: AccessLog) -> Found:
    """An upstream that is an inbound service of the run, wherever it runs."""
    found = discovery.found(site, written, f"{path}.service", known)
    if found.service is None:
        return Found(None, found.errors)
    name, protocol = f"upstream-{upstream.name}", upstream.protocol
    # By the service: an upstream that is pointed at another one needs a file that the first turn of a switch does not hold.
    file = discovery.endpoints_path(site, names.UPSTREAM, names.service(found.name))
    transport = tls.upstream_tls(identity.spiffe_id(site), found.service.identity, None, ALPN[protocol])
    listener = listeners.upstream_listener(name, upstream.local_port, protocol, name, found.host, log, endpoints.TRIES)
    return Found(
        Connection(
            name,
            listener,
            clusters.leading_to(endpoints.discovered(found.name, file), name, protocol, transport, to_ours=True),
            (listener, clusters.leading_to(endpoints.inline(found.name, found.endpoints), name, protocol, transport, to_ours=True)),
            endpoints=endpoints.resource(found.name, found.endpoints),
            endpoints_path=file,
        ),
        found.errors,
        tuple(_other_protocol(site, path, protocol, found.name, found.service.service.protocol)),
    )


def _other_protocol(site: Site, path: str, own: Protocol, service: str, its: Protocol) -> t.Iterator[Problem]:
    """A warning if calls of gRPC are to pass a hop of HTTP/1.1, which loses how they ended. As tcp, whatever the programs speak passes."""
    if own is not its and Protocol.GRPC in (own, its) and Protocol.TCP not in (own, its):
        found = f"found {own.value}, and {quoted(service)} is a service of {its.value}: calls of gRPC do not pass"
        yield site.problem(f"{path}.protocol", found, f"write protocol: {its.value}, or change that of the service")


def _service_in_consul(site: Site, upstream: Upstream, path: str, service: str, log: AccessLog) -> Found:
    """An upstream at the instances that Consul has of a service: a file with them is rendered on the robot."""
    name, protocol, expected = f"upstream-{upstream.name}", upstream.protocol, upstream.tls.spiffe_id
    transport = tls.upstream_tls(identity.spiffe_id(site), expected, None, ALPN[protocol]) if expected else None
    listener = listeners.upstream_listener(name, upstream.local_port, protocol, name, f"{service}.service.consul", log, endpoints.TRIES)
    static = clusters.leading_to(endpoints.inline(service, ()), name, protocol, transport)
    cluster = clusters.leading_to(endpoints.discovered(service, consul.file(site, service)), name, protocol, transport)
    warnings = tuple(_foreign(site, f"{path}.tls", expected)) if expected else ()
    return Found(Connection(name, listener, cluster, (listener, static)), (), warnings)


def _no_peer(site: Site, path: str, address: Address, found: str, known: peers.KnownServices) -> Problem:
    """No identity, or no single one, is known at the address of the upstream at `path`."""
    elsewhere = None if known.at.get(str(address)) else peers.elsewhere(address, site.fleet, known)
    if elsewhere:
        where, remedy = elsewhere
        return site.problem(f"{path}.upstream", f"{found}: {where}", remedy)
    example = names.spiffe_id(site.fleet.trust_domain, "default", "<job>", "<group>")
    remedy = (
        "deploy it together with the job that serves this address, "
        f"write tls: {{mode: spiffe, spiffeId: {example}}}, or add the address to k8s4r_peers"
    )
    return site.problem(f"{path}.tls", found, remedy)


def _contradictions(site: Site, path: str, address: Address, expected: str, known: peers.KnownServices) -> t.Iterator[Problem]:
    """Warnings if the other side is deployed in the same run and would refuse this connection."""
    served, own = known.at.get(str(address), {}), identity.spiffe_id(site)
    if served and expected not in served:
        yield site.problem(path, f"{expected} is expected at {address}, but in this run {', '.join(sorted(served))} serves it")
    elif served and own not in served[expected]:
        yield site.problem(path, f"{expected} serves {address} in this run, but its `allow` does not name {own}")


def _foreign(site: Site, path: str, expected: str) -> t.Iterator[Problem]:
    """A warning if the other side belongs to another trust domain, whose certificates nothing here can check."""
    domain = expected.removeprefix("spiffe://").partition("/")[0]
    if domain != site.fleet.trust_domain:
        found = f"{expected} belongs to the trust domain {domain}, and the fleet's is {site.fleet.trust_domain}"
        yield site.problem(path, f"{found}: without federation no connection is accepted", "federation is not supported yet")


def _service(site: Site, service: InboundService, path: str, log: AccessLog) -> Found:
    errors: list[Problem] = []

    def parsed(text: str, key: str) -> Address | None:
        try:
            return Address.parse(text)
        except ValueError as error:
            errors.append(site.problem(f"{path}.{key}", str(error)))
            return None

    targets = of_label(site, service.to)
    labelled = bool(targets)
    if not targets and (target := parsed(service.to, "to")):
        targets = [target]
    address = parsed(str(Address(proxy_host(site, service), service.port)), "address")
    if not targets or address is None:
        return Found(None, tuple(errors))
    name = f"service-{service.name}"
    allowed = peers.callers(site.fleet, site.job, service)
    transport = tls.downstream_tls(identity.spiffe_id(site), ALPN[service.protocol])

    looked_at = (Of.CONNECTIONS,) if service.protocol is Protocol.TCP else tuple(Of)
    rules = {_rules_path(site, name, of): authorization.resource(name, allowed, of) for of in looked_at}

    tries = endpoints.TRIES if labelled else 1

    def listener(connections: Data, *requests: Data) -> Data:
        return listeners.inbound_listener(name, address, service.protocol, name, transport, connections, list(requests), log, tries)

    cluster = static = clusters.cluster(name, targets, service.protocol)
    found, file = None, discovery.endpoints_path(site, names.OWN, service.name)
    if labelled:
        # Instances come and go, and each has a port of its own.
        own, each = "/".join((*site.names, service.name)), [(target,) for target in targets]
        cluster = clusters.leading_to(endpoints.discovered(own, file), name, service.protocol)
        static, found = clusters.leading_to(endpoints.inline(own, each), name, service.protocol), endpoints.resource(own, each)
    return Found(
        Connection(
            name,
            listener(*(authorization.discovered(name, _rules_path(site, name, of), of) for of in looked_at)),
            cluster,
            (listener(*(authorization.inline(name, allowed, of) for of in looked_at)), static),
            rules,
            found,
            file,
        )
    )
