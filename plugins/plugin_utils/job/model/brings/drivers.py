# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings of each driver."""

import typing as t

from ...declare.keys import key
from ...declare.record import record
from ..vocabulary import Driver
from .docker import DockerConfig


@record
class ExecConfig:
    """A program and its arguments, for the drivers exec and raw_exec."""

    command: str = key(
        "The program: a name to look up in PATH, an absolute path, or a path relative to the task's working directory.",
        substituted=True, pattern=r"[^\x00]+", expected="a program",
    )  # fmt: skip
    args: tuple[str, ...] = key(
        "Its arguments. Each reaches the program byte for byte; no shell is involved.", factory=tuple, substituted=True
    )


@record
class JavaConfig:
    """A Java program, for the driver java: a jar, or a class and its classpath."""

    jar_path: str | None = key(
        "The jar to run: an absolute path, or one relative to the task's working directory. "
        "`local/` at its beginning is that directory.",
        default=None, substituted=True, pattern=r"[^\x00]+", expected="a path",
    )  # fmt: skip
    class_name: str | None = key(
        "The class to run, instead of a jar.", default=None, name="class", substituted=True,
        pattern=r"[^\s\x00-][^\s\x00]*", expected="a class, such as com.example.Main",
    )  # fmt: skip
    classpath: str | None = key(
        "Where to find the class and everything that it needs: directories and jars, separated by `:`. Only with `class`.",
        default=None, substituted=True, pattern=r"[^\x00]+", expected="paths",
    )  # fmt: skip
    jvm_options: tuple[str, ...] = key(
        "Options of the Java virtual machine. Unless one of them sets the heap, the heap is the task's memory limit less a quarter of it, "
        "or less 64Mi if that is more, but never less than a quarter of the limit.",
        factory=tuple,
        substituted=True,
    )
    args: tuple[str, ...] = key("Arguments of the program.", factory=tuple, substituted=True)


@record
class TaskConfig:
    """The driver's settings: exactly one key, the one that belongs to the task's driver."""

    exec_config: ExecConfig | None = key("For exec and raw_exec.", default=None, meant_by=("rawExecConfig", "raw_execConfig"))
    docker_config: DockerConfig | None = key("For docker and podman.", default=None, meant_by=("podmanConfig", "containerConfig"))
    java_config: JavaConfig | None = key("For java.", default=None)

    @property
    def given(self) -> t.Mapping[str, ExecConfig | DockerConfig | JavaConfig]:
        """What is written, by its key."""
        settings = {"execConfig": self.exec_config, "dockerConfig": self.docker_config, "javaConfig": self.java_config}
        return {name: each for name, each in settings.items() if each is not None}


# The key of `config` that each driver takes.
CONFIG_OF = {
    Driver.EXEC: "execConfig",
    Driver.RAW_EXEC: "execConfig",
    Driver.DOCKER: "dockerConfig",
    Driver.JAVA: "javaConfig",
    Driver.PODMAN: "dockerConfig",
}
# The drivers that give a task walls of its own.
CONFINED = (Driver.EXEC, Driver.JAVA)
# The drivers whose tasks are containers: they see the files and users of an image.
CONTAINED = (Driver.DOCKER, Driver.PODMAN)
