# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What must be true between the keys of a task's templates."""

from __future__ import annotations

import collections.abc as c
import pathlib

from ...declare import quantities
from ...errors import Finding, Mistake, quoted
from ...model.brings.templates import ROOMS, Template, parts
from ...model.task import Task
from ...model.vocabulary import ChangeMode
from ...substitution import kept

BELOW = f"write a path below {', '.join(f'{room}/' for room in ROOMS[:-1])} or {ROOMS[-1]}/, such as local/app.conf"
# Bytes. Templates are put in place by a program in Python.
LEAST_MEMORY = 16 * 2**20


def errors(task: Task, path: str, wrong: c.Container[str]) -> c.Iterator[Finding]:
    """What is wrong with the templates of a task at `path`. ``wrong``: paths that have an error already."""
    memory = task.resources.memory if task.resources and task.templates else None
    if memory and memory < LEAST_MEMORY:
        why = "too little for the program that puts templates in place at each start and counts towards the task's limits"
        yield (
            f"{path}.resources.memory",
            Mistake(why, f"write {quantities.spelled(LEAST_MEMORY)} or more", value=quantities.spelled(memory)),
        )
    places: dict[tuple[str, ...], int] = {}
    for number, template in enumerate(task.templates or ()):
        if template is None:
            continue
        where = f"{path}.templates[{number}]"
        yield from _text(template, where)
        yield from _change(template, where, task.runs_to_its_end, wrong)
        if template.left_delim is not None and template.left_delim == template.right_delim:
            yield f"{where}.rightDelim", Mistake("is the same as leftDelim", "write two that differ", value=quoted(template.right_delim))
        if template.dest_path is not None and "${" not in template.dest_path:
            place = parts(template.dest_path)
            if not place:
                yield f"{where}.destPath", Mistake("is not a place for a template", BELOW, value=quoted(template.dest_path))
            elif places.setdefault(place, number) != number:
                yield f"{where}.destPath", Mistake(f"is also that of templates[{places[place]}]", "name another file")


def _text(template: Template, where: str) -> c.Iterator[Finding]:
    source = template.source_path
    if (source is None) == (template.embedded_tmpl is None):
        what = "has neither sourcePath nor embeddedTmpl" if source is None else "has sourcePath and embeddedTmpl"
        yield where, Mistake(what, "write one of them")
    elif source is not None and (pathlib.PurePosixPath(source).is_absolute() or source.startswith("${") or source.endswith("/")):
        # In Nomad, these are files on the node, such as those of an artifact.
        why = "only a file on the controller can be rendered; its path is relative to the job file"
        remedy = "put the template beside the job file, and write its name"
        yield f"{where}.sourcePath", Mistake(why, remedy, value=quoted(source))
    elif source is not None and (name := kept(source)):
        yield f"{where}.sourcePath", Mistake("names are not replaced here", "write the value itself", value=quoted(name))


def _change(template: Template, where: str, ends: bool, wrong: c.Container[str]) -> c.Iterator[Finding]:
    mode, signal = template.change_mode, template.change_signal
    if mode is ChangeMode.SIGNAL and signal is None and f"{where}.changeSignal" not in wrong:
        yield f"{where}.changeSignal", Mistake("is missing", "changeMode: signal needs it, such as SIGHUP")
    if signal is not None and mode is not None and mode is not ChangeMode.SIGNAL:
        yield (
            f"{where}.changeSignal",
            Mistake("is for changeMode: signal only", "add that, or remove changeSignal", rests_on=[f"{where}.changeMode"]),
        )
    script = template.change_script
    if mode is ChangeMode.SCRIPT and script is None and f"{where}.changeScript" not in wrong:
        yield f"{where}.changeScript", Mistake("is missing", "changeMode: script needs it")
    if script is not None and mode is not None and mode is not ChangeMode.SCRIPT:
        yield (
            f"{where}.changeScript",
            Mistake("is for changeMode: script only", "add that, or remove changeScript", rests_on=[f"{where}.changeMode"]),
        )
    if template.env and mode is not None and mode is not ChangeMode.RESTART:
        why = "variables reach a program only when it starts"
        yield f"{where}.changeMode", Mistake(why, "write restart for a template with env: true", value=mode.value)
    elif ends and mode in (ChangeMode.SIGNAL, ChangeMode.SCRIPT):
        yield f"{where}.changeMode", Mistake("a task that runs to its end is told nothing", "write restart or noop", value=mode.value)
