# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An ingress as Envoy sees it: a listener for end users, its routes, its certificate, and a cluster for each service that they lead to."""

from __future__ import annotations

import typing as t

from ...envoy import clusters, endpoints, ingress, routes, tls
from ...envoy.address import Address
from ...envoy.clusters import ALPN
from ...envoy.tls import Data
from ...job.errors import Problem, quoted
from ...job.model.ingress import Ingress, plain_host, plain_path
from ...job.model.vocabulary import IngressTlsMode, Protocol
from .. import names
from ..network.ports import proxy_host
from ..site.site import Site
from . import discovery, identity, peers


class Target(t.NamedTuple):
    """A service that routes lead to: its cluster, the same with its endpoints in it, and the file with the endpoints."""

    cluster: Data
    inlined: Data
    path: str
    endpoints: Data


class Entrance(t.NamedTuple):
    """What an ingress adds to a proxy; nothing for a group without one.

    `inlined` are the `listeners` with their routes in them, for validation. `files` are what the listeners read, by path, those of which
    are `hidden` that have `secrets` in them.
    """

    listeners: tuple[Data, ...] = ()
    inlined: tuple[Data, ...] = ()
    targets: tuple[Target, ...] = ()
    files: t.Mapping[str, Data] = {}
    hidden: frozenset[str] = frozenset()
    secrets: frozenset[str] = frozenset()
    errors: tuple[Problem, ...] = ()


def entrance(site: Site, known: peers.KnownServices) -> Entrance:
    """The group's ingress."""
    if site.network is None or site.network.ingress is None:
        return Entrance()
    wanted = site.network.ingress
    targets, led, errors = _targets(site, wanted, known)
    pair = wanted.tls.pair
    if wanted.tls.mode is IngressTlsMode.FILES and pair is None:
        # Never plaintext in its place.
        errors.append(site.problem(f"{site.path}.network.ingress.tls", "its files have not been read"))
    table, home = routes.configuration(led), site.proxy_home
    table_path, pair_path = f"{home}/routes.json", f"{home}/certificate.json"

    address, log = Address(proxy_host(site, wanted), wanted.port), site.network.access_log

    def listener(which: Data, certificate: Data) -> Data:
        return ingress.ingress_listener(address, which, certificate if pair else None, log)

    return Entrance(
        listeners=(listener(ingress.watched(table_path), ingress.certificate(pair_path)),),
        # Where it is validated the file is not there yet: a certificate from the agent takes its place.
        inlined=(listener(ingress.inline(table), tls.from_agent(routes.NAME)),),
        targets=tuple(targets.values()),
        files={**({pair_path: ingress.secret(pair.chain, pair.key)} if pair else {}), table_path: {**tls.typed(routes.TYPE), **table}},
        hidden=frozenset((pair_path,)),
        secrets=frozenset((pair.key,)) if pair else frozenset(),
        errors=tuple(errors),
    )


def _targets(site: Site, wanted: Ingress, known: peers.KnownServices) -> tuple[dict[str, Target], list[routes.Route], list[Problem]]:
    targets: dict[str, Target] = {}
    led: list[routes.Route] = []
    errors: list[Problem] = []
    for number, route in enumerate(wanted.routes):
        path = f"{site.path}.network.ingress.routes[{number}].service"
        found = discovery.found(site, route.service, path, known)
        errors += found.errors
        if found.service is None:
            continue
        protocol = found.service.service.protocol
        if protocol is Protocol.TCP:
            what = f"{quoted(found.name)} is a tcp service, which knows neither host names nor paths"
            errors.append(site.problem(path, what, "if it speaks HTTP, write protocol: http (or grpc) there"))
            continue
        cluster = f"ingress-{found.name}"
        if cluster not in targets:
            targets[cluster] = _target(site, cluster, found, found.service, protocol)
        led.append(routes.Route(plain_host(route.host), plain_path(route.path), cluster))
    return targets, led, errors


def _target(site: Site, name: str, found: discovery.Found, served: peers.Served, protocol: Protocol) -> Target:
    path = discovery.endpoints_path(site, names.INGRESS, names.service(found.name))
    transport = tls.upstream_tls(identity.spiffe_id(site), served.identity, None, ALPN[protocol])
    return Target(
        clusters.leading_to(endpoints.discovered(found.name, path), name, protocol, transport, to_ours=True),
        clusters.leading_to(endpoints.inline(found.name, found.endpoints), name, protocol, transport, to_ours=True),
        path,
        endpoints.resource(found.name, found.endpoints),
    )
