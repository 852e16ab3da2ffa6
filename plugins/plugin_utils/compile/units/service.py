# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the units of tasks and of init tasks have in common: the process, its limits, how it is stopped, and its place in the order."""

from __future__ import annotations

import re
import typing as t

from ....module_utils._engine import plan
from ...job.declare.keys import Secret
from ...job.errors import Problem
from ...job.model.task import Task
from ...job.model.vocabulary import Hook, KillMode
from .. import helpers, lines, systemd
from ..content import artifacts, checks, container
from ..content import templates as texts
from ..content.environment import Environment
from ..helpers import Call, Helper
from ..isolation import files, memory, sharing
from ..site.placed import PlacedTask
from ..site.site import Site
from . import devices, logs, signals, volumes
from .brings import templates, watch
from .command import Command
from .drivers import DRIVERS
from .drivers.launch import Launch
from .drivers.way import Brought, Driving

if t.TYPE_CHECKING:
    from ....module_utils._engine.plan import Expected, Program, Resource

# Seconds. To systemd, a time of 0 in which a task has to end is no limit.
SHORTEST_STOP = 0.001

# Files and identities of groups, proxies and SPIRE belong to these users.
_RESERVED = re.compile(r"k8s4r-.*|spire-agent|spire-server")


class Unit(t.NamedTuple):
    """A unit, and what compiling it found.

    `resources` are the files and directories that it needs on the robot, in the order in which they are made, and last the unit
    itself. `helpers` are the helper programs that it calls. `programs` and `expects` must already be on the robot. `secrets` are the
    secret values in its files. `begins_with` is what the function of that name gave.
    """

    name: str
    resources: tuple[Resource, ...]
    helpers: frozenset[Helper] = frozenset()
    programs: tuple[Program, ...] = ()
    expects: tuple[Expected, ...] = ()
    secrets: frozenset[str] = frozenset()
    errors: tuple[Problem, ...] = ()
    begins_with: tuple[str, ...] = ()


class Process(t.NamedTuple):
    """The directives of [Service] for what runs, within which limits, how it is stopped, and what its driver brings."""

    directives: systemd.Directives
    programs: tuple[Program, ...]
    expects: tuple[Expected, ...]
    errors: tuple[Problem, ...]
    brought: Brought


def process(
    site: Site,
    task: PlacedTask[Task],
    environment: Environment,
    driver: Driving,
    wrapper: tuple[str, ...] = (),
    stop: t.Sequence[Call] = (),
) -> Process:
    """How a driver runs a task. `wrapper` is a command that runs the task's own, which it gets as its arguments. `stop` is what
    `stops` gave.
    """
    way = DRIVERS[task.spec.driver]
    found = way.command(site, task, environment.variables)
    loader, held = environment.loader, sharing.held_for(site, task)
    launch = Launch(
        argv=(*wrapper, *found.argv),
        user=task.user,
        group=task.group,
        inside=task.seen_user if task.spec.users_of_its_own else "",
        directory=task.directory,
        alloc=site.alloc,
        tmp=site.tmp,
        memory=memory.place(site, task.instance) if memory.sees(site, task.spec) else "",
        filled=task.filled if texts.fill_secrets(environment.templates) else "",
        runtime=task.runtime.removeprefix("/run/"),
        environment_file=task.environment_file,
        watched_file=texts.watched_variables(task, environment.templates),
        loader=loader,
        groups=task.spec.groups,
        devices=devices.allowed(task.spec.devices),
        volumes=task.spec.volumes,
        shares=sharing.shares(task.spec),
        namespaces=held.directory if held else "",
        pod=site.pod_of(task.instance),
        files=files.of(task.spec),
        capabilities=task.spec.isolation.capabilities if task.spec.isolation else (),
        systemd=site.robot.systemd,
        signal=task.spec.kill_signal,
        # What runs the program for an init task is not the one to be asked.
        kill=KillMode.ALL if wrapper else task.spec.kill_mode,
        stop=stop[0].command(site.bin) if stop else (),
    )
    directives = [
        ("Slice", site.slice),
        *logs.directives(task),
        ("WorkingDirectory", systemd.item(f"{task.directory}/local")),
        *templates.directives(site, task),
        *driver(launch),
        *way.bounds(site, task),
        ("TimeoutStopSec", systemd.seconds(max(stop_seconds(task.spec), SHORTEST_STOP))),
    ]
    brought = way.brings(site, task, environment)
    refused = (
        *_refused(site, task, loader, found),
        *devices.errors(site, task.spec.devices, f"{task.path}.devices"),
        *volumes.errors(site, task.spec.volumes, f"{task.path}.volumes", way.of_image),
        *brought.errors,
    )
    return Process(
        directives=directives,
        programs=found.programs,
        expects=(*_expected(site, task), *found.expects, *brought.expects),
        errors=(*refused, *found.errors),
        brought=brought,
    )


