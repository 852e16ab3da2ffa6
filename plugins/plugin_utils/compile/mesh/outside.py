# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs that are not in a run: their services, which its groups may call, and those of their groups that call a service of the run.

Both are known from what robots said of themselves. It is an assumption, as their capabilities are; a robot says so if it is wrong.
"""

from __future__ import annotations

import hashlib
import typing as t

from ....module_utils._engine import plan
from ...envoy import endpoints
from ...fleet.robots import Fleet, Robot
from ...job.errors import Problem, few, quoted
from ...job.model.job import Job
from ...job.model.network import InboundService
from ...job.model.vocabulary import Protocol
from .. import names
from . import discovery, naming, peers, proxy

Data = t.Mapping[str, t.Any]
# By robot, what its groups serve and call: `Known` of the engine's mesh/known.py.
Said = t.Mapping[str, Data]

# How the names of files with the endpoints of another group's service begin.
_ENDPOINTS = ("endpoints-upstream-", "endpoints-ingress-")
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
    """Whether what other jobs serve and call may matter to a run: else no robot is asked about it."""
    if _have_templates(jobs):
        return True
    networks = [group.network for job in jobs for group in job.task_groups if group.network]
    if any(network.services or network.ingress or any(each.service for each in network.upstreams) for network in networks):
        return True
    mine = _names(jobs)
    return any(_job(call["follows"]) in mine for known in said.values() for call in known["calls"])


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
    """What robots would say that had all of those, where nobody can be asked."""
    groups = [(job.namespace, job.name, group.name) for job in jobs for group in job.task_groups]
    allow = [names.spiffe_id(fleet.trust_domain, *each) for each in groups]
    terms = {"address": "::", "protocol": Protocol.HTTP.value, "pods": False, "allow": allow}
    serves = [{"name": name, "port": 1, "terms": terms} for name in sorted(wanted(jobs))]
    return {robot.name: {"digest": "", "serves": serves, "calls": []} for robot in fleet.robots}


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
    mine = {f"{job.namespace}/{job.name}": job for job in jobs}
    tells: dict[str, list[Tell]] = {}
    left: dict[tuple[str, str, str], list[str]] = {}
    cut: dict[tuple[str, str, str, str, str], list[str]] = {}
    for robot, call in _calls(fleet, said, mine):
        path, served = mine[_job(call["follows"])].path, known.named.get(call["follows"])
        place = discovery.Place(fleet, robot, call["pods"])
        for why, remedy in _cut_off(place, call, served):
            cut.setdefault((path, call["group"], call["follows"], why, remedy), []).append(robot.name)
        if served is None:
            continue
        content = _content(place, call, served)
        if hashlib.sha256(content.encode("utf-8")).hexdigest() == call["sha256"]:
            continue
        if robot.name in reached:
            tell = Tell(call["namespace"], call["job"], call["group"], call["id"], call["path"], call["follows"], content)
            tells.setdefault(robot.name, []).append(tell)
        else:
            left.setdefault((path, call["group"], call["follows"]), []).append(robot.name)
    warnings = [_problem(_once(robots), *what) for what, robots in cut.items()]
    warnings += [_left(*what, _once(robots)) for what, robots in left.items()]
    return Callers(tells, warnings + _outdated(known, mine, fleet, said))


def _outdated(known: peers.KnownServices, mine: t.Mapping[str, Job], fleet: Fleet, said: Said) -> list[Problem]:
    """Warnings of templates with services of the run as these no longer are: only a run of their own job renders them anew."""
    old: dict[tuple[str, str, str, bool], list[str]] = {}
    for robot, call in _seen(fleet, said, mine):
        now = known.offered.seen(robot, call["pods"], call["follows"])
        if now != call["sha256"]:
            old.setdefault((mine[_job(call["follows"])].path, call["group"], call["follows"], bool(now)), []).append(robot.name)
    return [_unrendered(*what, _once(robots)) for what, robots in old.items()]


def orphans(removed: t.Collection[str], fleet: Fleet, said: Said) -> list[Problem]:
    """Warnings of those that call or have in a template services of jobs (`namespace/job`) that go as a whole."""
    found: dict[tuple[str, str], list[str]] = {}
    for robot, call in _calls(fleet, said, removed):
        found.setdefault((call["group"], call["follows"]), []).append(robot.name)
    seen: dict[tuple[str, str], list[str]] = {}
    for robot, call in _seen(fleet, said, removed):
        seen.setdefault((call["group"], call["follows"]), []).append(robot.name)
    return [
        *(_problem(_once(on), _job(service), group, service, TAKEN_AWAY, _without(group)) for (group, service), on in found.items()),
        *(_unrendered(_job(service), group, service, False, _once(on)) for (group, service), on in seen.items()),
    ]


def _calls(fleet: Fleet, said: Said, jobs: t.Container[str]) -> t.Iterator[tuple[Robot, Data]]:
    """The files of groups of other jobs that follow services of these, `namespace/job`, and nothing else."""
    for robot, call in _concerned(fleet, said, jobs):
        # A robot without DNS of ours loses its names with the next run of the caller's own job.
        if _is_endpoints(call) or (_is_names(call) and robot.dns):
            yield robot, call


def _seen(fleet: Fleet, said: Said, jobs: t.Container[str]) -> t.Iterator[tuple[Robot, Data]]:
    """The templates of groups of other jobs that were rendered with services of these."""
    return (each for each in _concerned(fleet, said, jobs) if not (_is_endpoints(each[1]) or _is_names(each[1])))


def _concerned(fleet: Fleet, said: Said, jobs: t.Container[str]) -> t.Iterator[tuple[Robot, Data]]:
    for robot in fleet.robots:
        for call in said[robot.name]["calls"] if robot.name in said else ():
            if _job(call["follows"]) in jobs and f"{call['namespace']}/{call['job']}" not in jobs:
                yield robot, call


def _is_endpoints(call: Data) -> bool:
    return str(call["path"]).rpartition("/")[2].startswith(_ENDPOINTS)


def _is_names(call: Data) -> bool:
    return str(call["path"]).startswith(f"{plan.NAMES}/")


def _once(robots: t.Iterable[str]) -> list[str]:
    return list(dict.fromkeys(robots))


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
    return peers.Served(
        service,
        names.spiffe_id(fleet.trust_domain, *name.split("/")[:3]),
        frozenset.intersection(*(frozenset(each["terms"]["allow"]) for each in robots.values())),
        tuple(sorted(robots)),
        bool(terms["pods"]),
        unlike=tuple(f"{at} on {few(on, peers.NAMED)}" for at, on in ports.items()) if len(ports) > 1 else (),
    )


def _content(place: discovery.Place, call: Data, served: peers.Served) -> str:
    if call["path"].startswith(f"{plan.NAMES}/"):
        return naming.content(place, call["follows"], served)
    found, _unreached = discovery.endpoints_of(place, served)
    return proxy.dump({"resources": [endpoints.resource(call["follows"], found)]})


def _cut_off(place: discovery.Place, call: Data, served: peers.Served | None) -> t.Iterator[tuple[str, str]]:
    """Why a caller can no longer call a service of the run, or not all of it, and what to do."""
    if served is None:
        yield TAKEN_AWAY, _without(call["group"])
        return
    if names.spiffe_id(place.fleet.trust_domain, *call["group"].split("/")[:3]) not in served.allowed:
        namespace, job, group = call["group"].split("/")
        add = f"add {names.as_allowed((namespace, job, group), call['follows'])} to its `allow`"
        yield "which does not let it in: it is not in its `allow`", f"{add}, or {_without(call['group'])}"
    for why, remedy in discovery.endpoints_of(place, served)[1].items():
        yield f"which {why}", remedy


def _without(group: str) -> str:
    return f"deploy the job {quoted('/'.join(group.split('/')[:2]))} without that upstream or route"


def _problem(robots: t.Sequence[str], file: str, group: str, service: str, why: str, remedy: str) -> Problem:
    return Problem(file, f"{group} on {few(robots, peers.NAMED)} calls {quoted(service)}, {why}", remedy)


def _unrendered(file: str, group: str, service: str, there: bool, robots: t.Sequence[str]) -> Problem:
    job = quoted("/".join(group.split("/")[:2]))
    if not there:
        found = f"{group} on {few(robots, peers.NAMED)} has {quoted(service)} in a template, {TAKEN_AWAY}"
        return Problem(file, found, f"deploy the job {job} without it")
    found = (
        f"{group} on {few(robots, peers.NAMED)} has a template with {quoted(service)} as it was: only a run of its own job renders it again"
    )
    return Problem(file, found, f"deploy the job {job} after this one, or together with it")


def _left(file: str, group: str, service: str, robots: t.Sequence[str]) -> Problem:
    found = f"{group} on {few(robots, peers.NAMED)} calls {quoted(service)}, and keeps the endpoints that it has"
    return Problem(file, f"{found}: this run does not reach it", "run again when it does")
