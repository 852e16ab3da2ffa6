# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The small programs that a group's units call. Each is a file of this folder, so that linters can read it and tests can run it. A
program of several concerns is a folder, with a file for each: on a robot, it is one file, too.

Each group gets its own copies of the ones it uses, so that no group depends on another. The files are read once, when this
module is imported: they are part of the collection, as the compiler's own code is. Compiling a job reads no file.
"""

from __future__ import annotations

import pathlib
import re
import typing as t

from ....module_utils._engine import plan
from .. import paths

# Marks in the programs, and the paths that replace them: each path on a robot is written once.
PLACES = {"@PROGRAMS@": paths.PROGRAMS, "@RESTARTS@": f"{plan.RUNTIME}/{plan.RESTART_COUNTS}", "@STAMPS@": plan.TIMER_STAMPS}

_SHELL = ("/bin/sh",)
# Where Python is found must not depend on the PATH of a job. -I and -S keep packages of the task and of the robot out, and
# Python starts sooner.
_PYTHON = ("/usr/bin/env", f"PATH={paths.SEARCH}", "python3", "-I", "-S")


class Helper(t.NamedTuple):
    """A program: its name, its text, and the interpreter that is given its path."""

    name: str
    text: str
    interpreter: tuple[str, ...]

    def path(self, directory: str) -> str:
        """Where it is on the robot; `directory` is the group's `bin`."""
        return f"{directory}/{self.name}"


class Call(t.NamedTuple):
    """A call of a helper by a unit, with its arguments. A unit lists what it calls, so that its group gets those helpers."""

    helper: Helper
    arguments: tuple[str, ...] = ()

    def command(self, directory: str) -> tuple[str, ...]:
        """The command line; `directory` is the group's `bin`."""
        return (*self.helper.interpreter, self.helper.path(directory), *self.arguments)

    @property
    def inline(self) -> tuple[str, ...]:
        """The command line of a shell program for a task that cannot see its file."""
        text = "\n".join(line for line in self.helper.text.splitlines() if not line.startswith("#"))
        return ("/bin/sh", "-c", text, self.helper.name, *self.arguments)


# In a folder, a file imports the names of another one as they are. Behind that one, in the same file, it has them already.
_OURS = re.compile(r"^from \.+\w+ import (?:\([^)]*\)|.*)\n", re.MULTILINE)
_FUTURE = "from __future__ import annotations\n"


def _read(*files: str) -> Helper:
    """``files``: of one program, each behind those whose names it imports; the last one gives it its name."""
    here = pathlib.Path(__file__).parent
    first, *more = (_OURS.sub("", here.joinpath(file).read_text(encoding="utf-8")) for file in files)
    text = "\n\n".join((first, *(each.replace(_FUTURE, "") for each in more)))
    for mark, place in PLACES.items():
        text = text.replace(mark, place)
    folder, _slash, name = files[-1].rpartition("/")
    path = pathlib.PurePath(name)
    return Helper((folder or path.stem).replace("_", "-"), text, _PYTHON if path.suffix == ".py" else _SHELL)


# Of several programs.
ASK = "ask.sh"
AWAIT_COMMAND = _read("await_command.sh")
AWAIT_FILE = _read("await_file.sh")
AWAIT_IDENTITY = _read("await_identity.sh")
AWAIT_PORT = _read("await_port.py")
AWAIT_PROXY = _read("await_proxy.py")
BIND_NAMESPACES = _read("bind_namespaces.sh")
DELAY_STOP = _read("delay_stop.py")
END_INSTANCE = _read(ASK, "end_instance.sh")
MARK_FINISHED = _read(ASK, "mark_finished.sh")
PLACE_TEMPLATES = _read("../lines.py", "place_templates.py")
RENDER_ONCE = _read("render_once.sh")
RESTART_POLICY = _read(ASK, "restart_policy.sh")
RETRY = _read("retry.sh")
_PARTS = ("processes", "notes", "described", "api", "anchor", "docker", "podman", "main")
RUN_CONTAINER = _read(*(f"run_container/{part}.py" for part in _PARTS))
RUN_ONCE = _read(ASK, "run_once.sh")
SHARE_MEMORY = _read("share_memory.sh")
STOP_PROGRAM = _read("stop_program.sh")
TELL_TASK = _read("tell_task.sh")

HELPERS = (
    AWAIT_COMMAND,
    AWAIT_FILE,
    AWAIT_IDENTITY,
    AWAIT_PORT,
    AWAIT_PROXY,
    BIND_NAMESPACES,
    DELAY_STOP,
    END_INSTANCE,
    MARK_FINISHED,
    PLACE_TEMPLATES,
    RENDER_ONCE,
    RESTART_POLICY,
    RETRY,
    RUN_CONTAINER,
    RUN_ONCE,
    SHARE_MEMORY,
    STOP_PROGRAM,
    TELL_TASK,
)
