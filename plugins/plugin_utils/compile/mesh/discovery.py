# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a service of ours is: its endpoints on all robots, as one robot reaches them, and whether a group may call it at all."""

from __future__ import annotations

import ipaddress
import typing as t

from ...envoy.address import Address
from ...envoy.endpoints import Endpoint
from ...fleet.robots import Fleet, Robot
from ...job.addresses import LOOPBACK, LOOPBACK_HOSTS, WILDCARDS, plain
from ...job.errors import Problem, did_you_mean, few, listed, nearest, quoted
from .. import names
from ..site.site import NAMED, Site
from . import identity, peers
from .offered import IPV6, NAMELESS


class Place(t.NamedTuple):
    """Where a caller is, if nothing else is known about it."""

    fleet: Fleet
    robot: Robot
    are_pods: bool


class Found(t.NamedTuple):
    """A service by its full name, as a group on a robot reaches it; None with the errors that prevent it.

    `host` is what an HTTP request calls it: there is no one robot to name.
    """

    service: peers.Served | None
    name: str = ""
    host: str = ""
    endpoints: t.Sequence[Endpoint] = ()
    errors: tuple[Problem, ...] = ()


def found(site: Site, written: str, path: str, known: peers.KnownServices) -> Found:
    """The service that an upstream names at `path`."""
    name = names.full_name(written, site.job.namespace)
    served = known.named.get(name)
    if served is None:
        return Found(None, errors=(_nobody_serves(site, name, path, known),))
    if served.unlike:
        what = f"{quoted(name)} is at {listed(served.unlike, 'and')}"
        return Found(None, errors=(site.problem(path, what, f"deploy its job to all of them first, or {_together(name)}"),))
    own = identity.spiffe_id(site)
    if own not in served.allowed:
        return Found(None, errors=(site.problem(path, *_not_let_in(site, own, name, served)),))
    endpoints, unreached = endpoints_of(site, served)
    errors = tuple(site.problem(path, f"{quoted(name)} {why}", remedy) for why, remedy in unreached.items())
    return Found(served, name, names.service_host(name), endpoints, errors)


def _not_let_in(site: Site, own: str, name: str, served: peers.Served) -> tuple[str, str]:
    """Why a group, by its SPIFFE ID, may not call a service, and what to do."""
    shut = [robot for robot, allowed in served.by_robot if own not in allowed]
    if len(shut) < len(served.by_robot):
        # The file of that job may well have it by now: such a robot may have been off when it was deployed.
        there = few(shut, NAMED)
        what = f"{quoted(name)} does not let in {own} on {there}, where its job was deployed with another `allow` than elsewhere"
        return what, f"deploy its job to {there} first, or {_together(name)}"
    what = f"{quoted(name)} lets in only the groups in its `allow`, and {own} is not among them"
    return what, f"add {names.as_allowed(site.names, name)} to the `allow` of that service"


def _nobody_serves(site: Site, name: str, path: str, known: peers.KnownServices) -> Problem:
    job, _group, last = name.rsplit("/", 2)
    if job in known.jobs and not any(other.startswith(f"{job}/") for other in known.named):
        message = f"the job {quoted(job)}, which is in this run, has no inbound service"
        remedy = f"give its group one, network: {{services: [{{name: {last}, ...}}]}}; the services of a task are others"
        return site.problem(path, message, remedy)
    message = f"neither a job of this run nor a robot has the inbound service {quoted(name)}"
    has = sorted(other for other in known.named if other.startswith(f"{job}/"))
    remedy = f"that job has {listed(has, 'and')}" if has else did_you_mean(name, _near(name, known.named)) or _first(name)
    return site.problem(path, message, remedy)


def _near(name: str, known: t.Iterable[str]) -> list[str]:
    """Services that differ from it at most by slips in each part: alike as a whole are many that share no more than a last part."""
    parts = name.split("/")
    return [other for other in known if all(nearest(part, [its]) for part, its in zip(parts, other.split("/"), strict=False))]


