# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A task's command line, with the programs that the robot must have for it."""

from __future__ import annotations

import typing as t

from ....module_utils._engine import plan
from ...job.declare.keys import Secret
from ...job.errors import Problem
from ...job.model.task import Task
from ...job.model.vocabulary import Driver
from .. import paths
from ..content.substitution import command_line
from ..site import PlacedTask, Site

if t.TYPE_CHECKING:
    from ....module_utils._engine.plan import Program

# A task may put a program here, so it is no error if it is missing when the job is deployed.
_WRITTEN_BY_TASKS = (f"{plan.STATE}/", "/tmp/", "/var/tmp/", "/run/")

# In front of a program, these have a meaning for systemd.
_PREFIXES = "-@:+!|"


class Command(t.NamedTuple):
    """A program (an absolute path or a bare name) and its arguments. `programs` are those that must already be on the robot."""

    argv: tuple[str, ...]
    programs: tuple[Program, ...] = ()
    errors: tuple[Problem, ...] = ()


def command(site: Site, task: PlacedTask[Task], variables: t.Mapping[str, str]) -> Command:
    """The command in the task's `config`. A relative path is one in the task's working directory."""
    config = task.spec.config.exec_config
    if config is None:
        missing = site.problem(f"{task.path}.config", "execConfig is missing", f"the driver {task.spec.driver.value} needs it")
        return Command(("/bin/false",), errors=(missing,))
    where = f"{task.path}.config.execConfig"
    argv, errors = command_line(site, where, config.command, config.args, variables)
    program, *arguments = argv
    if not isinstance(program, Secret) and (not program or program[0] in _PREFIXES or "=" in program):
        found = f"{program!r} cannot be a program: it is empty, begins with one of {_PREFIXES} or contains ="
        errors.append(site.problem(f"{where}.command", found, "run it through /bin/sh"))
    programs: list[Program] = []
    if "/" in program and not program.startswith("/"):
        program = f"{task.directory}/local/{program}"
    else:
        search = "" if "/" in program else _search_path(task.spec, variables)
        if not any(place.startswith(_WRITTEN_BY_TASKS) for place in (search or program).split(":")):
            programs.append(plan.program(_on_robot(task.spec, program), site.where(f"{where}.command"), search))
    return Command((program, *arguments), tuple(programs), tuple(errors))


def _on_robot(spec: Task, program: str) -> str:
    """Where on the robot a program is that the task may see in a volume."""
    for volume in spec.volumes:
        if program.startswith(volume.target + "/"):
            return volume.source + program[len(volume.target) :]
    return program


def _search_path(spec: Task, variables: t.Mapping[str, str]) -> str:
    """Where a bare name is looked up: for raw_exec by systemd itself, for exec by `env` in the task's own PATH."""
    return variables.get("PATH", paths.SEARCH) if spec.driver is Driver.EXEC else paths.SEARCH
