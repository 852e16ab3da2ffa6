# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The units of tasks: one for each task of each instance. They start after the proxy and the init tasks."""

from __future__ import annotations

import typing as t

from ...job.model.task import Task
from ...job.model.vocabulary import Hook
from .. import paths, systemd
from ..content import environment
from ..helpers import Call
from ..site.placed import PlacedTask
from ..site.site import Site
from . import hooks, restarts, service
from .drivers import DRIVERS

# Whatever its driver: a task that held thousands of connections to the SPIRE agent would keep proxies from their identities. The agent may
# come later than the task, so the place is made where it is not there yet, as InaccessiblePaths= would not.
_HIDDEN = ("TemporaryFileSystem", f"{paths.SPIRE_RUNTIME}:ro,mode=0000")


class _Begun(t.NamedTuple):
    """A task with what its driver makes of it, and what asks it to end."""

    task: PlacedTask[Task]
    variables: environment.Environment
    process: service.Process
    stop: list[Call]


def units(site: Site, group: environment.Environment, daemons: t.Sequence[str]) -> list[service.Unit]:
    """The units of all tasks at this site. `group` is the environment that they share, and `daemons` is what `init.daemons` gave."""
    found = []
    for instance in hooks.instances(site):
        begun = [_begun(site, task, group) for task in instance.tasks]
        shared = [path for each in begun for path in service.begins_with(site, each.task, each.process)] if instance.whole else []
        found += [_unit(site, each, instance, shared, daemons) for each in begun]
    return found


def _begun(site: Site, task: PlacedTask[Task], group: environment.Environment) -> _Begun:
    variables, stop, retry = environment.of_task(site, task, group), service.stops(site, task), hooks.retry(site, task)
    wrapper = retry.inline if retry else ()
    process = service.process(site, task, variables, DRIVERS[task.spec.driver].directives, wrapper, stop=stop)
    return _Begun(task, variables, process, stop)


def _unit(site: Site, begun: _Begun, instance: hooks.Instance, reads: t.Sequence[str], daemons: t.Sequence[str]) -> service.Unit:
    task, variables, process, stop = begun
    way, own = DRIVERS[task.spec.driver], process.brought.reads
    directives, run, calls = _life(site, task, instance, process.directives, stop)
    if site.job.schedule:
        # Its timer runs it, and no deployment does.
        run = "none"
    sections = {
        "Unit": [
            ("Description", systemd.text(site.title(task.called))),
            ("PartOf", site.target),
            *instance.order(task),
            *way.order(site, task),
            ("StartLimitIntervalSec", "0"),
            *([("ConditionPathExists", f"!{systemd.item(task.done)}")] if task.done else []),
        ],
        "Service": [*directives, _HIDDEN],
    }
    limit = restarts.policy(site, task.spec)
    endless, pause = run == "once" and limit is None, float(limit.delay) if limit and not task.step else 0.0
    others = [path for path in reads if path not in own]
    return service.unit(
        site,
        task,
        variables,
        process,
        sections,
        run=run,
        calls=calls,
        reads=others,
        daemons=daemons,
        endless=endless,
        pause=pause,
    )


def _life(
    site: Site, task: PlacedTask[Task], instance: hooks.Instance, process: systemd.Directives, stop: list[Call]
) -> tuple[systemd.Directives, str, list[Call]]:
    """How the task starts and ends: its directives of [Service], `run` of its unit as in `plan.unit`, and what it calls."""
    if task.step:
        return hooks.step(site, task, process), "init" if task.hook is Hook.PRESTART else "hook", restarts.calls(site, task)
    if task.hook is Hook.POSTSTOP:
        return hooks.last(task, process), "hook", []
    over = instance.over(task)
    ended = restarts.calls(site, task, over)
    if task.ends and instance.leader in (None, task):
        # For work that ends, such an end is a failure; but a leader's own end is one for the others.
        process = hooks.without(process, ("SuccessExitStatus",))
    directives = [*DRIVERS[task.spec.driver].started(site, task), *process, *restarts.directives(site, task, over)]
    called = [*stop, *ended, *([over] if over and ended else [])]
    return directives, "once" if task.ends else "always", called
