# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs that are not in a run: their services, which its groups may call, and those of their groups that call a service of the run.

Both are known from what robots said of themselves. It is an assumption, as their capabilities are; a robot says so if it is wrong.
"""

from __future__ import annotations

import hashlib
import ipaddress
import typing as t

from ....module_utils._engine import plan
from ...envoy import endpoints
from ...fleet.robots import Fleet, Robot
from ...job.errors import Problem, few, quoted
from ...job.model.job import Job
from ...job.model.network import InboundService
from ...job.model.vocabulary import Protocol
from .. import names
from ..network import told
from ..site.site import NAMED
from . import discovery, naming, peers, proxy

Data = t.Mapping[str, t.Any]
# By robot, what its groups serve and call, and their pods: `Known` of the engine's mesh/known.py.
Said = t.Mapping[str, Data]

TAKEN_AWAY = "which this run takes away"


class Tell(t.NamedTuple):
    """A file of a group that is not in the run, and what it should have in it."""

    namespace: str
    job: str
    group: str
    id: str
    path: str
    follows: str
    content: str


class Callers(t.NamedTuple):
    """By robot, what callers that are not in the run are told; and warnings of those that are not, or can no longer call."""

    tells: t.Mapping[str, t.Sequence[Tell]]
    warnings: t.Sequence[Problem] = ()


def concerns(jobs: t.Sequence[Job], said: Said) -> bool:
    """Whether what other jobs serve and call, or where their pods are, may matter to a run: else no robot is asked about it."""
    if _have_templates(jobs) or told.concerns(jobs, said):
        return True
    networks = [group.network for job in jobs for group in job.task_groups if group.network]
    if any(network.services or network.ingress or any(each.service for each in network.upstreams) for network in networks):
        return True
    mine = _names(jobs)
    return any(_job(call["follows"]) in mine for known in said.values() for call in known["calls"])


def deployed(said: Said) -> set[tuple[str, str]]:
    """The jobs, each with its namespace before it, that robots said they have: none that serve nothing and call nobody."""
    found = [each["name"].split("/") for known in said.values() for each in known["serves"]]
    found += [call["group"].split("/") for known in said.values() for call in known["calls"]]
    return {(parts[0], parts[1]) for parts in found}


def wanted(jobs: t.Sequence[Job]) -> set[str]:
    """The services of jobs that are not in the run which its groups call."""
    mine, found = _names(jobs), set()
    for job in jobs:
        for network in (group.network for group in job.task_groups if group.network and group.network.enabled):
            written = [each.service for each in network.upstreams if each.service]
            written += [route.service for route in network.ingress.routes] if network.ingress else []
            found |= {names.full_name(each, job.namespace) for each in written}
    return {name for name in found if _job(name) not in mine}


def asks(jobs: t.Sequence[Job]) -> bool:
    """Whether its groups may need services of jobs that are not in the run. Which a template looks up is known when it is rendered."""
    return bool(wanted(jobs)) or _have_templates(jobs)


def _have_templates(jobs: t.Iterable[Job]) -> bool:
    return any(task.templates for job in jobs for group in job.task_groups for task in (*group.tasks, *group.init_tasks))


def as_if_there(jobs: t.Sequence[Job], fleet: Fleet) -> Said:
    """What robots would say that had all of those, where nobody can be asked. At an address that every caller reaches: one of the robots
    might be known by a name alone, and need not have any of them.
    """
    groups = [(job.namespace, job.name, group.name) for job in jobs for group in job.task_groups]
    allow = [names.spiffe_id(fleet.trust_domain, *each) for each in groups]
    spoken, terms = _spoken(jobs), {"address": "192.0.2.1", "pods": False, "allow": allow}
    serves = [
        {"name": name, "port": 1, "terms": {**terms, "protocol": spoken.get(name, Protocol.HTTP).value}} for name in sorted(wanted(jobs))
    ]
    return {robot.name: {"digest": "", "serves": serves, "calls": [], "pods": []} for robot in fleet.robots}


def _spoken(jobs: t.Iterable[Job]) -> dict[str, Protocol]:
    """What upstreams speak to the services that they name. (To one that routes of an ingress lead to, too, none may speak tcp.)"""
    networks = [(job.namespace, group.network) for job in jobs for group in job.task_groups if group.network]
    calls = [(each, space) for space, network in networks for each in network.upstreams if each.service]
    return {names.full_name(each.service or "", space): each.protocol for each, space in calls if each.protocol is not Protocol.TCP}


def with_others(known: peers.KnownServices, jobs: t.Sequence[Job], fleet: Fleet, said: Said, anyone: bool = False) -> peers.KnownServices:
    """The services of a run, and those that robots said they have of other jobs. `anyone`: a task may have any that is looked up."""
    mine, found = _names(jobs), dict[str, dict[str, Data]]()
    offered: list[tuple[str, Data]] = []
    for robot in fleet.robots:
        for served in said[robot.name]["serves"] if robot.name in said else ():
            if _job(served["name"]) in mine:
                continue
            if "offers" in served["terms"]:
                offered.append((robot.name, served))
            else:
                found.setdefault(served["name"], {})[robot.name] = served
    others = {name: _served(name, robots, fleet) for name, robots in found.items()}
    finds = known.offered.beside(offered, anyone) if offered or anyone else known.offered
    return known._replace(named={**others, **known.named}, offered=finds)


def callers(known: peers.KnownServices, jobs: t.Sequence[Job], fleet: Fleet, said: Said, reached: t.Container[str]) -> Callers:
    """Those that call the run's services and are not in it. Whom the run does not reach keeps the endpoints that it has."""
    mine = {f"{job.namespace}/{job.name}": job.path for job in jobs}
    tells: dict[str, list[Tell]] = {}
    warned = _Warnings()
    for call in _calls(fleet, said, mine):
        file, place = mine[_job(call.service)], discovery.Place(fleet, call.robot, call.in_pods)
        if call.is_template:
            now = known.offered.seen(call.robot, call.in_pods, call.service)
            if now != call.sha256:
                warned.add(call, file, *(_outdated(call) if now else _gone(call)))
            continue
        served = known.named.get(call.service)
        if served is None:
            warned.add(call, file, *_gone(call))
            continue
        for why, remedy in (*_cut_off(place, call, served), *_otherwise(call, served, said)):
            warned.add(call, file, f"calls {quoted(call.service)}, {why}", remedy)
        content = _content(place, call, served)
        if hashlib.sha256(content.encode("utf-8")).hexdigest() == call.sha256:
            continue
        if call.robot.name in served.robots and _in_former_range(call, said):
            kept = "keeps the endpoints that it has: its pods have addresses of the former k8s4r_pod_cidr"
            what = f"calls {quoted(call.service)}, and {kept}"
            warned.add(call, file, what, f"deploy the job {quoted(call.job)}, too")
        elif call.robot.name in reached:
            namespace, job, _name = call.group.split("/")
            tell = Tell(namespace, job, call.group, call.id, call.path, call.service, content)
            tells.setdefault(call.robot.name, []).append(tell)
        else:
            what = f"calls {quoted(call.service)}, and keeps the endpoints that it has: this run does not reach it"
            warned.add(call, file, what, "run again when it does")
    return Callers(tells, warned.problems())


