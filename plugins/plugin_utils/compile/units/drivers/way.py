# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a driver answers about a task. Where it says nothing, the task is a program of the robot, and its unit has all its processes."""

from __future__ import annotations

import typing as t

from ....job.errors import Problem
from ....job.model.task import Task
from ....job.model.vocabulary import Sharing
from ... import helpers, systemd
from ...content.environment import Environment
from ...helpers import Call
from ...isolation import sharing
from ...site.placed import PlacedTask
from ...site.site import Site
from ...systemd import Directives
from .. import limits, signals
from ..command import Command
from .launch import Launch

if t.TYPE_CHECKING:
    from .....module_utils._engine.plan import Expected, Resource


class Brought(t.NamedTuple):
    """What a driver needs on the robot for a task, besides what every task has: `resources`, in the order in which they are made, and
    those of their places that the unit takes in. `slice` is where the task's own processes are, if they are not in its unit.
    """

    resources: tuple[Resource, ...] = ()
    reads: tuple[str, ...] = ()
    expects: tuple[Expected, ...] = ()
    errors: tuple[Problem, ...] = ()
    slice: str = ""


Commanding = t.Callable[[Site, PlacedTask[Task], t.Mapping[str, str]], Command]
Driving = t.Callable[[Launch], Directives]
Placing = t.Callable[[Site, PlacedTask[Task]], Directives]
Stopping = t.Callable[[PlacedTask[Task]], list[Call]]
Bringing = t.Callable[[Site, PlacedTask[Task], Environment], Brought]


def started(site: Site, _task: PlacedTask[Task]) -> Directives:
    return systemd.started(site.robot.systemd)


def limited(site: Site, task: PlacedTask[Task]) -> Directives:
    resources = task.spec.resources
    cpus = resources.cpus or (site.group.resources.cpus if site.group.resources else None)
    return [*limits.of_all(resources), *limits.of_each(resources, cpus)]


def stop(task: PlacedTask[Task]) -> list[Call]:
    """systemd itself can reach a program that is the unit's main process."""
    how = (str(signals.number(task.spec.kill_signal)), task.spec.kill_mode.value)
    return [] if sharing.shares(task.spec).pid is Sharing.HOST else [Call(helpers.STOP_PROGRAM, how)]


def nothing(_site: Site, _task: PlacedTask[Task]) -> Directives:
    return []


def brings_nothing(_site: Site, _task: PlacedTask[Task], _environment: Environment) -> Brought:
    return Brought()


class Way(t.NamedTuple):
    """How a driver works."""

    # The command line, by the task's variables; and the directives of [Service] that run one.
    command: Commanding
    directives: Driving
    # Directives of [Service]: when a task that goes on has started.
    started: Placing = started
    # Directives of [Unit]: what must be there before it.
    order: Placing = nothing
    # Directives of [Service]: within which limits it is, or where these are elsewhere, how what is there ends.
    bounds: Placing = limited
    # What asks it to end; and for how many seconds more than the task has, all in all.
    stop: Stopping = stop
    grace: float = 0.0
    brings: Bringing = brings_nothing
    # Whether it sees the files and users of an image: then no place of the robot is hidden by a volume, and nobody knows who it is.
    of_image: bool = False
