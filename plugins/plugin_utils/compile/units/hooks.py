# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hooks, sidecars and the leader of an instance: what starts before what, what runs to its end, and what ends with what.

systemd stops units in the reverse order of their start. So a leader starts after the other main tasks, and a poststop hook, whose
program is an ExecStop=, starts before all of its instance.
"""

from __future__ import annotations

import functools
import typing as t

from ...job.model.task import Task
from ...job.model.vocabulary import Hook
from .. import helpers, systemd
from ..helpers import Call
from ..isolation import sharing
from ..site.placed import PlacedTask
from ..site.site import Site
from . import restarts, service

# Seconds. So long may a poststop hook take that names no time: whoever stops its group waits for it, a shutdown too.
POSTSTOP_TIMEOUT = 90.0

# Directives of a driver for a program that is up. systemd obeys ExecStop= only then.
_OF_RUNNING = ("SuccessExitStatus", "ExecStop", "KillSignal", "KillMode")


# The order of the start; that of the stop is its reverse.
_STAGES = (Hook.POSTSTOP, Hook.PRESTART, None, Hook.POSTSTART)


class Instance:
    """The tasks of one instance on a robot, in the order of their start.

    Whoever asks systemd to stop several units does so one by one, and the first may be down before the next is named: they are to be
    named in the order of the stop.
    """

    def __init__(self, site: Site, tasks: t.Iterable[PlacedTask[Task]]) -> None:
        self.site = site
        self.tasks = sorted(tasks, key=lambda task: (_STAGES.index(task.hook), task.spec.leader))

    @functools.cached_property
    def mains(self) -> list[PlacedTask[Task]]:
        return [task for task in self.tasks if task.hook is None]

    @functools.cached_property
    def leader(self) -> PlacedTask[Task] | None:
        return next((task for task in self.mains if task.spec.leader), None)

    @functools.cached_property
    def whole(self) -> bool:
        """With hooks or a leader, an instance is one whole: when one of its tasks changes, all start again, in their order."""
        return self.leader is not None or len(self.mains) < len(self.tasks)

    def order(self, task: PlacedTask[Task]) -> systemd.Directives:
        """Of [Unit]: what the task starts after, and what must not have failed."""
        inits = self.site.init_tasks
        held = sharing.held_for(self.site, task)
        required = [*([held.unit] if held else []), *(init.unit for init in inits if not init.spec.daemon)]
        wanted, later = [*([held.unit] if held else []), *(init.unit for init in inits)], []
        if task.hook is not Hook.POSTSTOP:
            later += self._of(Hook.POSTSTOP)
        if task.hook in (None, Hook.POSTSTART):
            required += self._of(Hook.PRESTART, sidecar=False)
            wanted += self._of(Hook.PRESTART)
        if task.hook is Hook.POSTSTART:
            later += [main.unit for main in self.mains]
        if task is self.leader:
            later += [main.unit for main in self.mains if main is not task]
        # Neither wanted nor required: what has ended is not to be started by the restart of another.
        return [*service.after(self.site, task, required, wanted), *([("After", " ".join(later))] if later else [])]

    def over(self, task: PlacedTask[Task]) -> Call | None:
        """What is to be called when this task has ended for good, so that what depends on it ends too."""
        if task.hook or (self.leader and task is not self.leader):
            return None
        others = [main for main in self.mains if main is not task]
        ends = [each for each in self.tasks if each.sidecar or each.hook is Hook.POSTSTOP]
        if self.leader:
            # What ran before it has ended.
            ends, others = [each for each in self.tasks if each is not task and not (each.step and each.hook is Hook.PRESTART)], []
        if not ends:
            return None
        done = self.site.done if task.done else ""
        names = (*(main.unit for main in others), "--", *(each.unit for each in reversed(ends)))
        return Call(helpers.END_INSTANCE, (done, task.unit, *names))

    def _of(self, hook: Hook, sidecar: bool | None = None) -> list[str]:
        return [task.unit for task in self.tasks if task.hook is hook and sidecar in (None, task.sidecar)]


def instances(site: Site) -> list[Instance]:
    """The instances at this site."""
    return [Instance(site, (task for task in site.tasks if task.instance == number)) for number in site.instances]


def retry(site: Site, task: PlacedTask[Task]) -> Call | None:
    """What runs a step again where it fails; None for other tasks, and for one that has no policy."""
    limit = restarts.policy(site, task.spec) if task.step else None
    return Call(helpers.RETRY, (str(limit.attempts), f"{limit.delay:g}")) if limit else None


def step(site: Site, task: PlacedTask[Task], process: systemd.Directives) -> systemd.Directives:
    """Of [Service], for a hook that runs to its end: what comes after it waits for that. In a batch job it does so once."""
    return [
        ("Type", "oneshot"),
        # Nothing requires what runs after the start, and a run of a schedule ends with it.
        *([] if task.done or (site.job.schedule and task.hook is Hook.POSTSTART) else [("RemainAfterExit", "yes")]),
        ("TimeoutStartSec", systemd.seconds(task.spec.timeout) if task.spec.timeout else "infinity"),
        *of_step(task, process),
        *restarts.at_end(site, restarts.calls(site, task)),
    ]


def of_step(task: PlacedTask[Task], process: systemd.Directives) -> systemd.Directives:
    """Directives of a driver for a program that others wait for."""
    return [*without(process, _OF_RUNNING), ("KillSignal", task.spec.kill_signal), ("KillMode", "control-group")]


def last(task: PlacedTask[Task], process: systemd.Directives) -> systemd.Directives:
    """Of [Service], for a poststop hook: its start does nothing, and its stop runs the program."""
    renamed = [("ExecStop" if name == "ExecStart" else name, value) for name, value in without(process, (*_OF_RUNNING, "TimeoutStopSec"))]
    return [
        ("Type", "oneshot"),
        ("RemainAfterExit", "yes"),
        *renamed,
        ("TimeoutStopSec", systemd.seconds(task.spec.timeout or POSTSTOP_TIMEOUT)),
        # After that time.
        ("KillSignal", "SIGKILL"),
    ]


def without(directives: systemd.Directives, names: t.Container[str]) -> systemd.Directives:
    """The directives but for those of these names."""
    return [(name, value) for name, value in directives if name not in names]
