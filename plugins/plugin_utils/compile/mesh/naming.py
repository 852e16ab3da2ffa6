# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The names of services in a robot's own DNS server: a file for each, from which the robot makes what the server answers (`_engine/dns`).

A group brings the services of its job, and those that it calls: what they are depends on nothing else that a run deploys.
"""

from __future__ import annotations

import json
import typing as t

from ....module_utils._engine import plan
from ...job.errors import Problem, few
from .. import names
from ..network.hosts import gateway
from ..site.site import NAMED, Site
from . import discovery, peers

if t.TYPE_CHECKING:
    from ....module_utils._engine.plan import Expected, Need, Resource

SERVER = "/usr/sbin/dnsmasq"
_WHERE = "k8s4r_dns"


class Named(t.NamedTuple):
    """What a group adds to the names that its robot knows."""

    resources: tuple[Resource, ...] = ()
    needs: tuple[Need, ...] = ()
    expects: tuple[Expected, ...] = ()
    errors: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()


def named(site: Site, known: peers.KnownServices) -> Named:
    """Nothing on a robot without a DNS server of its own."""
    robot = site.robot
    if not robot.dns:
        return Named()
    own = _of_job(site)
    services = {**_called(site, known), **own}
    hosts = [name for name in sorted(services) if _host(name)]
    listens = [*([gateway(site)] if site.are_pods else []), *([plan.LOOPBACK_DNS] if robot.dns_loopback else [])]
    return Named(
        tuple(_file(site, name, known.named[name]) for name in hosts),
        (plan.need(SERVER, "dnsmasq"),) if listens else (),
        tuple(plan.expected("names", address, _WHERE) for address in listens),
        # Of what is called, that is said of the call.
        tuple(error for name, path in own.items() for error in _without_address(site, path, known.named[name])),
        tuple(_nameless(site, path) for name, path in services.items() if name not in hosts),
    )


def _of_job(site: Site) -> dict[str, str]:
    """Services by their full names, each with its path in the job file."""
    job, groups = site.job, site.path.rpartition("[")[0]
    return {
        f"{job.namespace}/{job.name}/{group.name}/{service.name}": f"{groups}[{number}].network.services[{index}]"
        for number, group in enumerate(job.task_groups)
        for index, service in enumerate(group.network.services if group.network and group.network.enabled else ())
    }


def _called(site: Site, known: peers.KnownServices) -> dict[str, str]:
    """Those that it calls, with the places where it does."""
    found = {}
    for number, each in enumerate(site.network.upstreams if site.network else ()):
        name = names.full_name(each.service, site.job.namespace) if each.service else ""
        if name in known.named:
            found[name] = f"{site.path}.network.upstreams[{number}].service"
    return found


def _host(service: str) -> str:
    """Its name below the robot's domain, with the namespace where that is not the default one; empty where it cannot have one."""
    host, namespace = names.service_host(service), service.partition("/")[0]
    if namespace != "default":
        host = f"{host.removesuffix('.svc')}.{namespace}.svc"
    # With a dot in one of its parts, it might be another one's.
    return host if names.is_host(host) and "." not in service else ""


def _file(site: Site, name: str, served: peers.Served) -> Resource:
    # The group that serves it has its instances here changed in the same turn.
    mine = name.rpartition("/")[0] == "/".join(site.names)
    return plan.file(
        f"{plan.NAMES}/{site.id}.{names.service(name)}",
        content(site, name, served),
        label=f"name of {name.partition('/')[2]}",
        follows="" if mine else name,
    )


def content(site: Site | discovery.Place, name: str, served: peers.Served) -> str:
    """The text of the file of a service."""
    addresses, _nameless = discovery.addresses(site, served)
    found = {
        "version": plan.KEPT_VERSION,
        "domain": site.robot.dns,
        "name": _host(name),
        "port": served.service.port,
        "loopback": site.robot.dns_loopback,
        "endpoints": [{"address": address} for address in addresses],
    }
    return json.dumps(found, sort_keys=True, indent=1) + "\n"


def _without_address(site: Site, path: str, served: peers.Served) -> t.Iterator[Problem]:
    _addresses, nameless = discovery.addresses(site, served)
    if nameless:
        found = few(nameless, NAMED)
        what = f"runs on {found}, for which the inventory has no IP address that {site.robot.called} can reach"
        yield site.problem(path, f"{what}, so it cannot be in DNS", f"set k8s4r_address of {found} to its IP address, or remove k8s4r_dns")


def _nameless(site: Site, path: str) -> Problem:
    remedy = "use only lower-case letters, digits and - in the names of namespace, job, group and service"
    return site.problem(path, "it gets no name in DNS", remedy)._replace(robots=(site.robot.name,))
