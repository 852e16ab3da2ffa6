# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiles a task group on a robot into one group plan: users, directories, helpers, proxy, init tasks, tasks, slice, target."""

from __future__ import annotations

import typing as t

from ...module_utils._engine import plan
from ..job.declare.keys import Secret
from ..job.errors import Problem
from . import systemd
from .content import environment
from .helpers import HELPERS, Helper
from .isolation import holder, memory, quotas
from .mesh import naming, offered, registered
from .mesh.identity import Entry
from .mesh.peers import KnownServices
from .mesh.proxy import compile_proxy
from .network import across, pods, ports
from .site.site import Site
from .units import init, limits, schedule, task
from .units.service import Unit

if t.TYPE_CHECKING:
    from ...module_utils._engine.plan import Expected, GroupPlan, Port, Program, Resource

    Expecting = t.TypeVar("Expecting", Program, Expected)


class CompiledGroup(t.NamedTuple):
    """A group plan, and what else compiling the group found.

    `entries` are the registration entries of its proxies; none for a group without an identity.
    """

    plan: GroupPlan
    entries: tuple[Entry, ...]
    errors: tuple[Problem, ...]
    warnings: tuple[Problem, ...]


def compile_group(site: Site, known: KnownServices, beyond: across.Across) -> CompiledGroup:
    """Compile the group at this site. If there are errors, do not use the plan."""
    shared = environment.of_group(site)
    elsewhere, others = across.elsewhere(site, beyond), across.named(site, beyond)
    places = [site.within(pod) for pod in site.pods] if site.are_pods else [site]
    proxies = [proxy for place in places if (proxy := compile_proxy(place, shared, known))]
    inits = init.units(site, shared)
    begun = [*(proxy.unit for proxy in proxies), *inits]
    tasks, timed = task.units(site, shared, init.daemons(site, inits)), schedule.units(site)
    units = [*begun, *tasks, *timed]
    named, consul = naming.named(site, known), registered.registered(site)
    called = memory.called(site).union(holder.called(site), *(unit.helpers for unit in units))
    resources = [
        *_users(site),
        *_directories(site),
        *(_program(site, helper) for helper in HELPERS if helper in called),
        plan.unit(site.slice, _slice(site)),
        *(pods.file(site, pod, elsewhere, others) for pod in site.pods),
        *across.resources(site, beyond),
        *named.resources,
        *consul.resources,
        *memory.resources(site),
        *holder.resources(site),
        *quotas.among(site, _with_each_image_once(resource for unit in units for resource in unit.resources)),
        plan.unit(site.target, _target(site, _wanted(begun, tasks, timed)), run="always"),
        plan.link(f"{plan.STARTED_AT_BOOT}/{site.target}", f"../{site.target}"),
    ]
    expects = [
        *quotas.expected(site),
        *pods.expected(site),
        *across.expected(site, beyond),
        *named.expects,
        *consul.expects,
        *(expected for unit in units for expected in unit.expects),
    ]
    return CompiledGroup(
        plan.group(
            site.id,
            "/".join(site.names),
            resources,
            # Those of pods differ in nothing that could be wrong.
            checks=[proxy.check for proxy in proxies[:1]],
            needs=[*pods.needs(site), *named.needs, *(need for proxy in proxies[:1] for need in proxy.needs)],
            programs=_once(((program["path"], program["search"]), program) for unit in units for program in unit.programs),
            expects=_once(((expected["what"], expected["name"]), expected) for expected in expects),
            ports=[*(port for proxy in proxies for port in proxy.ports), *_ports(site)],
            secrets=sorted(_written_secrets(site).union(*(unit.secrets for unit in units))),
        ),
        entries=tuple(proxy.entry for proxy in proxies if proxy.entry),
        errors=(*shared.errors, *named.errors, *consul.errors, *(error for unit in units for error in unit.errors)),
        warnings=(
            *environment.ambiguous_databases(site),
            *across.warnings(site, beyond),
            *named.warnings,
            *consul.warnings,
            *(warning for proxy in proxies for warning in proxy.warnings),
        ),
    )


