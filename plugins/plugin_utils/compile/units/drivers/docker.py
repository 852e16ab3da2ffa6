# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docker: the unit's program has Docker's engine run a container, and passes on what it writes. systemd alone says when it runs.

Nothing that Docker does by itself is used: it neither starts the container again nor keeps its output. What is left of a container, of
whatever reason, is ended and removed when its unit ends, and once more before it starts.
"""

from __future__ import annotations

import typing as t

from .....module_utils._engine import plan
from ....job.model.task import Task
from ... import helpers, systemd
from ...content import container
from ...content.environment import Environment
from ...helpers import Call
from ...isolation import memory, sharing
from ...network import pods
from ...site.placed import PlacedTask
from ...site.site import Site
from ...systemd import Directives, item
from .. import limits, signals, volumes
from ..command import Command
from .launch import Launch
from .way import Brought, Way

# Seconds, beyond those that the program has: Docker may take its time.
REMOVAL = 30.0
# Docker's units: the engine may be started by the first who asks.
ENGINE = ("docker.service", "docker.socket")


def command(site: Site, task: PlacedTask[Task], _variables: t.Mapping[str, str]) -> Command:
    return Command(_call(task, "run").command(site.bin), f"{task.path}.config.dockerConfig")


def stop(task: PlacedTask[Task]) -> list[Call]:
    """What asks the program in the container to end."""
    how = (str(signals.number(task.spec.kill_signal)), task.spec.kill_mode.value, f"{task.spec.kill_timeout:g}")
    return [_call(task, "stop", *how)]


def directives(launch: Launch) -> Directives:
    runtime = launch.environment_file.rpartition("/")[2][: -len(".env")]
    return [
        ("RuntimeDirectory", f"{item(launch.runtime)} {item(f'k8s4r/containers/{runtime}')}"),
        ("RuntimeDirectoryMode", "0700"),
        ("ExecStart", systemd.command(launch.argv)),
        # As under exec: an end by SIGHUP, SIGINT, SIGPIPE or SIGTERM.
        ("SuccessExitStatus", "129 130 141 143"),
        *([("ExecStop", systemd.as_root(launch.stop, ("MAINPID",), "-"))] if launch.stop else []),
        ("KillMode", "mixed"),
    ]


def order(site: Site, task: PlacedTask[Task]) -> Directives:
    """A container's slice must be there before it, or nothing would limit it. The engine is not required: its end, or its update, is none
    of this unit's.
    """
    own = container.slice_of(site, task)
    return [("Requires", own), ("Wants", ENGINE[0]), ("After", " ".join((own, *ENGINE)))]


def started(_site: Site, _task: PlacedTask[Task]) -> Directives:
    """When the engine says so; while that is not there, it is waited for."""
    return [("Type", "notify"), ("NotifyAccess", "main"), ("TimeoutStartSec", "infinity")]


def removal(site: Site, task: PlacedTask[Task]) -> Directives:
    return [("ExecStopPost", systemd.as_root(_call(task, "remove").command(site.bin), prefix="-"))]


def brings(site: Site, task: PlacedTask[Task], environment: Environment) -> Brought:
    """The image, the file that describes the container, and the slice that it is alone in."""
    processes = task.spec.resources.tasks or limits.TASKS_MAX
    made, own = container.container(site, task, environment, _pod(site, task), processes), container.slice_of(site, task)
    config, where = task.spec.config.docker_config, f"{task.path}.config.dockerConfig.volumes"
    limited = {
        "Unit": [("Description", systemd.text(site.title(task.called, "container")))],
        "Slice": limits.of_all(task.spec.resources),
    }
    return Brought(
        (*made.resources, plan.unit(own, systemd.unit(limited))),
        tuple(each.get("path") or f"{plan.CALLED}/{each['name']}" for each in made.resources),
        made.expects,
        (*volumes.errors(site, config.volumes if config else (), where, container=True), *made.errors),
        own,
    )


def _pod(site: Site, task: PlacedTask[Task]) -> container.Entered | None:
    pod = site.pod_of(task.instance)
    if pod is None:
        return None
    shared = (*pods.names_of(pod), (memory.place(site, pod.instance), "/dev/shm"))
    return container.Entered(pod, f"{sharing.held(site, pod.instance).directory}/ipc", shared)


def _call(task: PlacedTask[Task], what: str, *how: str) -> Call:
    return Call(helpers.RUN_CONTAINER, (what, container.description(task), *how))


WAY = Way(
    command,
    directives,
    started=started,
    order=order,
    bounds=removal,
    stop=stop,
    # What stops a container kills it in time, and removes it.
    grace=REMOVAL,
    brings=brings,
    of_image=True,
)
