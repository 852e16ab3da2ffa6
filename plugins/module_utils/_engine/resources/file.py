# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A complete file with owner, group and mode."""

from __future__ import annotations

import os
import time

from ..plan import CHECKS, REGISTERED, TASKS, UNIT_DIRECTORY
from ..system import files
from ..system.accounts import group_id, user_id
from ..system.observe import read
from . import shape
from .kind import Kind

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ..plan import Resource
    from ..state.robot import Robot
    from ..system.observe import State


# Seconds. A busy Envoy sees several files change at once, and takes them in one after another: what refers to new members comes after
# these are there, and members that another file does not refer to any more go after that. It does not say when it has taken a file in.
TAKEN_IN = 1.0


class File(Kind):
    KEYS = {"path": str, "content": str, "owner": str, "group": str, "mode": str, "secret": bool}

    def check(self, where: str, resource: Resource) -> t.Iterator[str]:
        yield from shape.path(f"{where}.path", resource["path"])
        yield from shape.owned(where, resource)
        if resource["path"].startswith(UNIT_DIRECTORY + "/") and resource["path"].count("/") == 4:
            yield f"{where}.path: a unit file is a resource of the kind unit"
        hidden = resource.get("hidden", [])
        if not isinstance(hidden, list) or not all(isinstance(name, str) for name in hidden):
            yield f"{where}.hidden: must be a list of strings"
        if not isinstance(resource.get("label", ""), str):
            yield f"{where}.label: must be a string"
        if not isinstance(resource.get("follows", ""), str):
            yield f"{where}.follows: must be a string"
        if not isinstance(resource.get("ours", False), bool):
            yield f"{where}.ours: must be true or false"
        knows = resource.get("knows", [])
        if not isinstance(knows, list) or not all(isinstance(address, str) for address in knows):
            yield f"{where}.knows: must be a list of strings"
        saw = resource.get("saw", {})
        if not isinstance(saw, dict) or not all(isinstance(word, str) for word in saw.values()):
            yield f"{where}.saw: must be strings by strings"

    def expected(self, resource: Resource) -> State:
        return {
            "type": "file",
            "owner": resource["owner"],
            "group": resource["group"],
            "mode": resource["mode"],
            "content": resource["digest"],
        }

    def fix(self, resource: Resource, robot: Robot) -> None:
        content, members = robot.store.read(resource["digest"]), resource.get("union")
        if members and os.path.isfile(resource["path"]) and _lacking(read(resource["path"]), content, members):
            time.sleep(TAKEN_IN)
        _put(resource, content)

    def missed_in(self, resource: Resource) -> t.Sequence[str]:
        """Of health checks, and of what Consul knows, the task's."""
        room, _slash, name = resource["path"].rpartition("/")
        task = {CHECKS: name, REGISTERED: name.rpartition("-")[0]}.get(room)
        return [f"{TASKS}/{task}"] if task else []

    def extends(self, resource: Resource, now: State | None) -> bool:
        """What refers to an old member, or already to a new one, must find it until all files are in place."""
        return bool(resource.get("union")) and now is not None and now["type"] == "file"

    def extend(self, resource: Resource, robot: Robot) -> None:
        members = resource.get("union")
        if members:
            before, after = read(resource["path"]), robot.store.read(resource["digest"])
            _put(resource, union(before, after, members))
            # A new cluster serves nobody before it has its certificate.
            if _lacking(after, before, members):
                time.sleep(TAKEN_IN)


def _put(resource: Resource, content: bytes) -> None:
    files.write(resource["path"], content, user_id(resource["owner"]), group_id(resource["group"]), int(resource["mode"], 8))


def union(before: bytes, after: bytes, members: str) -> bytes:
    """A JSON file's new content with those of its old members beside it whose name the new one has not got."""
    gone = _lacking(before, after, members)
    if not gone:
        return after
    import json

    new = json.loads(after.decode("utf-8"))
    new[members] += gone
    return json.dumps(new, sort_keys=True, indent=2).encode("utf-8")


def _lacking(content: bytes, other: bytes, members: str) -> list[t.Any]:
    """The members that the other content lacks; none of what is not ours."""
    import json

    try:
        names = {member["name"] for member in json.loads(other.decode("utf-8"))[members]}
        return [member for member in json.loads(content.decode("utf-8"))[members] if member["name"] not in names]
    except (ValueError, KeyError, TypeError):
        return []
