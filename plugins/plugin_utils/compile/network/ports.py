# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ports that two groups want on one robot, found before anything changes. What others listen on, the robot finds."""

from __future__ import annotations

import typing as t

from ...envoy.listeners import LOOPBACK
from ...job.errors import Problem
from ..site import Site
from .peers import WILDCARDS


def conflicts(sites: t.Sequence[Site], robot: str) -> t.Iterator[Problem]:
    """One problem for each listener that overlaps with one declared before it, or with the port on which another group's
    program is served: whichever came second would not get it, and its callers would reach the other.
    """
    taken: dict[int, list[tuple[str, str]]] = {}
    for site in sites:
        for address, port, path in listeners(site):
            for other, where in (*taken.get(port, ()), *_served(sites, site, port)):
                if address == other or {address, other} & set(WILDCARDS):
                    yield site.job.problem(path, f"{address}:{port} on robot {robot} is taken by {where}", "choose another port")
            taken.setdefault(port, []).append((address, site.where(path)))


def _served(sites: t.Sequence[Site], but: Site, port: int) -> t.Iterator[tuple[str, str]]:
    """The loopback addresses where programs of other groups are expected to listen on a port."""
    for site in sites:
        for number, service in enumerate(site.network.services if site.network and site is not but else ()):
            if service.to in (f"{LOOPBACK}:{port}", f"localhost:{port}"):
                yield LOOPBACK, site.where(f"{site.path}.network.services[{number}].to")


def listeners(site: Site) -> t.Iterator[tuple[str, int, str]]:
    """Address, port and path in the job file of everything that the group's proxy listens on."""
    if site.network is None:
        return
    for number, upstream in enumerate(site.network.upstreams):
        yield LOOPBACK, upstream.local_port, f"{site.path}.network.upstreams[{number}].localPort"
    for number, service in enumerate(site.network.services):
        yield service.address, service.port, f"{site.path}.network.services[{number}].port"