def begins_with(site: Site, task: PlacedTask[Task], process: Process) -> list[str]:
    """What a task begins with, and where each is: what starts anew with it takes that in, too."""
    return [
        task.environment_file,
        f"{plan.UNIT_DIRECTORY}/{task.unit}",
        *texts.reads(site, task),
        *([artifacts.place(task)] if task.spec.artifacts else []),
        *([container.description(task)] if task.spec.contained else []),
        *process.brought.reads,
    ]


def unit(
    site: Site,
    task: PlacedTask[Task],
    environment: Environment,
    process: Process,
    sections: t.Mapping[str, systemd.Directives],
    *,
    run: str,
    calls: t.Sequence[Call],
    reads: t.Sequence[str] = (),
    daemons: t.Sequence[str] = (),
    endless: bool = False,
    pause: float = 0.0,
) -> Unit:
    """A task's unit from its parts. `run`, `endless` and `pause` are as in `plan.unit`, and so are `reads`, if there are more than its
    own; `daemons` is what the daemons begin with that it starts after, and `calls` are the calls of helpers in `sections`.
    """
    # Only root can read it: systemd does, and passes the variables on. Of a job whose values all count as secret, none is shown.
    held = sharing.held_for(site, task)
    content, hidden = lines.for_systemd(environment.all), None if site.job.opaque else environment.hidden
    checked = checks.compiled(site, task, environment.variables, lambda: _stop(site, task))
    told, wrong = templates.scripts(site, task, environment.variables)
    brought = artifacts.compiled(site, task, environment.variables)
    watched = watch.of_task(site, task, environment)
    sections = {**sections, "Unit": [*sections["Unit"], *watched.order]}
    return Unit(
        name=task.unit,
        resources=(
            *_directories(site, task),
            plan.file(task.environment_file, content, mode="0600", secret=True, hidden=hidden),
            *logs.resources(site, task),
            *checked.resources,
            *templates.resources(site, task, environment.templates),
            *watched.resources,
            *brought.resources,
            *process.brought.resources,
            plan.unit(
                task.unit,
                systemd.unit(sections),
                run=run,
                reads=[
                    *(reads or [task.environment_file, *texts.reads(site, task)]),
                    *daemons,
                    *brought.reads,
                    *process.brought.reads,
                    f"{plan.UNIT_DIRECTORY}/{logs.socket(task)}",
                    *([f"{plan.UNIT_DIRECTORY}/{held.unit}"] if held and site.are_pods else []),
                ],
                done=task.done,
                called=task.called,
                holds=[task.directory, site.data, *([held.directory] if held else [])],
                endless=endless,
                pause=pause,
                refreshes=texts.refreshes(site, task),
                told=told,
                logs=logs.directory(task),
                checks=checked.path,
                container=process.brought.slice,
                stops=_asked(task, run),
                **_health(site),
            ),
        ),
        helpers=watched.helpers.union(call.helper for call in (*calls, *templates.calls(site, task))),
        programs=(*process.programs, *watched.programs),
        expects=(*process.expects, *watched.expects),
        secrets=environment.secrets | checked.secrets | brought.secrets,
        errors=(*environment.errors, *process.errors, *checked.errors, *brought.errors, *wrong),
        begins_with=tuple(begins_with(site, task, process)),
    )


def _health(site: Site) -> dict[str, t.Any]:
    """When a deployment takes the unit for healthy, where the job says so."""
    update = site.job.update
    return {"settles": float(update.min_healthy_time), "deadline": float(update.healthy_deadline)} if update else {}


def _asked(task: PlacedTask[Task], run: str) -> str:
    """How the task is asked to end, as it is only compared: by the unit that started it, it must be. A step has no program by then; what
    runs after all others is the end of its unit.
    """
    spec = task.spec
    if task.hook is Hook.POSTSTOP:
        return str(task.hook.value)
    if run not in ("always", "once"):
        return ""
    how = (spec.driver.value if spec.contained else sharing.shares(spec).pid.value, spec.kill_signal, spec.kill_mode.value)
    return " ".join((*how, f"{stop_seconds(spec):g}", f"{spec.shutdown_delay:g}"))


def _stop(site: Site, task: PlacedTask[Task]) -> dict[str, t.Any]:
    """How the task is asked to end by whom is not systemd."""
    calls = stops(site, task)
    return {
        "argv": list(calls[0].command(site.bin)) if calls else [],
        "signal": signals.number(task.spec.kill_signal),
        "all": task.spec.kill_mode is KillMode.ALL,
        "seconds": stop_seconds(task.spec),
    }


