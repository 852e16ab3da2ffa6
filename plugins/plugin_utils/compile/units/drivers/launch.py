# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a driver is given: the program, the user that runs it, and its directories."""

from __future__ import annotations

import typing as t

from ....job.model.brings.volumes import Volume
from ....job.model.vocabulary import Files, KillMode, Sharing
from ...isolation.sharing import Shares
from ...network import pods
from ...site.placed import Pod
from ...systemd import KILLS_AT_ONCE, Directives, as_root, item


class Launch(t.NamedTuple):
    """A program to be launched on a robot."""

    # The complete command; its first item is an absolute path or a bare name.
    argv: tuple[str, ...]
    # Who runs it, with the task group's own Unix group as the primary one, so that its tasks can share files.
    user: str
    group: str
    # As whom it runs in a user namespace of its own; empty where it has none.
    inside: str
    # Of the task, with `local`, `secrets` and `logs`; and the one that the group's tasks share.
    directory: str
    alloc: str
    # What it sees as /tmp, and as /dev/shm. The last is empty for a task that shares the robot's IPC.
    tmp: str
    memory: str
    # The task's directory below /run, without `/run/`.
    runtime: str
    # What it sees as its `secrets`, where something is put into these before it starts; empty where nothing is.
    filled: str
    # systemd reads it, and after it what the robot itself renders, if there is anything: of that, the values count.
    environment_file: str
    watched_file: str
    # Those of its variables, with their values, that must not be set before root's privileges are dropped.
    loader: t.Mapping[str, str]
    # The Unix groups that it is in besides those of its user.
    groups: tuple[str, ...]
    # All that it may open of /dev, as DeviceAllow= has it; empty where there is no such limit.
    devices: tuple[str, ...]
    # Places of the robot that it sees elsewhere.
    volumes: tuple[Volume, ...]
    # With whom it shares namespaces; and the directory with files of those of its group, empty where it shares none.
    shares: Shares
    namespaces: str
    # The pod that it is in.
    pod: Pod | None
    # What it sees of the robot's files, and what it keeps of root's privileges.
    files: Files
    capabilities: tuple[str, ...]
    # The robot's major version.
    systemd: int
    # What asks it to end, and whom; and the command by which root does so, empty where systemd itself can reach the program.
    signal: str
    kill: KillMode
    stop: tuple[str, ...]

    @property
    def mounts(self) -> Directives:
        """Binds the volumes."""
        kinds = {True: "BindReadOnlyPaths", False: "BindPaths"}
        return [(kinds[each.read_only], f"{item(each.source)}:{item(each.target)}") for each in self.volumes]

    @property
    def variables(self) -> Directives:
        """Reads its variables. Before the first start, nothing has been rendered."""
        return [
            ("EnvironmentFile", item(self.environment_file)),
            *([("EnvironmentFile", f"-{item(self.watched_file)}")] if self.watched_file else []),
        ]

    @property
    def network(self) -> Directives:
        """Puts it into the network of its pod."""
        return pods.directives(self.pod)

    @property
    def stopped(self) -> Directives:
        """How the program is asked to end. What is left when it has had its time, or has ended, is killed."""
        asked = [("ExecStop", as_root(self.stop, ("MAINPID",), "-"))] if self.stop else []
        if self.shares.pid is not Sharing.HOST:
            return [*asked, ("KillSignal", "SIGKILL"), ("KillMode", "control-group")]
        # KillSignal= counts where the command could not be started: systemd 257 forks before it starts one of a unit with a
        # RuntimeDirectory=, and the task may have as many processes as it is allowed. After a command that is not done in time,
        # SIGKILL follows at once; systemd 245 signals and waits once more.
        kill = [("TimeoutStopFailureMode", "kill")] if self.stop and self.systemd >= KILLS_AT_ONCE else []
        # In mixed, SIGKILL goes to all that are left after the main process.
        return [*asked, ("KillSignal", self.signal), ("KillMode", "mixed" if self.kill is KillMode.MAIN else "control-group"), *kill]

    @property
    def late_variables(self) -> Directives:
        """Removes the loader's variables from the unit's environment: the unit's own commands, run by root, would load what they name."""
        return [("UnsetEnvironment", " ".join(sorted(self.loader)))] if self.loader else []

    @property
    def late(self) -> tuple[str, ...]:
        """The command that gives them to the program alone, after the change of user."""
        return ("/usr/bin/env", *(f"{name}={value}" for name, value in sorted(self.loader.items()))) if self.loader else ()

    @property
    def secrets_in_runtime(self) -> Directives:
        """Makes its `secrets` new and empty at each start, in a place where root can put something into it."""
        return [("RuntimeDirectory", item(self.runtime)), ("RuntimeDirectoryMode", "0700")]

    @property
    def secrets(self) -> str:
        return f"{self.directory}/secrets"
