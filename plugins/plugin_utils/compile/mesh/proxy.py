# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The group's proxy, an Envoy for it on a robot or in each of its pods: its configuration, its unit and its registration entry.

Its configuration is in parts, because a change of each costs something else. The bootstrap needs a restart. Listeners and clusters are
files that Envoy watches. Who may call, and where services of ours are, is in files of its own: a change there drains no connection.
"""

from __future__ import annotations

import json
import typing as t

from ....module_utils._engine import plan
from ...envoy import bootstrap, clusters
from ...envoy.tls import Data
from ...fleet.robots import DEFAULT_AGENT_SOCKET
from ...job.errors import Problem
from .. import names, paths
from ..content.environment import Environment
from ..network import ports
from ..site.site import Site
from ..units.brings.watch import Watch
from ..units.service import Unit
from . import consul, identity, ingress, peers, proxy_unit
from .connections import Connection, connections

if t.TYPE_CHECKING:
    from ....module_utils._engine.plan import Check, Need, Port, Resource

ENVOY = f"{paths.PROGRAMS}/envoy"

# Kept, because json.dumps makes an encoder anew in each call that wants other than its defaults.
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


class Proxy(t.NamedTuple):
    """The proxy of a group on a robot. Errors are in `unit`."""

    unit: Unit
    check: Check
    needs: tuple[Need, ...]
    ports: tuple[Port, ...]
    entry: identity.Entry | None
    warnings: tuple[Problem, ...]


def compile_proxy(site: Site, group: Environment, known: peers.KnownServices) -> Proxy | None:
    """The proxy of the group, or of the pod; None for a group without one. `group` is the environment that the group's tasks share."""
    name = site.proxy
    if name is None:
        return None
    found = connections(site, group, known)
    carried = [each.connection for each in found if each.connection]
    outside = ingress.entrance(site, known)
    secured = identity.needed(site.network)
    socket = site.fleet.agent_socket if secured else None
    static = bootstrap.inlined(
        [*(each.inlined[0] for each in carried), *outside.inlined],
        [*(each.inlined[1] for each in carried), *(target.inlined for target in outside.targets)],
    )
    waits = proxy_unit.waits(site, socket)
    watched = consul.compiled(site)
    terms = {
        f"{site.path}.network.services[{number}].port": peers.terms(site.fleet, site.job, service, site.are_pods)
        for number, service in enumerate(site.network.services if site.network else ())
    }
    errors = (*identity.mismatches(site), *(error for each in found for error in each.errors), *outside.errors)
    return Proxy(
        unit=Unit(
            name,
            _resources(site, name, carried, outside, socket, watched),
            watched.helpers.union(call.helper for call in waits if call),
            watched.programs,
            watched.expects,
            outside.secrets,
            errors,
        ),
        check=plan.check(
            f"envoy configuration of {site.title()}",
            (ENVOY, "--mode", "validate", "-c", "{dir}/envoy.json", "-l", "error", "--disable-hot-restart"),
            {"envoy.json": dump(_bootstrap(site, socket, {}, static))},
        ),
        needs=(plan.need(ENVOY, "envoy"), *_agent(site, socket)),
        ports=tuple(_port(site, name, each, terms.get(each.path)) for each in ports.listeners(site)),
        entry=identity.entry(site, name) if secured else None,
        warnings=tuple(warning for each in found for warning in each.warnings),
    )


def _port(site: Site, unit: str, listener: ports.Listener, terms: t.Mapping[str, t.Any] | None) -> Port:
    """Nobody listens on a port of the robot that leads to a pod."""
    addressed = listener.where_addressed(site)
    if site.pod is None:
        made = plan.port(listener.address, listener.port, site.where(listener.path), unit, addressed=addressed)
    else:
        called = f"r{site.pod.instance} {listener.called}"
        made = plan.port(listener.address, listener.port, site.where(listener.path), called=called, addressed=addressed)
    made = listener.with_served(made)
    return {**made, "terms": terms} if terms else made


def _agent(site: Site, socket: str | None) -> t.Iterator[Need]:
    """A running agent, and one of ours that has attested under this robot's name, in its way: entries would not reach another."""
    if socket:
        yield plan.need(socket, "spire_agent")
    if socket == DEFAULT_AGENT_SOCKET:
        yield plan.need(f"{plan.AGENT_NAMES}/{names.agent_note(site.robot.name, site.robot.attestor)}", "spire_agent")


def _resources(
    site: Site, name: str, carried: t.Sequence[Connection], outside: ingress.Entrance, socket: str | None, watched: Watch
) -> tuple[Resource, ...]:
    home = site.proxy_home
    dynamic = bootstrap.watched(f"{home}/listeners.json", f"{home}/clusters.json")

    def file(path: str, data: Data, union: str | None = None, secret: bool = False, follows: str = "") -> Resource:
        return plan.file(path, dump(data), group=site.proxy_user, mode="0640", union=union, secret=secret, follows=follows)

    rules = {path: data for each in carried for path, data in each.rules.items()}
    found = {each.endpoints_path: each.endpoints for each in carried if each.endpoints}
    found.update({target.path: target.endpoints for target in outside.targets})
    targets = [*(each.cluster for each in carried), *(target.cluster for target in outside.targets)]
    listeners = [*(each.listener for each in carried), *outside.listeners]
    return (
        plan.directory(home, "root", site.proxy_user, "0750"),
        *watched.resources,
        *(file(path, {"resources": [data]}) for path, data in sorted(rules.items())),
        # Before the clusters that refer to them: Envoy takes in no cluster whose file is not there.
        *(file(path, {"resources": [data]}, follows=data["cluster_name"]) for path, data in sorted(found.items())),
        file(f"{home}/clusters.json", clusters.resources("config.cluster.v3.Cluster", targets), "resources"),
        *(file(path, {"resources": [data]}, secret=path in outside.hidden) for path, data in outside.files.items()),
        file(f"{home}/listeners.json", clusters.resources("config.listener.v3.Listener", listeners)),
        file(f"{home}/bootstrap.json", _bootstrap(site, socket, dynamic, {})),
        plan.unit(
            name,
            proxy_unit.text(site, ENVOY, socket, watched.order),
            run="always",
            # It takes in no cluster whose file is not there yet, and does not look again.
            reads=[
                f"{home}/bootstrap.json",
                *(each["path"] for each in watched.resources if each["kind"] == "file"),
                *([f"{plan.UNIT_DIRECTORY}/{site.pod.unit}"] if site.pod else []),
            ],
            called=f"proxy r{site.pod.instance}" if site.pod else "proxy",
            listens=[plan.port(each.address, each.port, site.where(each.path), name) for each in ports.inside(site)],
        ),
    )


def _bootstrap(site: Site, socket: str | None, dynamic: Data, static: Data) -> Data:
    of = site.pod.id if site.pod else site.id
    return bootstrap.bootstrap(f"{of}@{site.robot.name}", site.id, proxy_unit.admin_socket(site), socket, dynamic, static)


def dump(data: Data) -> str:
    """The text of a file: JSON without an indent. Python indents with a slow encoder, which took a third of the time of a large fleet."""
    return _ENCODER.encode(data) + "\n"
