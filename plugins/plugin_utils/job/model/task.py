# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One program of a group, or one step that prepares a robot for it."""

import typing as t

from ..declare.keys import Seconds, key
from ..declare.record import record
from .brings.artifacts import Artifact
from .brings.drivers import CONFINED, CONTAINED, TaskConfig
from .brings.templates import Template
from .brings.volumes import Volume
from .isolation import Isolation
from .logs import Logs
from .network import Network
from .policies import Constraint, RestartPolicy
from .resources import Resources
from .services import Service
from .vocabulary import DEVICE, NAME, PATH, SIGNAL, SIGNALS, USER, VARIABLE, Driver, Hook, KillMode, Users


@record
class Readiness:
    """When a daemon counts as ready. Exactly one of `command`, `port`, `file` and `notify` is given."""

    command: str | None = key(
        "Shell command that succeeds once the daemon is ready. It is tried five times a second.", default=None, names_kept=True
    )
    port: int | None = key("Ready when this TCP port on 127.0.0.1 accepts a connection.", default=None, minimum=1, maximum=65535)
    file: str | None = key("Ready when this path exists.", default=None, pattern=PATH, expected="an absolute path")
    notify: bool = key("Ready when the daemon itself sends READY=1 (sd_notify).", default=False)
    timeout: Seconds = key("How long to wait until it is ready.", default=Seconds(30), minimum=0.1, maximum=3600)


@record
class Device:
    """A device of the robot."""

    path: str = key("Its file in `/dev`; `*`, `?` and `[...]` match several.", pattern=DEVICE, expected="a path below /dev/")
    optional: bool = key("The task runs also where there is no such device yet.", default=False)


@record
class Lifecycle:
    """When a hook runs. Tasks without a hook are the main tasks of their instance."""

    hook: Hook = key(
        "`prestart`: before the main tasks start. `poststart`: once they have started. `poststop`: when they have ended and the sidecars "
        "have been stopped, for at most its `timeout`, by default 90s."
    )
    sidecar: bool = key("The hook keeps running beside the main tasks, and is stopped after them. Not for poststop.", default=False)


@record
class Task:
    """One program of a group."""

    name: str = key("Name, unique in its group.", pattern=NAME)
    config: TaskConfig = key("The driver's settings, with the program to run.")
    driver: Driver = key(
        "How the program runs. `exec`: confined. `raw_exec`: not confined. `java`: a Java program, confined as with `exec`. `docker` and "
        "`podman`: in a container.",
        default=Driver.EXEC,
    )
    resources: Resources = key("Limits of this task's processes.", factory=Resources)
    env: t.Mapping[str, str] = key(
        "Environment variables. They override injected ones of the same name.",
        factory=dict,
        substituted=True,
        secret=True,
        key_pattern=VARIABLE,
        meant_by=("secrets",),
    )
    user: str | None = key(
        "User to run as. Default: the group's own system user; for an init task, root.",
        default=None,
        pattern=USER,
        expected="a user name of at most 31 letters, digits, _ and -, not beginning with a digit or -",
    )
    groups: tuple[str, ...] = key(
        "Unix groups of the robot, such as `dialout` or `video`, that the task is in besides those of its user.",
        factory=tuple,
        ours=True,
        pattern=USER,
        expected="the name of a Unix group",
    )
    devices: tuple[Device, ...] = key(
        "Devices that the task uses: each a path, which may contain `*` (`/dev/ttyUSB*`), or a mapping with `path`. An exec task that "
        "names any can open no others. Default: all that its user may open.",
        factory=tuple,
        ours=True,
        text_is="path",
    )
    volumes: tuple[Volume, ...] = key(
        "Directories and files of the robot that the task may use, besides its own directories.", factory=tuple, ours=True
    )
    timeout: Seconds | None = key(
        "How long the task may run before it is stopped. That counts as a failure: the restartPolicy says whether it starts again. "
        "Default: no limit.",
        default=None,
        minimum=0.1,
    )
    kill_timeout: Seconds = key(
        "How long the task may take to end after `killSignal`; then it gets SIGKILL.", default=Seconds(5), minimum=0, maximum=86400
    )
    kill_signal: str = key(
        "Signal that asks the task to end.",
        default="SIGTERM",
        ours=True,
        pattern=SIGNAL,
        known=SIGNALS,
        expected="a signal, such as SIGTERM or SIGRTMIN+3",
    )
    kill_mode: KillMode = key(
        "Who gets `killSignal`: `main` is the program itself, `all` is every process of the task.", default=KillMode.MAIN, ours=True
    )
    shutdown_delay: Seconds = key(
        "How long the task goes on before it gets `killSignal`, so that its clients can finish. "
        "Not allowed for hooks and init tasks that run to their end.",
        default=Seconds(0),
        ours=True,
        minimum=0,
        maximum=86400,
    )
    restart_policy: RestartPolicy | None = key("Overrides the group's.", default=None)
    constraints: tuple[Constraint, ...] = key("Conditions on robots. They apply to the whole group.", factory=tuple)
    network: Network | None = key("The group's network, written on a task. Two different ones in a group are an error.", default=None)
    services: tuple[Service, ...] = key("Services that the task offers, and their health checks.", factory=tuple)
    artifacts: tuple[Artifact, ...] = key(
        "Files that the robot downloads before the task starts. They are put in place in this order.", factory=tuple
    )
    templates: tuple[Template, ...] = key("Files that are rendered before the task starts.", factory=tuple)
    logs: Logs = key("Files with what the task writes to its standard output and error.", factory=Logs, ours=True)
    lifecycle: Lifecycle | None = key(
        "Makes the task a hook, which runs before or after the other tasks of its instance.", default=None, ours=True
    )
    leader: bool = key("When this task ends for good, the others of its instance are stopped.", default=False, ours=True)
    isolation: Isolation | None = key("What the task shares with others.", default=None, ours=True)

    @property
    def confined(self) -> bool:
        """Whether its driver gives it walls. The unit of an init task has none, whatever its driver."""
        return self.driver in CONFINED

    @property
    def contained(self) -> bool:
        """Whether it is a container."""
        return self.driver in CONTAINED

    @property
    def users_of_its_own(self) -> bool:
        """Whether its program runs in a user namespace of its own."""
        return self.isolation is not None and self.isolation.users is Users.OWN

    @property
    def runs_to_its_end(self) -> bool:
        """Whether it is a step that others wait for, or one that comes at the end of all."""
        return self.lifecycle is not None and not self.lifecycle.sidecar

    @property
    def user_on_robot(self) -> str | None:
        """Who runs it, as the robot sees it; None for whom it runs as by default. Root of a user namespace is root there alone."""
        return None if self.user == "root" and self.users_of_its_own else self.user


@record
class InitTask(Task):
    """A step that prepares the robot for the group. Init tasks run in order, once per group and robot, before the tasks,
    as root unless they name a user. They see all of the robot, so the drivers exec and raw_exec are the same for them. With docker and
    podman they are containers, which see of the robot what `volumes` name, and run as the image's user.
    """

    daemon: bool = key(
        "The step keeps running, and the next one starts when it is ready. If it changes, later steps run again and the tasks restart; "
        "after a crash, it alone starts again.",
        default=False,
    )
    readiness: Readiness | None = key("When the daemon counts as ready. Default: as soon as it has started.", default=None, ours=True)

    @property
    def runs_to_its_end(self) -> bool:
        """Whether others wait for its end."""
        return not self.daemon
