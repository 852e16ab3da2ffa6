# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The units of init tasks. They run as root, once per group and robot, one after the other: after the proxy, before the tasks."""

from __future__ import annotations

import typing as t

from ....module_utils._engine import plan
from ...job.model.task import InitTask, Readiness
from .. import helpers, paths, systemd
from ..content import environment
from ..helpers import Call
from ..site.placed import PlacedTask
from ..site.site import Site
from . import hooks, restarts, service
from .drivers import DRIVERS, raw_exec

# What an init task must not change: our programs and configuration, SPIRE's, and the state of the engine.
_READ_ONLY = (paths.PREFIX, plan.CONFIGURATION, *paths.SPIRE, f"{plan.STATE}/engine", f"{plan.STATE}/ledger")


def units(site: Site, group: environment.Environment) -> list[service.Unit]:
    """The units of the init tasks at this site, each after the ones before it. `group` is the part of the environment that they share."""
    required: list[str] = []
    earlier: list[str] = []
    daemons: list[str] = []
    built: list[service.Unit] = []
    for task in site.init_tasks:
        built.append(_unit(site, task, group, service.after(site, task, required, earlier), daemons))
        earlier.append(task.unit)
        daemons += built[-1].begins_with if task.spec.daemon else ()
        # Others want a daemon but do not require it: if they did, a crash of it would restart the proxy and every task.
        if not task.spec.daemon:
            required.append(task.unit)
    return built


def daemons(site: Site, built: t.Iterable[service.Unit]) -> list[str]:
    """What the daemons among the `units` begin with. One that starts anew has lost what later ones, and tasks, have told it: they begin
    anew, too. (After a crash it is alone.)
    """
    return [path for task, unit in zip(site.init_tasks, built, strict=True) if task.spec.daemon for path in unit.begins_with]


def _unit(
    site: Site, task: PlacedTask[InitTask], group: environment.Environment, order: systemd.Directives, daemons: t.Sequence[str]
) -> service.Unit:
    variables = environment.of_task(site, task, group)
    retry, ready = _retry(site, task.spec), _await(task.spec.readiness)
    wrapper = retry.command(site.bin) if retry else ()
    stop, way = service.stops(site, task), DRIVERS[task.spec.driver]
    # An init task prepares the robot, so it must see the robot as it is; a container never does.
    driver = way.directives if task.spec.contained else raw_exec.directives
    process = service.process(site, task, variables, driver, wrapper, stop=stop)
    kept = [] if task.spec.contained else [("ReadOnlyPaths", " ".join(f"-{path}" for path in _READ_ONLY))]
    sections = {
        "Unit": [
            ("Description", systemd.text(site.title(task.called))),
            ("PartOf", site.target),
            *order,
            *way.order(site, task),
            ("StartLimitIntervalSec", "0"),
        ],
        "Service": [*_start(site, task, ready), *_ended(task, process.directives), *kept],
    }
    calls = [*(call for call in (retry, ready) if call), *stop, *(restarts.calls(site, task) if task.spec.daemon else ())]
    run = "always" if task.spec.daemon else "init"
    return service.unit(site, task, variables, process, sections, run=run, calls=calls, daemons=list(daemons))


def _retry(site: Site, spec: InitTask) -> Call | None:
    """The group's policy is for its tasks: an init task is tried again only if it has a policy of its own."""
    policy = None if spec.daemon or spec.restart_policy is None else restarts.policy(site, spec)
    return Call(helpers.RETRY, (str(policy.attempts), f"{policy.delay:g}")) if policy else None


def _await(readiness: Readiness | None) -> Call | None:
    """What waits until the daemon is ready; None if it is ready by itself, or notifies systemd."""
    if readiness is None:
        return None
    if readiness.command is not None:
        return Call(helpers.AWAIT_COMMAND, (readiness.command,))
    if readiness.file is not None:
        return Call(helpers.AWAIT_FILE, (readiness.file,))
    if readiness.port is not None:
        return Call(helpers.AWAIT_PORT, (str(readiness.port),))
    return None


def _ended(task: PlacedTask[InitTask], process: systemd.Directives) -> systemd.Directives:
    """How it is stopped. What runs a container to its end is asked to end itself, and what removes the container follows."""
    return hooks.of_step(task, process) if task.spec.contained and not task.spec.daemon else process


def _start(site: Site, task: PlacedTask[InitTask], ready: Call | None) -> systemd.Directives:
    spec = task.spec
    if not spec.daemon:
        timeout = systemd.seconds(spec.timeout) if spec.timeout else "infinity"
        return [("Type", "oneshot"), ("RemainAfterExit", "yes"), ("TimeoutStartSec", timeout)]
    notify = spec.readiness is not None and spec.readiness.notify
    return [
        *([("Type", "notify"), ("NotifyAccess", "all")] if notify else DRIVERS[spec.driver].started(site, task)),
        *_ready(site, spec.readiness, ready),
        *restarts.directives(site, task),
    ]


def _ready(site: Site, readiness: Readiness | None, ready: Call | None) -> systemd.Directives:
    """Units that start after the daemon wait for its ExecStartPost, which ends when the daemon is ready."""
    if readiness is None:
        return []
    lines = [("ExecStartPost", systemd.command(ready.command(site.bin)))] if ready else []
    return [*lines, ("TimeoutStartSec", systemd.seconds(readiness.timeout))]
