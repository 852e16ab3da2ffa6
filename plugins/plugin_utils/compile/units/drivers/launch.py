# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a driver is given: the program, who runs it, and where."""

from __future__ import annotations

import typing as t

from ...systemd import Directives


class Launch(t.NamedTuple):
    """A program to be launched on a robot.

    `argv` is complete, its first item an absolute path or a bare name. `user` runs it, with `group` as its primary
    group (the task group's own, so that the group's files are shared). `directory` is the task's, with `local`,
    `secrets` and `logs`; `shared` are the group's directories that the task may write. `tmp` stands for /tmp.
    `environment_file` is read by systemd; `loader` are the variables in it that may only be set once root's
    privileges are gone, with their values. `runtime` is the task's directory below /run, without `/run/`.
    """

    argv: tuple[str, ...]
    user: str
    group: str
    directory: str
    shared: tuple[str, ...]
    tmp: str
    runtime: str
    environment_file: str
    loader: t.Mapping[str, str]

    @property
    def late_variables(self) -> Directives:
        """The loader's variables are taken away from the unit, because its commands for root would load what they name."""
        return [("UnsetEnvironment", " ".join(sorted(self.loader)))] if self.loader else []

    @property
    def late(self) -> tuple[str, ...]:
        """The command that gives them to the program alone, behind the change of user."""
        return ("/usr/bin/env", *(f"{name}={value}" for name, value in sorted(self.loader.items()))) if self.loader else ()

    @property
    def secrets(self) -> str:
        return f"{self.directory}/secrets"
