# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ports that two groups want on one robot, found before anything changes. The robot itself finds ports that others use."""

from __future__ import annotations

import typing as t

from ...envoy.address import Address
from ...job.addresses import ALWAYS_THERE, LOOPBACK, clash, plain
from ...job.errors import Problem
from ...job.model.network import InboundService
from ..site import Site


class Listener(t.NamedTuple):
    """An address and port that the group's proxy listens on, and its path in the job file."""

    address: str
    port: int
    path: str


def listeners(site: Site) -> t.Iterator[Listener]:
    """All that the group's proxy listens on."""
    if site.network is None:
        return
    for number, upstream in enumerate(site.network.upstreams):
        yield Listener(LOOPBACK, upstream.local_port, f"{site.path}.network.upstreams[{number}].localPort")
    for number, service in enumerate(site.network.services):
        yield Listener(inbound_host(site, service), service.port, f"{site.path}.network.services[{number}].port")


def inbound_host(site: Site, service: InboundService) -> str:
    """The address that an inbound service listens on. A robot whose kernel has no IPv6 cannot listen on all addresses of both."""
    host = plain(service.address)
    return "0.0.0.0" if host == "::" and site.robot.capabilities.get("ipv6") == "no" else host


def conflicts(sites: t.Sequence[Site]) -> t.Iterator[Problem]:
    """An error for each listener that overlaps with an earlier one on the same robot, or with the port of a program that another
    group serves: whichever starts second would not get the port, and its callers would reach the other.
    """
    taken: dict[int, list[tuple[str, str]]] = {}
    for site in sites:
        for address, port, path in listeners(site):
            for other, where in (*taken.get(port, ()), *_served(sites, site, port)):
                if clash(address, other):
                    found = f"{Address(address, port)} on robot {site.robot.name} is taken by {where}"
                    yield site.problem(path, found, "choose another port")
            taken.setdefault(port, []).append((address, site.where(path)))


def _served(sites: t.Sequence[Site], but: Site, port: int) -> t.Iterator[tuple[str, str]]:
    """The addresses of the robot where programs of other groups should be listening on a port."""
    for site in sites:
        for number, service in enumerate(site.network.services if site.network and site is not but else ()):
            host, _colon, served_port = service.to.rpartition(":")
            address = LOOPBACK if host == "localhost" else plain(host)
            # What is served elsewhere takes no port of this robot.
            if served_port == f"{port}" and address in (*ALWAYS_THERE, site.robot.name, plain(site.robot.address)):
                yield address, site.where(f"{site.path}.network.services[{number}].to")