def _first(name: str) -> str:
    job = quoted(name.rsplit("/", 2)[0])
    return f"deploy the job {job} first, or both together: -e job=<this file>,<that file>"


def _together(name: str) -> str:
    job = quoted(name.rsplit("/", 2)[0])
    return f"deploy both together: the run needs the file of the job {job}, too: -e job=<this file>,<that file>"


def endpoints_of(site: Site | Place, served: peers.Served) -> tuple[list[Endpoint], dict[str, str]]:
    """The endpoints, and why there is none on a robot where there should be, with what to do."""
    endpoints: dict[Endpoint, None] = {}
    nameless, new = [], []
    at_all = plain(served.service.address) in WILDCARDS
    for name in served.robots:
        hosts = _hosts(site, served, site.fleet.robot(name))
        addresses = tuple(Address(host, served.service.port) for host in hosts)
        if addresses and all(address.numeric for address in addresses):
            endpoints[addresses] = None
        elif addresses or (at_all and not site.fleet.robot(name).reached_at):
            nameless.append(name)
        elif at_all:
            # All its addresses are IPv6 addresses.
            new.append(name)
    unreached = {}
    if new:
        found = few(new, NAMED)
        unreached[IPV6.format(found)] = f"add an IPv4 address to k8s4r_address of {found}"
    if nameless:
        found = few(nameless, NAMED)
        unreached[NAMELESS.format(found)] = f"set k8s4r_address of {found} to its IP address"
    elif served.robots and not (endpoints or new):
        address = served.service.address
        who = f"pods of {site.robot.called} do" if site.are_pods else f"{site.robot.called} does"
        unreached[f"listens at {address} of {few(served.robots, NAMED)}, which {who} not reach"] = (
            "remove its `address`, so that it listens at every address of its robot"
        )
    return list(endpoints), unreached


def endpoints_path(site: Site, of: str, name: str) -> str:
    """The file with the endpoints of a connection."""
    return f"{site.proxy_home}/{names.endpoints_file(of, name)}"


def addresses(site: Site | Place, served: peers.Served) -> tuple[list[str], list[str]]:
    """Where a service is, as everybody on this robot reaches it, and the robots whose IP address is not known."""
    listening = plain(served.service.address)
    if listening in LOOPBACK_HOSTS:
        return [], []
    if listening not in WILDCARDS:
        return [listening] if served.robots else [], []
    found: dict[str, None] = {}
    nameless = []
    for name in served.robots:
        here = name == site.robot.name and site.are_pods
        # A loopback is another one in each pod.
        hosts = _hosts(site, served, site.robot) if here else _away(site, served, site.fleet.robot(name))
        numeric = [host for host in hosts if Address(host, served.service.port).numeric]
        found.update(dict.fromkeys(numeric))
        nameless += [] if numeric else [name]
    return list(found), nameless


def _hosts(site: Site | Place, served: peers.Served, robot: Robot) -> t.Sequence[str]:
    """The hosts at which this site reaches a service on a robot."""
    listening = plain(served.service.address)
    here = robot.name == site.robot.name
    if listening in LOOPBACK_HOSTS:
        # The loopback of a pod is its own.
        return (listening,) if here and not site.are_pods else ()
    if listening not in WILDCARDS:
        return (listening,)
    if here:
        # Its own network may be down. To a pod, the robot is the first address of its range.
        return (str(ipaddress.IPv4Network(robot.pods)[1]) if site.are_pods else LOOPBACK,)
    return _away(site, served, robot)


def _away(site: Site | Place, served: peers.Served, robot: Robot) -> list[str]:
    """The hosts at which this site reaches a service on another robot, which listens at every address."""
    listening = plain(served.service.address)
    only_old = listening == "0.0.0.0" or robot.capabilities.get("ipv6") == "no" or served.in_pods or site.are_pods
    return [host for host in map(plain, robot.reached_at) if not (only_old and ":" in host)]
