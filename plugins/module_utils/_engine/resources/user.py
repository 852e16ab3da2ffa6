# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A system user of its own primary group, declared for systemd-sysusers so that the declaration outlives us."""

from __future__ import annotations

from ..system import command, files
from ..system.accounts import user_exists
from . import shape
from .kind import Kind

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ..plan import Resource
    from ..state.robot import Robot
    from ..system.observe import Observer, State

NAME = r"k8s4r-[a-z0-9_-]{1,25}"
DIRECTORY = "/etc/sysusers.d"


class User(Kind):
    KEYS = {"name": str, "description": str}

    def check(self, where: str, resource: Resource) -> t.Iterator[str]:
        if not shape.matches(NAME, resource["name"]):
            yield f"{where}.name: {resource['name']!r} is not an allowed user name"
        if shape.has_control(resource["description"]) or ":" in resource["description"]:
            yield f"{where}.description: must not contain control characters or colons"

    def place(self, resource: Resource) -> str:
        return f"{DIRECTORY}/{resource['name']}.conf"

    def expected(self, resource: Resource) -> State:
        return {"type": "user", "declaration": declaration(resource), "exists": True}

    def actual(self, resource: Resource, _observer: Observer) -> State | None:
        try:
            with open(self.place(resource), encoding="utf-8", errors="replace") as stream:
                declared: str | None = stream.read()
        except FileNotFoundError:
            declared = None
        exists = user_exists(resource["name"])
        if declared is None and not exists:
            return None
        return {"type": "user", "declaration": declared, "exists": exists}

    def fix(self, resource: Resource, _robot: Robot) -> None:
        files.write(self.place(resource), declaration(resource).encode("utf-8"), 0, 0, 0o644)
        command.need(["systemd-sysusers", self.place(resource)], timeout=60)

    def remove(self, resource: Resource) -> None:
        if user_exists(resource["name"]):
            command.need(["userdel", resource["name"]], timeout=60)
        files.remove(self.place(resource))

    def outlives(self, _resource: Resource, data: t.Sequence[str]) -> bool:
        """Without its user, data would belong to a number, which the next new user gets."""
        return bool(data)

    def user(self, resource: Resource) -> str | None:
        return resource["name"]


def declaration(resource: Resource) -> str:
    """The sysusers.d(5) file: a user without home and shell."""
    description = resource["description"].replace("\\", "\\\\").replace('"', '\\"')
    return f'u {resource["name"]} - "{description}" - -\n'
