# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Our names for images, and what goes with the last of them."""

from __future__ import annotations

from ...plan import IMAGES
from . import engines
from .names import PULLED, mark

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...plan import Resource

# Seconds. What was pulled for a release may wait so long for its switch, and what a switch has replaced may have to come back.
KEPT = 86400


def identity(resource: Resource) -> str | None:
    """The id of the image that has its name, None where none has."""
    found: str | None = engines.of(resource).identity(resource["name"])
    return found


def give(resource: Resource, image: str) -> None:
    engines.of(resource).tag(image, resource["name"])
    _sweep(resource)


def take(resource: Resource) -> None:
    image = identity(resource)
    engines.of(resource).remove(resource["name"])
    _sweep(resource, image)


def _sweep(resource: Resource, now: str | None = None) -> None:
    """Remove what we pulled and has no name of a group any more, for a day or, of the image ``now``, at once. What a container uses
    stays, and what has another name that somebody gave it.
    """
    engine = engines.of(resource)
    for image in engine.images():
        called: list[str] = image.get("RepoTags") or []
        marks = [name for name in called if name.startswith(f"{PULLED}:")]
        used = any(name.startswith(f"{IMAGES}/") and name not in marks for name in called)
        if not marks or used or not (image["Id"] == now or engine.age(image) > KEPT):
            continue
        pulled = [name for name in called if any(each.startswith(mark(name)) for each in marks)]
        others = set(called).difference(marks, pulled)
        for name in (*marks, *pulled, *(() if others else image.get("RepoDigests") or ())):
            engine.remove(name)
