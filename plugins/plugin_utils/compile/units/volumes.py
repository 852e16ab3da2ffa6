# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Places of the robot that no task may be given, and places of its own that nothing may be put over."""

from __future__ import annotations

import posixpath
import typing as t

from ....module_utils._engine import plan
from ...job.errors import Problem, quoted
from ...job.model.task import Volume
from .. import paths
from ..site import Site

# What is ours and SPIRE's: programs, configuration, identities, and other tasks' files.
_OURS = (plan.CONFIGURATION, plan.STATE, plan.RUNTIME, paths.PREFIX, *paths.SPIRE, paths.SPIRE_RUNTIME)
# What the kernel and systemd themselves mount for a task.
_MOUNTED = ("/proc", "/sys", "/dev", "/run", "/tmp", "/var/tmp")


def errors(site: Site, volumes: t.Sequence[Volume], path: str) -> t.Iterator[Problem]:
    """A volume that contains, or is part of, what is ours would open it to the task; one put over it would hide it from the task."""
    targets: dict[str, str] = {}
    for number, volume in enumerate(volumes):
        at = f"{path}[{number}]"
        for key, place in (("source", volume.source), ("target", volume.target)):
            why = _wrong(place) or (_mounted(place) if key == "target" else "")
            if why:
                yield site.problem(f"{at}.{key}", f"found {quoted(place)}: {why}", "name another place")
        first = targets.setdefault(volume.target, at)
        if first != at:
            yield site.problem(f"{at}.target", f"found {quoted(volume.target)}: {first} is there already", "name another place")


def _wrong(place: str) -> str:
    """Why no volume can have this place; empty if one can."""
    shortest = posixpath.normpath(place)
    if shortest != place:
        return f"not the shortest spelling, {quoted(shortest)}"
    ours = next((other for other in _OURS if _is_in(place, other) or _is_in(other, place)), "")
    return f"{ours} belongs to this collection or to SPIRE" if ours else ""


def _mounted(place: str) -> str:
    """Why nothing can be put at this place; empty if it can."""
    other = next((other for other in _MOUNTED if _is_in(place, other)), "")
    return f"{other} is one of the places that each task has already" if other else ""


def _is_in(place: str, other: str) -> bool:
    return place == other or place.startswith(other.rstrip("/") + "/")
