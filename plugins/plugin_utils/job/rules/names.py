# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names that must differ: of things in one list, and of the variables that they give to programs. And those of groups that must be
there.
"""

from __future__ import annotations

import collections.abc as c
import re
import typing as t

from ..errors import Finding, Mistake, Problem, child, did_you_mean, listed, nearest, quoted
from ..model.job import Job
from ..model.network import Allowed, Upstream
from ..model.vocabulary import Protocol
from ..variables import is_database, variable

RENAME = "rename one of them"


def unique(things: c.Iterable[t.Any], path: str) -> c.Iterator[Finding]:
    """Names are unique in their list."""
    first: dict[str, int] = {}
    for number, thing in enumerate(things):
        if thing is not None and thing.name is not None:
            other = first.setdefault(thing.name, number)
            if other != number:
                yield f"{path}[{number}].name", Mistake(f"already the name of {path}[{other}]", RENAME, value=quoted(thing.name))


def meta(names: c.Iterable[str], path: str, outer: c.Iterable[str] = (), outer_path: str = "") -> c.Iterator[Finding]:
    """No two keys of meta, the job's (`outer`) and the group's, give one NOMAD_META_ variable."""
    first = {variable(name): (name, outer_path) for name in outer}
    for name in names:
        other, owner = first.setdefault(variable(name), (name, path))
        if other != name:
            yield child(path, name), Mistake(f"sets the variable NOMAD_META_{variable(name)}, as {child(owner, other)} does", RENAME)


def upstreams(declared: c.Iterable[tuple[str, Upstream]]) -> c.Iterator[Finding]:
    """Every injected variable has one source, and a name that systemd accepts. Upstreams come with their paths."""
    sources: dict[str, str] = {}
    database = False
    named: set[str] = set()
    for path, upstream in declared:
        # That two have one name is an error already.
        if not upstream.name or upstream.name in named:
            continue
        named.add(upstream.name)
        name = variable(upstream.name)
        injected = [f"PROXY_{name}_PORT", f"PROXY_{name}_ADDR"]
        if upstream.protocol is not Protocol.TCP:
            injected.append(f"{name}_URL")
            if name[0].isdigit():
                value = f"{quoted(upstream.name)} (variable {name}_URL)"
                yield f"{path}.name", Mistake("a variable cannot begin with a digit", "begin the name with a letter", value=value)
        elif not database and is_database(upstream):
            database = True
            injected += ["DATABASE_HOST", "DATABASE_PORT", "DATABASE_URL"]
        for each in injected:
            if sources.setdefault(each, path) != path:
                value = f"{quoted(upstream.name)} (variable {each})"
                yield f"{path}.name", Mistake(f"sets the same variable as {sources[each]}", RENAME, value=value)
                break


def not_of_this_job(job: Job, name: str, path: str) -> Mistake:
    """A group that is named at `path` without its job, and is none of this one."""
    remedy = "if it is a group of another job, name that job"
    known = [group.name for group in job.task_groups if group and group.name]
    there = f"this job has {listed(known, 'and')}; {remedy}" if known else ""
    meant = did_you_mean(name, known) or there
    names = [f"{job.root}taskGroups[{number}].name" for number in range(len(job.task_groups))]
    rests_on = [f"{path}.job", f"{path}.namespace", *names]
    return Mistake("not a group of this job", remedy, value=quoted(name), value_remedy=meant, rests_on=rests_on)


def not_pods(name: str) -> Mistake:
    """A group that cannot be meant by `reach`."""
    why = "its tasks are in the robot's network, and the robot always reaches its pods"
    return Mistake(why, "remove it, or write mode: group there", value=quoted(name))


def of_other_jobs(
    jobs: c.Sequence[Job], wrong: c.Container[str] = (), deployed: c.Callable[[], c.Container[tuple[str, str]]] = tuple
) -> tuple[list[Problem], list[Problem]]:
    """Errors where a group of another job is named that this job has not, and warnings where a job is that was probably meant to be
    another one. Jobs that are not of this run may have any group. ``wrong``: files with errors; they may miss groups. ``deployed``: the
    jobs that robots are known to have, which is asked only where it matters.
    """
    errors, warnings = [], []
    there = {(job.namespace, job.name): job for job in jobs}
    for job in jobs:
        for path, named in _named(job):
            namespace, name = named.namespace or job.namespace, named.job or job.name
            other = there.get((namespace, name))
            meant = _meant(name, [each for space, each in there if space == namespace])
            if other is None and named.job and meant and (namespace, name) not in deployed():
                mistake = Mistake("no job of this run", value=quoted(name), value_remedy=f"did you mean {meant}?")
                warnings.append(_problem(job, f"{path}.job", mistake))
            elif other and other is not job and other.path not in wrong:
                groups = {group.name: group for group in other.task_groups}
                if named.group not in groups:
                    there_is = f"it has {listed(groups, 'and')}"
                    mistake = Mistake("not a group of that job", value=quoted(named.group), value_remedy=there_is)
                    errors.append(_problem(job, f"{path}.group", mistake))
                elif ".reach[" in path and not groups[named.group].are_pods:
                    errors.append(_problem(job, f"{path}.group", not_pods(named.group)))
    return errors, warnings


def _meant(name: str, known: c.Iterable[str]) -> str | None:
    """The job of the run that was probably meant. Those that differ by their numbers alone are siblings."""
    return nearest(name, [each for each in known if re.sub(r"\d", "", each) != re.sub(r"\d", "", name)])


def _named(job: Job) -> c.Iterator[tuple[str, Allowed]]:
    """Every group that a job names, with the path."""
    for number, group in enumerate(job.task_groups):
        network, here = group.network, f"taskGroups[{number}].network"
        if network:
            yield from ((f"{here}.reach[{place}]", each) for place, each in enumerate(network.reach) if each and each.group)
            for member, service in enumerate(network.services):
                allowed = service.allow if service else ()
                yield from (
                    (f"{here}.services[{member}].allow[{place}]", each) for place, each in enumerate(allowed) if each and each.group
                )


def _problem(job: Job, path: str, mistake: Mistake) -> Problem:
    return job.problem(path, mistake.message(job.opaque), mistake.way_out(job.opaque))
