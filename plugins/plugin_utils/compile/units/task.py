# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The units of tasks: one for each task of each instance. They start after the proxy and the init tasks."""

from __future__ import annotations

from ...job.model.task import Task
from .. import paths, systemd
from ..content import environment
from ..site import PlacedTask, Site
from . import restarts, service
from .drivers import DRIVERS

# Whatever its driver: a task that held thousands of connections to the SPIRE agent would keep proxies from their identities.
_HIDDEN = ("InaccessiblePaths", f"-{paths.SPIRE_RUNTIME}")


def units(site: Site, group: environment.Environment) -> list[service.Unit]:
    """The units of all tasks at this site. `group` is the part of the environment that they share."""
    return [_unit(site, task, group) for task in site.tasks]


def _unit(site: Site, task: PlacedTask[Task], group: environment.Environment) -> service.Unit:
    variables = environment.of_task(site, task, group)
    memory, stop = service.share_memory(site, task.spec), service.stop_program(task)
    process = service.process(site, task, variables, DRIVERS[task.spec.driver], memory=memory, stop=stop)
    required = [init.unit for init in site.init_tasks if not init.spec.daemon]
    sections = {
        "Unit": [
            ("Description", systemd.text(site.title(task.called))),
            ("PartOf", site.target),
            *service.after(site, task, required, [init.unit for init in site.init_tasks]),
            ("StartLimitIntervalSec", "0"),
            *([("ConditionPathExists", f"!{systemd.item(task.done)}")] if task.done else []),
        ],
        "Service": [("Type", "exec"), *process.directives, *restarts.directives(site, task), _HIDDEN],
    }
    calls = [*(call for call in (memory, stop) if call), *restarts.calls(site, task)]
    return service.unit(site, task, variables, process, sections, "once" if task.done else "always", calls)
