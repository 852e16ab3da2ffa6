# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What nothing refers to any more: contents, unpacked artifacts, releases never switched to, old engines, results and requests."""

from __future__ import annotations

import os
import time

from ..system import files
from ..system.own import engine_home
from . import manifest as manifests
from .formats import Unread
from .journal import referred_to
from .ledger import known

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from .manifest import JobRequest
    from .robot import Robot

# Seconds.
STAGED = 3600
RESULTS = 86400


def collect(robot: Robot) -> None:
    """Remove it; called under the lock, after a commit and before a release is staged."""
    _releases(robot)
    _half_written(robot)
    _contents(robot)
    # The first engines left results on the disk.
    for directory, age in (
        (robot.runtime + "/results", RESULTS),
        (robot.state + "/results", RESULTS),
        (robot.runtime + "/requests", STAGED),
        (robot.state + "/unpacked", STAGED),
    ):
        for name in files.names(directory):
            if _older(f"{directory}/{name}", age):
                files.remove(f"{directory}/{name}")
    _engines(robot)


def supersede(robot: Robot, who: str, jobs: t.Iterable[JobRequest]) -> None:
    """Forget what the same person has had prepared of these jobs and not switched to, as where another robot has refused: there may be
    secrets in it, and nobody would ask for it any more.
    """
    now = {(job["namespace"], job["name"]) for job in jobs}
    begun = referred_to(robot.journal())
    for release in robot.releases():
        if release in begun:
            continue
        try:
            manifest = robot.manifest(release)
        except Unread:
            continue
        if manifest and manifest["who"] == who and {(job["namespace"], job["name"]) for job in manifest["jobs"]} <= now:
            robot.forget_manifest(release)


def staged(robot: Robot) -> list[str]:
    """The releases that may still be switched to, and those whose switch is under way."""
    begun = referred_to(robot.journal())
    return [release for release in robot.releases() if release in begun or _is_fresh(robot, release)]


def _is_fresh(robot: Robot, release: str) -> bool:
    path = robot.manifest_path(release)
    return not _older(path if os.path.exists(path) else path + files.COPY, STAGED)


def _releases(robot: Robot) -> None:
    """By their age alone: one that nobody will switch to goes, whether it can be read or not."""
    for release in set(robot.releases()) - set(staged(robot)):
        robot.forget_manifest(release)


def _half_written(robot: Robot) -> None:
    """What a killed run left beside the files that it was about to replace."""
    for directory in (robot.state + "/releases", robot.state + "/ledger"):
        for name in files.names(directory):
            if name.endswith(files.TEMPORARY) and _older(f"{directory}/{name}", STAGED):
                files.remove(f"{directory}/{name}")


def _contents(robot: Robot) -> None:
    """All of them stay while a file that may refer to them cannot be read."""
    records, unread = robot.ledger.read()
    if unread:
        return
    keep: set[str] = set()
    for record in records:
        for group in record["groups"].values():
            keep |= manifests.contents(known(group), group)
    for release in staged(robot):
        try:
            manifest = robot.manifest(release)
        except Unread:
            return
        for _job, wanted in manifests.groups(manifest) if manifest else ():
            keep |= manifests.contents(wanted["resources"], wanted)
    for digest in files.names(robot.state + "/store"):
        if digest not in keep:
            files.remove(f"{robot.state}/store/{digest}")


def _engines(robot: Robot) -> None:
    """All engines but this one, the one that the boot unit uses, and those so new that a run may be at it."""
    current = {os.path.realpath(engine_home()), os.path.realpath(robot.state + "/engine/current")}
    for name in files.names(robot.state + "/engine"):
        path = os.path.realpath(f"{robot.state}/engine/{name}")
        if name != "current" and path not in current and _older(path, STAGED):
            files.remove(path)


def _older(path: str, seconds: float) -> bool:
    try:
        return time.time() - os.lstat(path).st_mtime > seconds
    except FileNotFoundError:
        return False
