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
from ..site.placed import PlacedTask
from ..site.site import Site

if t.TYPE_CHECKING:
    from ....module_utils._engine.plan import Expected, Program

# A task may put a program here, so it is no error if it is missing when the job is deployed.
_WRITTEN_BY_TASKS = (f"{plan.STATE}/", "/tmp/", "/var/tmp/", "/run/")

# Of a task's directory.
_DIRECTORIES = ("local/", "secrets/")

# In front of a program, these have a meaning for systemd.
_PREFIXES = "-@:+!|"


class Command(t.NamedTuple):
    """A program (an absolute path or a bare name) and its arguments. `where` is the key of the job file that says which program it is.
    `programs` and `expects` must already be on the robot.
    """

    argv: tuple[str, ...]
    where: str
    programs: tuple[Program, ...] = ()
    errors: tuple[Problem, ...] = ()
    expects: tuple[Expected, ...] = ()


def command(site: Site, task: PlacedTask[Task], variables: t.Mapping[str, str]) -> Command:
    """The command in the task's execConfig. A relative path is one in the task's working directory."""
    where = f"{task.path}.config.execConfig"
    config = task.spec.config.exec_config
    if config is None:
        return missing(site, where, task.spec.driver)
    argv, errors = command_line(site, where, config.command, config.args, variables)
    program, *arguments = argv
    if not isinstance(program, Secret) and (not program or program[0] in _PREFIXES or "=" in program):
        found = f"{program!r} cannot be a program: it is empty, begins with one of {_PREFIXES} or contains ="
        errors.append(site.problem(f"{where}.command", found, "run it through /bin/sh"))
    program = absolute(task, program) if "/" in program else program
    programs = needed(site, task.spec, program, f"{where}.command", variables)
    return Command((program, *arguments), f"{where}.command", programs, tuple(errors))


def missing(site: Site, where: str, driver: Driver) -> Command:
    """What stands for a command that is not written at `where`."""
    problem = site.problem(where, "is missing", f"the driver {driver.value} needs it")
    return Command(("/bin/false",), where, errors=(problem,))


def absolute(task: PlacedTask[Task], path: str) -> str:
    """Where a relative path is: in the task's working directory, which is its `local`. With that, or its neighbours, at the beginning
    it is in the task's directory, as Nomad has it.
    """
    if path.startswith("/"):
        return path
    return f"{task.directory}/{path}" if path.startswith(_DIRECTORIES) else f"{task.directory}/local/{path}"


def needed(site: Site, spec: Task, program: str, where: str, variables: t.Mapping[str, str]) -> tuple[Program, ...]:
    """The program, named at `where`, if it must already be on the robot."""
    search = "" if "/" in program else _search_path(spec, variables)
    if is_written_by_tasks(search or program):
        return ()
    return (plan.program(on_robot(spec, program), site.where(where), search),)


def is_written_by_tasks(paths: str) -> bool:
    """Whether a task may put something at one of these paths, with `:` between them: it is no error if it is not there yet."""
    return any(place.startswith(_WRITTEN_BY_TASKS) for place in paths.split(":"))


def on_robot(spec: Task, path: str) -> str:
    """Where on the robot a file is that the task may see in a volume."""
    for volume in spec.volumes:
        if path.startswith(volume.target + "/"):
            return volume.source + path[len(volume.target) :]
    return path


def _search_path(spec: Task, variables: t.Mapping[str, str]) -> str:
    """Where a bare name is looked up: for raw_exec by systemd itself, for others by `env` in the task's own PATH."""
    return variables.get("PATH", paths.SEARCH) if spec.confined else paths.SEARCH
