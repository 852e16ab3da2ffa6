# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What must be true of a driver's settings."""

from __future__ import annotations

import collections.abc as c

from ...errors import Finding, Mistake, listed, quoted
from ...model.brings.drivers import CONFIG_OF, ExecConfig, JavaConfig
from ...model.task import Task


def errors(task: Task, path: str, unknown: bool, wrong: c.Container[str]) -> c.Iterator[Finding]:
    """What is wrong with a task's `config`, at `path`. ``unknown``: its driver has an error. ``wrong``: paths that have one already."""
    mine = CONFIG_OF[task.driver]
    given = task.config.given
    if not unknown and not given and f"{path}.{mine}" not in wrong:
        yield f"{path}.{mine}", Mistake("is missing", f"driver {task.driver.value} needs it")
    for name, settings in given.items():
        if not unknown and name != mine:
            others = [driver.value for driver, key in CONFIG_OF.items() if key == name]
            remedy = "remove it" if mine in given else f"write {mine} in its place, or driver: {others[0]}"
            yield f"{path}.{name}", Mistake(f"is for {listed(others, 'and')}, and the driver is {task.driver.value}", remedy)
        elif isinstance(settings, ExecConfig):
            yield from _command(settings, f"{path}.{name}.command")
        elif isinstance(settings, JavaConfig):
            yield from _java(settings, f"{path}.{name}", wrong)


def _command(program: ExecConfig, path: str) -> c.Iterator[Finding]:
    """A program and its arguments in one text. A name may have blanks too, so this one must look like arguments."""
    first, blank, rest = (program.command or "").partition(" ")
    if blank and not program.args and ("/" not in first or rest.startswith("-")):
        value_remedy = f"write command: {first} and args: [{', '.join(rest.split())}]"
        yield (
            path,
            Mistake("arguments go into args", "command is only the program", value=quoted(program.command), value_remedy=value_remedy),
        )


def _java(program: JavaConfig, path: str, wrong: c.Container[str]) -> c.Iterator[Finding]:
    if f"{path}.jarPath" in wrong or f"{path}.class" in wrong:
        return
    if program.jar_path is None and program.class_name is None:
        yield path, Mistake("does not say what to run", "write jarPath, or class")
    elif program.jar_path is not None and program.class_name is not None:
        yield f"{path}.class", Mistake("stands beside jarPath", "write one of them: a jar names its class itself")
    if program.jar_path is not None and program.classpath is not None:
        yield f"{path}.classpath", Mistake("has no effect beside jarPath", "remove it, or write class in place of jarPath")