def after(site: Site, task: PlacedTask[Task], required: t.Sequence[str], wanted: t.Sequence[str]) -> systemd.Directives:
    """The unit starts after its log, its group's memory, the proxy and these init units. It never requires the proxy: a broken proxy
    stops no task.
    """
    log = logs.socket(task)
    # What is wanted is tried again with each start of the task.
    proxy = site.beside(task.instance)
    before = [*([memory.unit(site, task.instance)] if memory.sees(site, task.spec) else []), *([proxy] if proxy else []), *wanted]
    soft = [name for name in before if name not in required]
    lines = [("Requires", [log, *required]), ("Wants", soft), ("After", [log, *before])]
    return [(directive, " ".join(units)) for directive, units in lines if units]


def stops(site: Site, task: PlacedTask[Task]) -> list[Call]:
    """What asks the program to end, and what that calls in turn; nothing for a program that is the unit's main process, which systemd
    itself can reach.
    """
    how = (str(signals.number(task.spec.kill_signal)), task.spec.kill_mode.value)
    calls = DRIVERS[task.spec.driver].stop(task)
    if task.spec.shutdown_delay:
        then = calls[0].command(site.bin) if calls else ()
        calls.insert(0, Call(helpers.DELAY_STOP, (f"{task.spec.shutdown_delay:g}", *how, *then)))
    return calls


def stop_seconds(spec: Task) -> float:
    """How long a stop may take until what is left is killed."""
    return float(spec.shutdown_delay + spec.kill_timeout) + DRIVERS[spec.driver].grace


def _expected(site: Site, task: PlacedTask[Task]) -> t.Iterator[Expected]:
    for number, name in enumerate(task.spec.groups):
        yield plan.expected("group", name, site.where(f"{task.path}.groups[{number}]"))
    for number, template in enumerate(task.spec.templates):
        if template.owner:
            yield plan.expected("user", template.owner, site.where(f"{task.path}.templates[{number}].owner"))
    for number, device in enumerate(task.spec.devices):
        if not device.optional:
            yield plan.expected("device", device.path, site.where(f"{task.path}.devices[{number}]"))
    for number, name in enumerate(task.spec.isolation.capabilities if task.spec.isolation else ()):
        yield plan.expected("capability", name, site.where(f"{task.path}.isolation.capabilities[{number}]"))
    if task.spec.users_of_its_own:
        yield plan.expected("users", task.seen_user, site.where(f"{task.path}.isolation.users"))
    for number, volume in enumerate(task.spec.volumes):
        yield plan.expected("source", volume.source, site.where(f"{task.path}.volumes[{number}].source"))
        if not DRIVERS[task.spec.driver].of_image:
            yield plan.expected("target", volume.target, site.where(f"{task.path}.volumes[{number}].target"))


def _refused(site: Site, task: PlacedTask[Task], loader: t.Mapping[str, str], found: Command) -> t.Iterator[Problem]:
    """Users that belong to others, secrets that would end up in the unit, and a program that the task cannot see."""
    user = task.spec.user
    if user and _RESERVED.fullmatch(user):
        remedy = "leave user out, or name a user of the robot's own"
        yield site.problem(f"{task.path}.user", f"{user} belongs to a group, a proxy or SPIRE", remedy)
    for path in (found.argv[0], *(each["name"] for each in found.expects)):
        if path.startswith("/") and files.hidden(task.spec, path):
            yield site.problem(found.where, f"isolation.files: {files.of(task.spec).value} hides {path}", "add its directory to volumes")
    for number, name in enumerate(task.spec.groups):
        if _RESERVED.fullmatch(name):
            what = f"{name} belongs to a group, a proxy or SPIRE"
            yield site.problem(f"{task.path}.groups[{number}]", what, "name a group of the robot's own")
    for name, value in loader.items():
        if isinstance(value, Secret):
            what = "a variable of the dynamic loader cannot be a secret: it is passed on the command line"
            yield site.problem(f"{task.path}.env.{name}", what, "write it as plain text")


def _directories(site: Site, task: PlacedTask[Task]) -> tuple[Resource, ...]:
    group = site.user
    users = sorted({each.user for each in (*site.tasks, *site.init_tasks)})
    where = site.where(f"{task.path}.user") if task.user == task.spec.user else ""
    # Whoever the image's user is, it is in the group.
    mode = "0770" if DRIVERS[task.spec.driver].of_image else "0750"
    return (
        # Owned by root: a task that could rename `secrets` could put a link there, and systemd would mount over what it points to.
        plan.directory(task.directory, "root", group, "0750", data=True),
        plan.directory(
            f"{task.directory}/local", task.user, group, mode, data=True, shared=(site.alloc, site.tmp), users=users, where=where
        ),
        plan.directory(f"{task.directory}/secrets", task.user, group, "0700", data=True),
        # Root writes there, whatever links a task might put into a directory of its own.
        plan.directory(logs.directory(task), "root", group, "0750", data=True),
    )
