# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Places of the robot that no task may be given, and places of its own that nothing may be put over."""

from __future__ import annotations

import posixpath
import typing as t

from ....module_utils._engine import plan
from ...job.errors import Problem, quoted
from ...job.model.brings.volumes import Volume
from .. import paths
from ..site.site import Site

# What is ours and SPIRE's: programs, configuration, identities, and other tasks' files.
_OURS = (plan.CONFIGURATION, plan.STATE, plan.RUNTIME, paths.PREFIX, *paths.SPIRE, paths.SPIRE_RUNTIME)
# What the kernel and systemd themselves mount, for a task or for the robot.
_MOUNTED = ("/proc", "/sys", "/dev", "/run", "/var/run", "/tmp", "/var/tmp")
# Programs and files that root uses where the task's mounts are.
_SYSTEM = ("/bin", "/boot", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/root", "/sbin", "/usr", "/var/lib/dpkg")


def errors(site: Site, volumes: t.Sequence[Volume], path: str, container: bool = False) -> t.Iterator[Problem]:
    """A volume that contains, or is part of, what is ours would open it to the task; one put over the system's files, or into another
    volume, would have root use what the task put there. What is at its own place, and cannot be changed, is nothing new to root: under
    files: chroot, a task may need more of /etc. In a `container`, whose files are the image's, no target matters to the robot. And whoever
    may write to a volume can put a link in the place of one within it, which root would follow at the next start.
    """
    writable = [other.source for other in _of_group(site) if not other.read_only] if volumes else []
    for number, volume in enumerate(volumes):
        others = [other for other in volumes if other is not volume]
        system = () if volume.read_only and volume.source == volume.target else _SYSTEM
        for key, place, beside, kept in (
            ("source", volume.source, [other.source for other in others], ()),
            ("target", volume.target, [other.target for other in others], system),
        ):
            if container and key == "target":
                continue
            why = _wrong(place)
            if not why and (over := _below(place, kept)):
                why = f"{over} is the system's own"
            if not why and (other := _below(place, beside)):
                why = f"the volume {other} is not apart from it"
            if why:
                yield site.problem(f"{path}[{number}].{key}", f"found {quoted(place)}: {why}", "name another place")
            elif key == "source" and (outer := _below(posixpath.dirname(place), writable)):
                found = f"found {quoted(place)}: tasks of this group may write to {outer}, and could put a link in its place"
                yield site.problem(f"{path}[{number}].{key}", found, f"give all of {outer} to this task, too, or make that volume readOnly")


def _of_group(site: Site) -> t.Iterator[Volume]:
    for spec in (*site.group.init_tasks, *site.group.tasks):
        config = spec.config.docker_config
        yield from (*spec.volumes, *(config.volumes if config else ()))


def _wrong(place: str) -> str:
    """Why no volume can have this place; empty if one can."""
    shortest = posixpath.normpath(place)
    if shortest != place or place.startswith("//"):
        return f"not the shortest spelling, {quoted('/' + shortest.lstrip('/'))}"
    ours = _below(place, _OURS) or next((other for other in _OURS if _is_in(other, place)), "")
    if ours:
        return f"{ours} belongs to this collection or to SPIRE"
    mounted = _below(place, _MOUNTED)
    return f"what is in {mounted} comes and goes, and each task has its own" if mounted else ""


def _below(place: str, others: t.Iterable[str]) -> str:
    return next((other for other in others if _is_in(place, other)), "")


def _is_in(inner: str, outer: str) -> bool:
    return inner == outer or inner.startswith(outer.rstrip("/") + "/")
