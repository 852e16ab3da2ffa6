# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose identity to expect at an upstream's address: exactly one SPIFFE ID, or an error. Never "anyone of the trust domain"."""

from __future__ import annotations

import typing as t

from ...envoy.address import Address
from ...fleet.placement import Placement
from ...fleet.robots import Fleet
from ...job.addresses import WILDCARDS, plain
from ...job.errors import few
from ...job.model.job import Job
from ...job.model.network import InboundService
from .. import names
from ..network import choice
from ..site.site import NAMED, Finding, nothing_found
from .offered import Offered


class KnownServices(t.NamedTuple):
    """The services of a run's jobs.

    `at`, of inbound ones: {host:port: {SPIFFE ID of the group that answers there: SPIFFE IDs that it lets in}}. `named`: the same
    services by `namespace/job/group/name`. `offered` looks up those of tasks. `jobs`: the run's, `namespace/job`.
    """

    at: t.Mapping[str, t.Mapping[str, frozenset[str]]] = {}
    named: t.Mapping[str, Served] = {}
    offered: Finding = nothing_found
    jobs: t.Collection[str] = ()


class Served(t.NamedTuple):
    """An inbound service: the group that answers, the groups that it lets in (SPIFFE IDs), the robots that it is on, and whether it is
    in pods there. `unlike` are the places where it is, if robots do not agree on that. Of a job that is not in the run, `by_robot` are the
    groups that each robot lets in, and `allowed` those that all do.
    """

    service: InboundService
    identity: str
    allowed: frozenset[str]
    robots: tuple[str, ...]
    in_pods: bool = False
    unlike: tuple[str, ...] = ()
    by_robot: tuple[tuple[str, frozenset[str]], ...] = ()


def callers(fleet: Fleet, job: Job, service: InboundService) -> list[str]:
    """The SPIFFE IDs that an inbound service of a job lets in."""
    return [
        names.spiffe_id(fleet.trust_domain, allow.namespace or job.namespace, allow.job or job.name, allow.group) for allow in service.allow
    ]


def terms(fleet: Fleet, job: Job, service: InboundService, in_pods: bool) -> dict[str, t.Any]:
    """What a run of those who call a service must know of it, and has from the robots where it is (`outside.py`)."""
    protocol, allow = service.protocol.value, callers(fleet, job, service)
    return {"address": service.address, "protocol": protocol, "pods": in_pods, "allow": allow}


def known_services(
    jobs: t.Sequence[Job], fleet: Fleet, placement: Placement, named_ports: choice.Named = choice.nothing_named
) -> KnownServices:
    """The services of the run's jobs, inbound ones by name and at every name and address of the robots that they are on. Computed once
    per run. `named_ports` tells which ports a robot has named.
    """
    at: dict[str, dict[str, frozenset[str]]] = {}
    named: dict[str, Served] = {}
    robots = {robot.name: robot for robot in fleet.robots}
    for job in jobs:
        for group in job.task_groups:
            services = group.network.services if group.network and group.network.enabled else ()
            held = placement.instances.get((job.namespace, job.name, group.name), {}) if services else {}
            identity = names.spiffe_id(fleet.trust_domain, job.namespace, job.name, group.name)
            for service in services:
                allowed = frozenset(callers(fleet, job, service))
                on = tuple(sorted(name for name in held if name in robots))
                named[f"{job.namespace}/{job.name}/{group.name}/{service.name}"] = Served(service, identity, allowed, on, group.are_pods)
                hosts = {host for name in on for host in (name, robots[name].address, *robots[name].addresses)}
                for host in hosts if service.address in WILDCARDS else hosts | {service.address}:
                    at.setdefault(str(Address(plain(host), service.port)), {})[identity] = allowed
    return KnownServices(at, named, Offered(jobs, fleet, placement, named_ports), {f"{job.namespace}/{job.name}" for job in jobs})


def peer(address: Address, written: str | None, fleet: Fleet, known: KnownServices) -> str:
    """The one identity expected at `address`; raises ValueError with what is wrong.

    An ID in the upstream itself comes first, then the fleet's map k8s4r_peers, then the inbound service known at that address.
    """
    if written:
        return written
    if str(address) in fleet.peers:
        return fleet.peers[str(address)]
    found = sorted(known.at.get(str(address), ()))
    if len(found) == 1:
        return found[0]
    if found:
        raise ValueError(f"{len(found)} services answer at {address}: {', '.join(found)}")
    raise ValueError(f"no identity is known for {address}")


def elsewhere(address: Address, fleet: Fleet, known: KnownServices) -> tuple[str, str] | None:
    """What was found and what to do, if nothing answers at `address` but a service of this run has that port on other robots."""
    robots: dict[str, list[str]] = {}
    for robot in fleet.robots:
        for served in known.at.get(str(Address(plain(robot.name), address.port)), ()):
            robots.setdefault(served, []).append(robot.name if robot.address == robot.name else f"{robot.name} ({robot.address})")
    if not robots:
        return None
    served, found = min(robots.items())
    there = [robot.name for robot in fleet.robots if plain(robot.address) == address.host]
    constrain = f"correct `upstream`, or constrain that group to {there[0]}, which has this address" if there else "correct `upstream`"
    return f"{served} has port {address.port}, but on {few(found, NAMED)}", constrain
