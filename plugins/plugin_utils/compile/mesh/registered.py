# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Services of tasks in Consul: a definition for each instance, which the robot's own agent reads.

https://developer.hashicorp.com/consul/docs/services/configuration/services-configuration-reference has the keys; all of them are those
of Consul 1.8, too.
"""

from __future__ import annotations

import json
import typing as t

from ....module_utils._engine import plan
from ...job.addresses import LOOPBACK, LOOPBACK_HOSTS, WILDCARDS, here, plain
from ...job.errors import Problem, quoted
from ...job.model.services import Check, Service
from ...job.model.task import Task
from ...job.model.vocabulary import CheckProtocol, CheckType, Provider
from .. import names
from ..network import ports
from ..site.placed import PlacedTask
from ..site.site import Site

if t.TYPE_CHECKING:
    from ....module_utils._engine.plan import Expected, Resource

_NATIVE = "or write `provider: native`"


class Place(t.NamedTuple):
    """Where an instance is found, and where the agent, which is on the robot, checks it. No `address` is that of the agent. `of_proxy`: the
    port is an inbound service's.
    """

    address: str
    port: int
    checked: str
    checked_port: int
    of_proxy: bool = False


class Registered(t.NamedTuple):
    """What a group has in Consul."""

    resources: tuple[Resource, ...] = ()
    expects: tuple[Expected, ...] = ()
    errors: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()


def registered(site: Site) -> Registered:
    """All instances that run on this robot."""
    resources: list[Resource] = []
    errors: list[Problem] = []
    warnings: list[Problem] = []
    asked = ""
    for task in site.tasks:
        for number, service in enumerate(task.spec.services):
            if service.provider is not Provider.CONSUL:
                continue
            path = f"{task.path}.services[{number}]"
            asked = asked or f"{path}.provider"
            place = _place(site, task, service)
            wrong = list(_wrong(site, path, service, place))
            if place is None:
                what = f"{quoted(service.port_label)} is no port of the group"
                wrong.append(site.problem(f"{path}.portLabel", what, "add it to network.ports, and write its label"))
            errors += wrong
            if place and not wrong:
                if place.address in LOOPBACK_HOSTS:
                    what = f"is registered at {place.address}, where only programs on its own robot reach it"
                    warnings.append(site.problem(f"{path}.portLabel", what, "give it a port of network.ports without that hostIP"))
                before = sum((each.name, each.port_label) == (service.name, service.port_label) for each in task.spec.services[:number])
                id = names.registration(task.id, service.name, service.port_label, before)
                content = json.dumps({"service": _definition(site, task, id, service, place)}, sort_keys=True, indent=1) + "\n"
                label = f"registration of {task.called.partition(' ')[0]} {service.name}"
                resources.append(plan.file(f"{plan.REGISTERED}/{id}.json", content, label=label))
    # Each instance has the same to say.
    expects = (plan.expected("consul", "services", site.where(asked)),) if asked else ()
    return Registered(tuple(resources), expects, tuple(dict.fromkeys(errors)), tuple(dict.fromkeys(warnings)))


def _place(site: Site, task: PlacedTask[Task], service: Service) -> Place | None:
    """None for a label that the group does not declare."""
    label = service.port_label
    for placed in site.ports:
        if placed.instance == task.instance and placed.spec.label == label:
            host = plain(placed.spec.host_ip) if placed.spec.host_ip else ""
            address = "" if host in ("", *WILDCARDS) else host
            pod = site.pod_of(task.instance)
            checked = (pod.address, placed.inside) if pod else (here(host or LOOPBACK), placed.number)
            return Place(address, placed.number, *checked)
    inbound = next((each for each in (site.network.services if site.network else ()) if each.name == label), None)
    if inbound:
        host = plain(ports.proxy_host(site, inbound))
        # What a pod publishes is not at the robot's ::1.
        at = LOOPBACK if site.are_pods else here(host)
        return Place("" if host in WILDCARDS else host, inbound.port, at, inbound.port, of_proxy=True)
    return Place(LOOPBACK, int(label), LOOPBACK, int(label)) if label.isdecimal() and not site.are_pods else None


def _definition(site: Site, task: PlacedTask[Task], id: str, service: Service, place: Place) -> dict[str, t.Any]:
    namespace, job, group = site.names
    return {
        "id": f"k8s4r-{id}",
        "name": service.name,
        "tags": list(service.tags),
        **({"address": place.address} if place.address else {}),
        "port": place.port,
        "meta": {"external-source": "k8s4r", "namespace": namespace, "job": job, "group": group, "task": task.spec.name},
        "checks": [_check(f"k8s4r-{id}-{index}", check, place) for index, check in enumerate(service.checks)],
    }


def _check(id: str, check: Check, place: Place) -> dict[str, t.Any]:
    """A check as Consul runs it."""
    host = f"[{place.checked}]" if ":" in place.checked else place.checked
    at = f"{host}:{place.checked_port}"
    secure = check.protocol is CheckProtocol.HTTPS
    found: dict[str, t.Any] = {
        "id": id,
        "name": check.name,
        "interval": f"{float(check.interval):g}s",
        "timeout": f"{float(check.timeout):g}s",
        "status": check.initial_status.value,
        # Consul counts the failures that are forgiven.
        "success_before_passing": max(0, check.success_before_passing - 1),
        "failures_before_critical": max(0, check.failures_before_critical - 1),
    }
    if check.type is CheckType.TCP:
        return {**found, "tcp": at}
    if check.type is CheckType.GRPC:
        found |= {"grpc": f"{at}/{check.path}" if check.path else at, "grpc_use_tls": secure}
    else:
        found |= {"http": f"{'https' if secure else 'http'}://{at}{check.path or '/'}", "method": check.method or "GET"}
    return {**found, **({"tls_skip_verify": True} if check.tls_skip_verify else {})}


def _wrong(site: Site, path: str, service: Service, place: Place | None) -> t.Iterator[Problem]:
    """What Consul does not do as the robot would."""
    for number, check in enumerate(service.checks):
        at = f"{path}.checks[{number}]"
        if check.type is CheckType.SCRIPT:
            yield site.problem(f"{at}.type", "Consul does not run scripts as the task", f"write tcp, http or grpc, {_NATIVE}")
        elif place and place.of_proxy and check.type is not CheckType.TCP:
            what = "Consul checks the port of the proxy, which answers only other proxies"
            yield site.problem(f"{at}.type", what, f"write tcp, or give the service a port of network.ports, {_NATIVE}")
        if check.port_label and check.port_label != service.port_label:
            yield site.problem(f"{at}.portLabel", "Consul checks the port of the service", f"remove it, {_NATIVE}")
        for key, value in (("expect", check.expect), ("headers", check.headers), ("serverName", check.server_name)):
            if value:
                yield site.problem(f"{at}.{key}", "not every version of Consul can do that", f"remove it, {_NATIVE}")
