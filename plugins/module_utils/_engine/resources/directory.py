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
    from ..system.observe import Observer, State


class Directory(Kind):
    KEYS = {"path": str, "owner": str, "group": str, "mode": str, "data": bool}

    def check(self, where: str, resource: Resource) -> t.Iterator[str]:
        yield from shape.path(f"{where}.path", resource["path"])
        yield from shape.owned(where, resource)
        for number, path in enumerate(resource.get("shared", ())):
            yield from shape.path(f"{where}.shared[{number}]", path)

    def expected(self, resource: Resource) -> State:
        return {"type": "directory", "owner": resource["owner"], "group": resource["group"], "mode": resource["mode"]}

    def actual(self, resource: Resource, observer: Observer) -> State | None:
        """A volatile one that is absent is as it should be."""
        found = super().actual(resource, observer)
        return self.expected(resource) if found is None and resource.get("volatile") else found

    def fix(self, resource: Resource, _robot: Robot) -> None:
        path, owner = resource["path"], user_id(resource["owner"])
        users = {user_id(name) for name in resource.get("users", ())}
        before = files.owner(path)
        if users and before is not None and before != owner:
            # Another task's files are no less the old owner's. The directory itself is the last: until then, all is done again.
            for place in () if before in users else resource["shared"]:
                files.hand_over(place, before, owner, itself=False)
            files.hand_over(path, before, owner)
        files.make_directory(path, owner, group_id(resource["group"]), int(resource["mode"], 8))

    def remove(self, resource: Resource, robot: Robot) -> None:
        if resource.get("volatile"):
            files.unmount(resource["path"])
        super().remove(resource, robot)

    def changes_hands(self, resource: Resource, now: State | None) -> bool:
        return bool(resource.get("users")) and now is not None and now.get("owner") != resource["owner"]

    def outlives(self, resource: Resource, data: t.Sequence[str]) -> bool:
        """The directory itself, and those above it."""
        return any(path == resource["path"] or path.startswith(resource["path"] + "/") for path in data)
