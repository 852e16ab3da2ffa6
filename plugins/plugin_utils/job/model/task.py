# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One program of a group, or one step that prepares a robot for it."""

from __future__ import annotations

import typing as t

from ..declare.keys import Seconds, Support, key
from ..declare.record import record
from .drivers import TaskConfig
from .network import Network
from .policies import Constraint, RestartPolicy
from .resources import Resources
from .services import Service
from .vocabulary import NAME, PATH, SIGNAL, SIGNALS, VARIABLE, Driver, Reserved


@record
class Readiness:
    """When a daemon init task counts as ready; exactly one of the first four keys."""

    command: str | None = key("Shell command that succeeds once the daemon is ready; tried five times a second.", default=None)
    port: int | None = key("TCP port on 127.0.0.1 that accepts a connection.", default=None, minimum=1, maximum=65535)
    file: str | None = key("Path that exists.", default=None, pattern=PATH, says="an absolute path")
    notify: bool = key("The daemon says READY=1 itself (sd_notify).", default=False)
    timeout: Seconds = key("How long to wait for it.", default=Seconds(30), minimum=0.1, maximum=3600)


@record
class Task:
    """One program of a group."""

    name: str = key("Unique in its group.", pattern=NAME)
    config: TaskConfig = key("The driver's settings.")
    driver: Driver = key("How it runs.", default=Driver.EXEC, refused_values=(Driver.DOCKER, Driver.JAVA))
    resources: Resources = key("Limits of this task.", factory=Resources)
    env: t.Mapping[str, str] = key(
        "Environment variables; they win over injected ones.", factory=dict, substituted=True, secret=True, key_pattern=VARIABLE
    )
    user: str | None = key(
        "User to run as, in place of the group's own.",
        default=None,
        pattern=r"[A-Za-z_][A-Za-z0-9_-]{0,30}",
        says="a user name of at most 31 letters, digits, _ and -, not beginning with a digit or -",
    )
    timeout: Seconds | None = key("Longest run; the task is stopped when it is over.", default=None, minimum=0.1)
    kill_timeout: Seconds = key("Time between the kill signal and SIGKILL.", default=Seconds(5), minimum=0, maximum=86400)
    kill_signal: str = key(
        "Signal that asks the task to end.",
        default="SIGTERM",
        ours=True,
        pattern=SIGNAL,
        known=SIGNALS,
        says="a signal, such as SIGTERM or SIGRTMIN+3",
    )
    restart_policy: RestartPolicy | None = key("In place of the group's.", default=None)
    constraints: tuple[Constraint, ...] = key("As on the group.", factory=tuple)
    network: Network | None = key("Lifted to the group; two that differ are an error.", default=None)
    services: tuple[Service, ...] = key("Services and checks.", factory=tuple, support=Support.NO_EFFECT)
    artifacts: tuple[Reserved, ...] = key("Downloads.", factory=tuple, support=Support.REFUSED)
    templates: tuple[Reserved, ...] = key("Rendered files.", factory=tuple, support=Support.REFUSED)
    logs: Reserved | None = key("Log rotation.", default=None, ours=True, support=Support.REFUSED)
    lifecycle: Reserved | None = key("Hooks and sidecars.", default=None, ours=True, support=Support.REFUSED)
    isolation: Reserved | None = key("Isolation options.", default=None, ours=True, support=Support.REFUSED)


@record
class InitTask(Task):
    """A step that prepares the robot for its group: once per group and robot, in order, before the tasks, as root unless
    it names a user. It sees the robot as it is, so the drivers exec and raw_exec are the same for it.
    """

    daemon: bool = key("It keeps running; the next step starts when it is ready.", default=False)
    readiness: Readiness | None = key("When the daemon is ready; without it, when it has started.", default=None, ours=True)
