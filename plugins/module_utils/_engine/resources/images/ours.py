# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Our names for images, and what goes with the last of them."""

from __future__ import annotations

from ...plan import IMAGES
from ...state.formats import Damaged
from . import engines
from .names import PULLED, mark

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...plan import Resource
    from ...state.robot import Robot

# Seconds. What was pulled for a release may wait so long for its switch, and what a switch has replaced may have to come back.
KEPT = 86400


def identity(resource: Resource) -> str | None:
    """The id of the image that has its name, None where none has."""
    found: str | None = engines.of(resource).identity(resource["name"])
    return found


def id_of(resource: Resource, robot: Robot) -> str:
    """The id of the image that a release has by this name."""
    return robot.store.read(resource["digest"]).decode("ascii").strip()


def give(resource: Resource, image: str, robot: Robot) -> None:
    engines.of(resource).tag(image, resource["name"])
    _sweep(resource, robot)


def take(resource: Resource, robot: Robot) -> None:
    image = identity(resource)
    engines.of(resource).remove(resource["name"])
    _sweep(resource, robot, image)


def _sweep(resource: Resource, robot: Robot, now: str | None = None) -> None:
    """Remove what we pulled and has no name of a group any more, for a day or, of the image ``now``, at once. What a container uses
    stays, what has another name that somebody gave it, and what a last good release has: until another one is committed, it may have
    to come back, and its container may be down.
    """
    engine = engines.of(resource)
    needed = _needed(robot)
    if needed is None:
        return
    for image in engine.images():
        called: list[str] = image.get("RepoTags") or []
        marks = [name for name in called if name.startswith(f"{PULLED}:")]
        used = any(name.startswith(f"{IMAGES}/") and name not in marks for name in called)
        if not marks or used or image["Id"] in needed or not (image["Id"] == now or engine.age(image) > KEPT):
            continue
        pulled = [name for name in called if any(each.startswith(mark(name)) for each in marks)]
        others = set(called).difference(marks, pulled)
        for name in (*marks, *pulled, *(() if others else image.get("RepoDigests") or ())):
            engine.remove(name)


def _needed(robot: Robot) -> set[str] | None:
    """The images of the last good releases; None where not all of them are known."""
    records, unread = robot.ledger.read()
    if unread:
        return None
    found = set()
    for record in records:
        for group in record["groups"].values():
            for resource in group["resources"]:
                if resource["kind"] == "image":
                    try:
                        found.add(id_of(resource, robot))
                    except (OSError, Damaged):
                        return None
    return found