def outdated(jobs: t.Sequence[Job], said: Said) -> dict[str, list[str]]:
    """By robot, the services of a run that it said it has at another port or address than they are to have: until it has switched."""
    wanted = {
        f"{job.namespace}/{job.name}/{group.name}/{service.name}": (service.port, service.address, group.are_pods)
        for job in jobs
        for group in job.task_groups
        if group.network and group.network.enabled
        for service in group.network.services
    }
    found: dict[str, list[str]] = {}
    for robot, known in said.items() if wanted else ():
        for served in known["serves"]:
            name, terms = served["name"], served["terms"]
            if name in wanted and "offers" not in terms and (served["port"], terms["address"], terms["pods"]) != wanted[name]:
                found.setdefault(robot, []).append(name)
    return found


def orphans(removed: t.Collection[str], fleet: Fleet, said: Said, reached: t.Container[str]) -> list[Problem]:
    """Warnings of those that call or have in a template services of jobs (`namespace/job`) that go from all robots that serve them. A job
    that no robot has any more does not go. Of one that stays on a robot that is not `reached`, the groups there may be such callers.
    """
    warned = _Warnings()
    serving: dict[str, list[str]] = {}
    for robot, known in said.items():
        for served in known["serves"]:
            serving.setdefault(_job(served["name"]), []).append(robot)
    for call in _calls(fleet, said, removed, reached):
        robots = serving.get(_job(call.service), ())
        if robots and all(robot in reached for robot in robots):
            what, remedy = _gone(call)
            warned.add(call, _job(call.service), what, "remove the job there, too" if call.job in removed else remedy)
    return warned.problems()


