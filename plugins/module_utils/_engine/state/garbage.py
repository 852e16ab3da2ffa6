# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What nothing refers to any more: contents, releases that were never switched to, old engines, results and requests."""

from __future__ import annotations

import os
import time

from ..system import files
from ..system.own import engine_home
from . import manifest as manifests
from .ledger import known

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .robot import Robot

# Seconds.
STAGED = 3600
RESULTS = 86400


def collect(robot: Robot) -> None:
    """Remove it; called under the lock, after a commit and before a release is staged."""
    journal = robot.journal()
    keep: set[str] = set()
    for record in robot.ledger.jobs():
        for group in record["groups"].values():
            keep |= manifests.contents(known(group), group)
    for release in robot.releases():
        path = robot.manifest_path(release)
        manifest = robot.manifest(release)
        if _older(path, STAGED) and not (journal and journal["release"] == release):
            files.remove(path)
        elif manifest:
            for _job, wanted in manifests.groups(manifest):
                keep |= manifests.contents(wanted["resources"], wanted)
    for digest in _names(robot.state + "/store"):
        if digest not in keep:
            files.remove(f"{robot.state}/store/{digest}")
    for directory, age in ((robot.state + "/results", RESULTS), (robot.runtime + "/requests", STAGED)):
        for name in _names(directory):
            if _older(f"{directory}/{name}", age):
                files.remove(f"{directory}/{name}")
    _engines(robot)


def _engines(robot: Robot) -> None:
    """All engines but this one, the one that the boot unit uses, and those so new that a run may be at it."""
    current = {os.path.realpath(engine_home()), os.path.realpath(robot.state + "/engine/current")}
    for name in _names(robot.state + "/engine"):
        path = os.path.realpath(f"{robot.state}/engine/{name}")
        if name != "current" and path not in current and _older(path, STAGED):
            files.remove(path)


def _names(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except FileNotFoundError:
        return []


def _older(path: str, seconds: float) -> bool:
    try:
        return time.time() - os.lstat(path).st_mtime > seconds
    except FileNotFoundError:
        return False
