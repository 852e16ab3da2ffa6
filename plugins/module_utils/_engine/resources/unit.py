# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A systemd unit file, and whether its unit shall run. When it restarts is decided in steps.py: that depends on other files too."""

from __future__ import annotations

import os

from ..plan import UNIT_DIRECTORY
from ..system import files, own
from . import shape
from .kind import Kind

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ..plan import Resource
    from ..state.robot import Robot
    from ..system.observe import State

NAME = r"k8s4r-[A-Za-z0-9_.:@\\-]{1,200}\.(service|target|slice|socket|timer|path)"
RUNS = ("none", "always", "init", "once")
# Starting one again would stop what belongs to it; a change of its file is taken in by daemon-reload.
NEVER_RESTARTED = (".target", ".slice")


class Unit(Kind):
    KEYS = {"name": str, "content": str, "run": str, "reads": list}

    def check(self, where: str, resource: Resource) -> t.Iterator[str]:
        if not shape.matches(NAME, resource["name"]) or shape.matches(own.UNITS, resource["name"]):
            yield f"{where}.name: {resource['name']!r} is not an allowed unit name"
        if resource["run"] not in RUNS:
            yield f"{where}.run: {resource['run']!r} must be one of {', '.join(RUNS)}"
        done = resource.get("done")
        if done is not None:
            yield from shape.path(f"{where}.done", done)

    def place(self, resource: Resource) -> str:
        return f"{UNIT_DIRECTORY}/{resource['name']}"

    def expected(self, resource: Resource) -> State:
        return {"type": "file", "owner": "root", "group": "root", "mode": "0644", "content": resource["digest"]}

    def fix(self, resource: Resource, robot: Robot) -> None:
        files.write(self.place(resource), robot.store.read(resource["digest"]), 0, 0, 0o644)

    def reads(self, resource: Resource) -> t.Sequence[str]:
        return resource["reads"]

    def unit(self, resource: Resource) -> str | None:
        return resource["name"]

    def runs(self, resource: Resource) -> bool:
        return resource["run"] != "none"

    def installs(self, resource: Resource) -> bool:
        return resource["run"] == "init"

    def restarts(self, resource: Resource) -> bool:
        return not resource["name"].endswith(NEVER_RESTARTED)

    def starts_the_others(self, resource: Resource) -> bool:
        return resource["name"].endswith(".target")

    def steady(self, resource: Resource) -> bool:
        return resource["run"] == "always"

    def ends(self, resource: Resource) -> bool:
        return resource["run"] == "once"

    def finished(self, resource: Resource) -> bool:
        done = resource.get("done")
        return self.ends(resource) and done is not None and os.path.exists(done)