def _wanted(begun: t.Sequence[Unit], tasks: t.Sequence[Unit], timed: t.Sequence[Unit]) -> list[str]:
    """The units that the group's target starts. Of a schedule: the timer, and what has to be up between its runs, to render templates."""
    first = [unit.name for unit in begun]
    if not timed:
        return first + [unit.name for unit in tasks]
    always = [each["name"] for unit in tasks for each in unit.resources if each["kind"] == "unit" and each["run"] == "always"]
    return [*first, timed[-1].name, *always]


def _once(found: t.Iterable[tuple[tuple[str, str], Expecting]]) -> list[Expecting]:
    """Programs, or what else the robot must have, each by what tells it from others: once, with the first place that names it."""
    first: dict[tuple[str, str], Expecting] = {}
    for key, each in found:
        first.setdefault(key, each)
    return [first[key] for key in sorted(first)]


def _with_each_image_once(resources: t.Iterable[Resource]) -> t.Iterator[Resource]:
    seen: set[str] = set()
    for resource in resources:
        if resource["kind"] != "image" or resource["name"] not in seen:
            yield resource
        if resource["kind"] == "image":
            seen.add(resource["name"])


def _written_secrets(site: Site) -> set[str]:
    """The secrets as they are written in the job file. Where a name in one is replaced, the task gets another text."""
    mappings = [site.job.meta, site.group.meta, *(spec.env for spec in (*site.group.tasks, *site.group.init_tasks))]
    return {str(value) for mapping in mappings for value in mapping.values() if isinstance(value, Secret) and value}


def _program(site: Site, helper: Helper) -> Resource:
    made = plan.file(helper.path(site.bin), helper.text)
    made["ours"] = True
    return made


def _ports(site: Site) -> t.Iterator[Port]:
    """The ports of the group's tasks. Nobody has to listen there."""
    for each in site.ports:
        listener = ports.of_task(site, each.spec, each.number)
        place = (listener.address, listener.port, site.where(listener.path))
        chosen = each.spec.static is None
        protocol, addressed = listener.transport.value, listener.where_addressed(site)
        # What the robot has keeps its number there, so it must know what the compiler would never give it.
        never = ports.in_the_pod(site, each.spec) if chosen else ()
        made = plan.port(*place, protocol=protocol, called=each.called, chosen=chosen, addressed=addressed, never=never)
        made = listener.with_served(made)
        terms = offered.terms(site, each)
        yield {**made, "terms": terms} if terms else made


def _users(site: Site) -> t.Iterator[Resource]:
    yield plan.user(site.user, f"Tasks of {site.title()}")
    if site.has_proxy:
        yield plan.user(site.proxy_user, f"Proxy of {site.title()}")


def _directories(site: Site) -> t.Iterator[Resource]:
    yield plan.directory(site.configuration)
    yield plan.directory(site.bin)
    yield plan.directory(f"{site.configuration}/env", mode="0700")
    if any(task.spec.templates for task in (*site.init_tasks, *site.tasks)):
        yield plan.directory(f"{site.configuration}/templates", mode="0700")
    yield plan.directory(site.data, "root", site.user, "0750", data=True)
    yield plan.directory(site.alloc, site.user, site.user, "0770", data=True)
    if any(task.done for task in site.tasks):
        yield plan.directory(site.done, data=True)
    # The directory above keeps other users out; this one has the mode of /tmp.
    yield plan.directory(site.tmp, "root", "root", "1777", data=True)


def _slice(site: Site) -> str:
    return systemd.unit({"Unit": [("Description", systemd.text(site.title()))], "Slice": limits.of_all(site.group.resources, None)})


def _target(site: Site, units: t.Sequence[str]) -> str:
    """It wants its units but does not require them: one that fails stops no other."""
    wants = [("Wants", " ".join(units))] if units else []
    return systemd.unit({"Unit": [("Description", systemd.text(site.title())), *wants]})
