# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each driver needs to know."""

from ...declare.keys import Support, key
from ...declare.record import record
from ..vocabulary import Driver, Reserved


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
class TaskConfig:
    """The driver's settings: exactly one key, the one that belongs to the task's driver."""

    exec_config: ExecConfig | None = key("For exec and raw_exec.", default=None)
    docker_config: Reserved | None = key("For docker.", default=None, support=Support.REFUSED)
    java_config: Reserved | None = key("For java.", default=None, support=Support.REFUSED)


# The key of `config` that each driver takes.
CONFIG_OF = {Driver.EXEC: "execConfig", Driver.RAW_EXEC: "execConfig"}
