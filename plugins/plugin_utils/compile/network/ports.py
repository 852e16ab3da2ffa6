# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ports that two groups want on one robot, found before anything changes. What others listen on, the robot finds."""

from __future__ import annotations

import typing as t

from ...job.addresses import LOOPBACK, clash
from ...job.errors import Problem
from ..site import Site


class Listener(t.NamedTuple):
    """An address and port that the group's proxy listens on, and where the job file says so."""

    address: str
    port: int
    path: str


def listeners(site: Site) -> t.Iterator[Listener]:
    """Everything that the group's proxy listens on."""
    if site.network is None:
        return
    for number, upstream in enumerate(site.network.upstreams):
        yield Listener(LOOPBACK, upstream.local_port, f"{site.path}.network.upstreams[{number}].localPort")
    for number, service in enumerate(site.network.services):
        yield Listener(service.address, service.port, f"{site.path}.network.services[{number}].port")


def conflicts(sites: t.Sequence[Site]) -> t.Iterator[Problem]:
    """One problem for each listener of the groups on a robot that overlaps with one declared before it, or with the port on
    which another group's program is served: whichever came second would not get it, and its callers would reach the other.
    """
    taken: dict[int, list[tuple[str, str]]] = {}
    for site in sites:
        for address, port, path in listeners(site):
            for other, where in (*taken.get(port, ()), *_served(sites, site, port)):
                if clash(address, other):
                    found = f"{address}:{port} on robot {site.robot.name} is taken by {where}"
                    yield site.problem(path, found, "choose another port")
            taken.setdefault(port, []).append((address, site.where(path)))


def _served(sites: t.Sequence[Site], but: Site, port: int) -> t.Iterator[tuple[str, str]]:
    """The loopback addresses where programs of other groups are expected to listen on a port."""
    for site in sites:
        for number, service in enumerate(site.network.services if site.network and site is not but else ()):
            if service.to in (f"{LOOPBACK}:{port}", f"localhost:{port}"):
                yield LOOPBACK, site.where(f"{site.path}.network.services[{number}].to")
