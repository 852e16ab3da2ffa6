# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Our names for images are given and taken, and images that we pulled stay as long as they may be needed."""

from __future__ import annotations

import contextlib

from ...plan import IMAGES
from ...state import garbage
from ...state import manifest as manifests
from ...state.formats import Unread
from ...state.journal import all_of
from . import engines, ours
from .failures import Refused, Unavailable
from .names import PODS, PULLED, mark

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ...plan import Resource
    from ...state.robot import Robot

# Seconds. What was pulled for a release may wait so long for its switch, and what a switch has replaced may have to come back.
KEPT = 86400
# Phases of a group whose new release nobody needs any more.
BACK = ("back", "rolled-back", "stuck")


class Needed:
    """What stays on a robot. ``committed``: images of the last good releases. ``ids``: theirs, and those of releases that may be switched
    to: there may be no container that uses them. ``names``: ours that are in use, or wait for their own removal.
    """

    def __init__(self, committed: t.Sequence[Resource], ids: set[str], names: set[str]) -> None:
        self.committed = committed
        self.ids = ids
        self.names = names

    def has_group_of(self, name: str) -> bool:
        """Whether the group of this name of ours has an image."""
        group = name.rpartition(":")[0]
        return any(resource["name"].rpartition(":")[0] == group for resource in self.committed)


def give(resource: Resource, image: str, robot: Robot) -> None:
    engine = engines.of(resource)
    before = ours.identity(resource)
    engine.tag(image, resource["name"])
    # The name is what a release needs: that others cannot be tidied up now is no reason to go back.
    with contextlib.suppress(Unavailable, Refused):
        if before not in (None, image):
            _count_from_now(engine, before)
        _sweep(engine, needed(robot))


def take(resource: Resource, robot: Robot) -> None:
    engine = engines.of(resource)
    stays = needed(robot)
    image = ours.identity(resource)
    goes = stays is not None and not stays.has_group_of(resource["name"])
    if not goes:
        # Before it has no name of a group any more: then any run could remove it.
        _count_from_now(engine, image)
    engine.remove(resource["name"])
    _sweep(engine, stays, image if goes else None)


def needed(robot: Robot) -> Needed | None:
    """What stays; None where not all of it is known."""
    records, unread = robot.ledger.read()
    if unread:
        return None
    groups = [group for record in records for group in record["groups"].values()]
    committed = _images(resource for group in groups for resource in group["resources"])
    going = _images(resource for group in groups for resource in group["leftovers"])
    try:
        staged = _images(_staged(robot))
        ids = {ours.id_of(resource, robot) for resource in (*committed, *staged)}
    except (OSError, Unread):
        return None
    return Needed(committed, ids, {resource["name"] for resource in (*committed, *going, *staged)})


def _staged(robot: Robot) -> t.Iterator[Resource]:
    """What the releases have that may be switched to, without their groups that go back."""
    back = {(each["release"], id) for each in all_of(robot.journal()) for id, entry in each["groups"].items() if entry["phase"] in BACK}
    for release in garbage.staged(robot):
        manifest = robot.manifest(release)
        for _job, group in manifests.groups(manifest) if manifest else ():
            if (release, group["id"]) not in back:
                yield from group["resources"]


def _images(resources: t.Iterable[Resource]) -> list[Resource]:
    return [resource for resource in resources if resource["kind"] == "image"]


def _count_from_now(engine: t.Any, image: str | None) -> None:
    """The day for which it is kept begins now."""
    names = [name for each in engine.images() if each["Id"] == image for name in each.get("RepoTags") or ()]
    for name in names:
        if name.startswith(f"{PULLED}:"):
            engine.mark_again(image, name)


def _sweep(engine: t.Any, stays: Needed | None, now: str | None = None) -> None:
    """Remove what we pulled and no group has any more, for a day or, of the image ``now``, at once. What a container uses stays, what has
    another name that somebody gave it, and what a release needs: until another one is committed, it may have to come back, and its
    container may be down. A name of ours that could not be taken when its group gave it up goes, too.
    """
    if stays is None:
        return
    for image in engine.images():
        called: list[str] = image.get("RepoTags") or []
        marks = [name for name in called if name.startswith(f"{PULLED}:")]
        names = [name for name in called if name.startswith(f"{IMAGES}/") and not name.startswith((f"{PULLED}:", f"{PODS}:"))]
        if not (marks or names) or not stays.names.isdisjoint(names) or image["Id"] in stays.ids:
            continue
        if marks and image["Id"] != now and engine.age(image) <= KEPT:
            continue
        pulled = [name for name in called if any(each.startswith(mark(name)) for each in marks)]
        others = set(called).difference(marks, names, pulled)
        for name in (*names, *marks, *pulled, *(image.get("RepoDigests") or () if marks and not others else ())):
            engine.remove(name)
