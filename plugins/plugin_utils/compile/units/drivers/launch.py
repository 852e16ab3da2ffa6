# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a driver is given: the program, the user that runs it, and its directories."""

from __future__ import annotations

import typing as t

from ....job.model.task import Volume
from ....job.model.vocabulary import Files, KillMode
from ...isolation.sharing import Shares
from ...systemd import Directives, item


class Launch(t.NamedTuple):
    """A program to be launched on a robot.

    `argv` is the complete command; its first item is an absolute path or a bare name. `user` runs it, with `group` as the primary
    group: the task group's own, so that its tasks can share files. `directory` is the task's, with `local`, `secrets` and
    `logs`. `alloc` is the directory that the group's tasks share. `tmp` is the directory that the task sees as /tmp. `memory` is
    the one that it sees as /dev/shm, and `prepare` the command by which root makes it before the program starts; both are empty for
    a task that shares the robot's IPC. systemd reads `environment_file`. `loader` are those of its variables, with their values,
    that must not be set before root's privileges are dropped. `runtime` is the task's directory below /run, without `/run/`.
    `groups` are the Unix groups that it is to be in besides those of its user. `devices` is all that it may open of `/dev`, as
    DeviceAllow= has it; empty where there is no such limit. `volumes` are places of the robot that it sees elsewhere.
    `shares` says with whom it shares namespaces; the directory `namespaces` has files of those that it shares with its group, and is
    empty where it shares none. `files` is what it sees of the robot's. `capabilities` are those of
    root's that it keeps. `systemd` is the robot's major version. `signal` asks it to end
    and goes to whom `kill` says; `stop` is the command by which root sends it, empty for a driver whose program systemd itself can
    reach.
    """

    argv: tuple[str, ...]
    user: str
    group: str
    directory: str
    alloc: str
    tmp: str
    memory: str
    prepare: tuple[str, ...]
    runtime: str
    environment_file: str
    loader: t.Mapping[str, str]
    groups: tuple[str, ...]
    devices: tuple[str, ...]
    volumes: tuple[Volume, ...]
    shares: Shares
    namespaces: str
    files: Files
    capabilities: tuple[str, ...]
    systemd: int
    signal: str
    kill: KillMode
    stop: tuple[str, ...]

    @property
    def mounts(self) -> Directives:
        """Binds the volumes."""
        kinds = {True: "BindReadOnlyPaths", False: "BindPaths"}
        return [(kinds[each.read_only], f"{item(each.source)}:{item(each.target)}") for each in self.volumes]

    @property
    def native_stop(self) -> Directives:
        """How systemd asks a program that is the unit's main process. In mixed, SIGKILL goes to all that are left after it."""
        return [("KillSignal", self.signal), ("KillMode", "mixed" if self.kill is KillMode.MAIN else "control-group")]

    @property
    def late_variables(self) -> Directives:
        """Removes the loader's variables from the unit's environment: the unit's own commands, run by root, would load what they name."""
        return [("UnsetEnvironment", " ".join(sorted(self.loader)))] if self.loader else []

    @property
    def late(self) -> tuple[str, ...]:
        """The command that gives them to the program alone, after the change of user."""
        return ("/usr/bin/env", *(f"{name}={value}" for name, value in sorted(self.loader.items()))) if self.loader else ()

    @property
    def secrets(self) -> str:
        return f"{self.directory}/secrets"