class _Call(t.NamedTuple):
    """A file of a group of another job, with what it knows of a service of these. `group` and `service` are full names."""

    robot: Robot
    group: str
    service: str
    id: str
    path: str
    in_pods: bool
    sha256: str

    @property
    def job(self) -> str:
        return self.group.rpartition("/")[0]

    @property
    def is_name(self) -> bool:
        return self.path.startswith(f"{plan.NAMES}/")

    @property
    def is_template(self) -> bool:
        """Only its own job can render it."""
        return not (self.is_name or names.endpoints_of(self.path))


class _Warnings:
    """What is said of callers: of each group once, with all its robots."""

    def __init__(self) -> None:
        self._robots: dict[tuple[str, str, str, str], dict[str, None]] = {}

    def add(self, call: _Call, file: str, what: str, remedy: str) -> None:
        self._robots.setdefault((file, call.group, what, remedy), {})[call.robot.name] = None

    def problems(self) -> list[Problem]:
        return [
            Problem(file, f"{group} on {few(list(robots), NAMED)} {what}", remedy)
            for (file, group, what, remedy), robots in self._robots.items()
        ]


def _calls(fleet: Fleet, said: Said, jobs: t.Container[str], reached: t.Container[str] | None = None) -> t.Iterator[_Call]:
    """Those of groups of other jobs that know of services of these, `namespace/job`. If it matters which robots are `reached`, those of
    groups of these jobs on others, too.
    """
    for robot in fleet.robots:
        for each in said[robot.name]["calls"] if robot.name in said else ():
            call = _Call(robot, each["group"], each["follows"], each["id"], each["path"], each["pods"], each["sha256"])
            # A robot without DNS of ours loses its names with the next run of the caller's own job.
            stays = call.job not in jobs or (reached is not None and robot.name not in reached)
            if _job(call.service) in jobs and stays and (robot.dns or not call.is_name):
                yield call


def _names(jobs: t.Iterable[Job]) -> set[str]:
    return {f"{job.namespace}/{job.name}" for job in jobs}


def _job(service: str) -> str:
    """The job of a service, `namespace/job/group/name`."""
    return service.rsplit("/", 2)[0]


