# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A symbolic link."""

from __future__ import annotations

from ..system import files
from . import shape
from .kind import Kind

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ..plan import Resource
    from ..state.robot import Robot
    from ..system.observe import State


class Link(Kind):
    KEYS = {"path": str, "target": str}

    def check(self, where: str, resource: Resource) -> t.Iterator[str]:
        yield from shape.path(f"{where}.path", resource["path"])
        if not resource["target"] or shape.has_control(resource["target"]):
            yield f"{where}.target: {resource['target']!r} is not a path"

    def expected(self, resource: Resource) -> State:
        return {"type": "link", "target": resource["target"]}

    def fix(self, resource: Resource, _robot: Robot) -> None:
        files.link(resource["path"], resource["target"])
