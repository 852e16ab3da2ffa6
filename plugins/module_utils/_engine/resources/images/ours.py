# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Our names for images, and what goes with the last of them."""

from __future__ import annotations

import calendar
import time

from ...plan import IMAGES
from . import docker
from .obtain import PULLED, mark, quoted

# Seconds. What was pulled for a release may wait so long for its switch, and what a switch has replaced may have to come back.
KEPT = 86400


def identity(name: str) -> str | None:
    """The id of the image that has the name, None where none has."""
    found = docker.get(f"/images/{quoted(name)}/json")
    return found["Id"] if found else None


def give(name: str, image: str) -> None:
    repository, _colon, tag = name.rpartition(":")
    docker.post(f"/images/{quoted(image)}/tag?repo={quoted(repository)}&tag={tag}")
    sweep()


def take(name: str) -> None:
    image = identity(name)
    docker.delete(f"/images/{quoted(name)}")
    sweep(image)


def sweep(now: str | None = None) -> None:
    """Remove what we pulled and has no name of a group any more, for a day or, of the image ``now``, at once. Docker keeps what a
    container uses, and what has another name that somebody gave it.
    """
    for image in docker.get("/images/json") or ():
        names: list[str] = image.get("RepoTags") or []
        marks = [name for name in names if name.startswith(f"{PULLED}:")]
        used = any(name.startswith(f"{IMAGES}/") and name not in marks for name in names)
        if not marks or used or not (image["Id"] == now or _age(image["Id"]) > KEPT):
            continue
        pulled = [name for name in names if any(each.startswith(mark(name)) for each in marks)]
        others = set(names).difference(marks, pulled)
        for name in (*marks, *pulled, *(() if others else image.get("RepoDigests") or ())):
            docker.delete(f"/images/{quoted(name)}")


def _age(image: str) -> float:
    """For how long it has had the names that it has."""
    found = docker.get(f"/images/{quoted(image)}/json") or {}
    moment = found.get("Metadata", {}).get("LastTagTime", "")[:19]
    return time.time() - calendar.timegm(time.strptime(moment, "%Y-%m-%dT%H:%M:%S")) if moment else 0.0