def _served(name: str, robots: t.Mapping[str, Data], fleet: Fleet) -> peers.Served:
    """A service as robots have it. Where they differ, the job was not deployed to all of them: only whom all let in may call."""
    first = next(iter(robots.values()))
    terms, port = first["terms"], first["port"]
    service = InboundService(name=name.rpartition("/")[2], port=port, to="", address=terms["address"], protocol=Protocol(terms["protocol"]))
    ports: dict[str, list[str]] = {}
    protocols = {each["terms"]["protocol"] for each in robots.values()}
    for robot, each in robots.items():
        other = f"{each['terms']['address']} port {each['port']}" + (" of pods" if each["terms"]["pods"] else "")
        other += f" ({each['terms']['protocol']})" if len(protocols) > 1 else ""
        ports.setdefault(other, []).append(robot)
    by_robot = tuple((robot, frozenset(each["terms"]["allow"])) for robot, each in robots.items())
    return peers.Served(
        service,
        names.spiffe_id(fleet.trust_domain, *name.split("/")[:3]),
        frozenset.intersection(*(allowed for _robot, allowed in by_robot)),
        tuple(sorted(robots)),
        bool(terms["pods"]),
        unlike=tuple(f"{at} on {few(on, NAMED)}" for at, on in ports.items()) if len(ports) > 1 else (),
        by_robot=by_robot,
    )


def _content(place: discovery.Place, call: _Call, served: peers.Served) -> str:
    if call.is_name:
        return naming.content(place, call.service, served)
    found, _unreached = discovery.endpoints_of(place, served)
    return proxy.dump({"resources": [endpoints.resource(call.service, found)]})


def _cut_off(place: discovery.Place, call: _Call, served: peers.Served) -> t.Iterator[tuple[str, str]]:
    """Why a caller can no longer call a service of the run, or not all of it, and what to do."""
    namespace, job, group = call.group.split("/")
    if names.spiffe_id(place.fleet.trust_domain, namespace, job, group) not in served.allowed:
        add = f"add {names.as_allowed((namespace, job, group), call.service)} to its `allow`"
        yield "which does not let it in: it is not in its `allow`", f"{add}, or {_without(call)}"
    for why, remedy in discovery.endpoints_of(place, served)[1].items():
        yield f"which {why}", remedy


def _otherwise(call: _Call, served: peers.Served, said: Said) -> t.Iterator[tuple[str, str]]:
    """Where a service speaks another protocol than it did, and its callers do not: only the caller's own job can change how it calls."""
    kind, wanted = names.endpoints_of(call.path), served.service.protocol
    had = {each["terms"]["protocol"] for known in said.values() for each in known["serves"] if each["name"] == call.service}
    others = had - {wanted.value}
    if kind == names.INGRESS and wanted is Protocol.TCP:
        yield "which is a tcp service now, and no route may lead to one", _without(call)
    elif kind == names.INGRESS and others:
        yield f"whose protocol becomes {wanted.value}, and still speaks the former one", f"deploy the job {quoted(call.job)}, too"
    elif kind and others and wanted is not Protocol.TCP and Protocol.GRPC.value in (wanted.value, *others):
        why = f"whose protocol becomes {wanted.value}; its upstream must have that, too, or tcp"
        yield why, f"deploy the job {quoted(call.job)} with that"


def _in_former_range(call: _Call, said: Said) -> bool:
    """Whether a caller is in pods that its robot has not given addresses of its present range: that reaches a job with its next run, and
    until then the robot is found where it was.
    """
    own = ipaddress.ip_network(call.robot.pods)
    had = [each["address"] for each in said[call.robot.name]["pods"] if each["group"] == call.group]
    return call.in_pods and bool(had) and not any(ipaddress.ip_address(each) in own for each in had)


def _gone(call: _Call) -> tuple[str, str]:
    """What is said of who knows a service that the run takes away, and what to do."""
    if call.is_template:
        return f"has {quoted(call.service)} in a template, {TAKEN_AWAY}", f"deploy the job {quoted(call.job)} without it"
    return f"calls {quoted(call.service)}, {TAKEN_AWAY}", _without(call)


def _outdated(call: _Call) -> tuple[str, str]:
    what = f"has a template with {quoted(call.service)} as it was: only a run of its own job renders it again"
    # Together, since a run of that job alone finds nothing of a service without an instance.
    return what, f"deploy the job {quoted(call.job)} together with this one"


def _without(call: _Call) -> str:
    return f"deploy the job {quoted(call.job)} without that upstream or route"
