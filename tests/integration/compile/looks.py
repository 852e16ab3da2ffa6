# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tasks that look around on a robot, from inside, and tell what they have found."""

from __future__ import annotations

import typing as t

from tests.integration.engine.harness import Machine

Found = dict[str, dict[str, t.Any]]

# For the beginning of a task's program: whether it may do something, and something that it may not everywhere.
MAY = """
import os, pathlib
name, alloc = os.environ["NOMAD_TASK_NAME"], pathlib.Path(os.environ["NOMAD_ALLOC_DIR"])

def may(action, *arguments):
    try:
        action(*arguments)
    except OSError:
        return False
    return True

def write(place):
    path = pathlib.Path(place, "written-by-" + name)
    path.touch()
    path.unlink()

OWN = [os.environ["NOMAD_TASK_DIR"], str(alloc), os.environ["NOMAD_SECRETS_DIR"], "/tmp", "/var/tmp", "/dev/shm"]
"""
# For its end: `found` is complete, or not there.
TELL = """
import json
(alloc / (name + ".part")).write_text(json.dumps(found))
(alloc / (name + ".part")).rename(alloc / (name + ".json"))
"""


class Once:
    """What the tasks found, for each robot: all of them look around once."""

    def __init__(self, look: t.Callable[[Machine], Found]) -> None:
        self._look = look
        self._found: dict[str, Found] = {}

    def found(self, machine: Machine) -> Found:
        if machine.name not in self._found:
            self._found[machine.name] = self._look(machine)
        return self._found[machine.name]
