# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A directory with owner, group and mode; what programs put into it is theirs."""

from __future__ import annotations

from ..system import files
from ..system.accounts import group_id, user_id
from . import shape
from .kind import Kind

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ..plan import Resource
    from ..state.robot import Robot
    from ..system.observe import State


class Directory(Kind):
    KEYS = {"path": str, "owner": str, "group": str, "mode": str, "data": bool}

    def check(self, where: str, resource: Resource) -> t.Iterator[str]:
        yield from shape.path(f"{where}.path", resource["path"])
        yield from shape.owned(where, resource)

    def expected(self, resource: Resource) -> State:
        return {"type": "directory", "owner": resource["owner"], "group": resource["group"], "mode": resource["mode"]}

    def fix(self, resource: Resource, _robot: Robot) -> None:
        files.make_directory(resource["path"], user_id(resource["owner"]), group_id(resource["group"]), int(resource["mode"], 8))

    def outlives(self, resource: Resource, data: t.Sequence[str]) -> bool:
        """The directory itself, and those above it."""
        return any(path == resource["path"] or path.startswith(resource["path"] + "/") for path in data)
