# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which projects of the file system are ours, and which directories are of each.

A file with the number of a project as its name lists the directories that are marked as a whole: each is written there after that.
"""

from __future__ import annotations

from ...say.errors import CommandFailed
from ...system import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ...state.robot import Robot

# Below the state directory: the number of each project that this robot ever had, a line each. Files that were moved elsewhere, and
# links, may be of one for good.
GIVEN = "projects"
# Where people name projects of their own: xfs_quota(8).
NAMED = ("/etc/projid", "/etc/projects")


def done(place: str) -> list[str] | None:
    """The directories that are marked as a whole; None where none has ever been."""
    try:
        with open(place, encoding="utf-8", errors="surrogateescape") as stream:
            return stream.read().splitlines()
    except FileNotFoundError:
        return None


def write(place: str, directories: t.Iterable[str]) -> None:
    files.write(place, "".join(f"{path}\n" for path in directories).encode(), 0, 0, 0o600)


def taken(where: str, number: int, count: int, robot: Robot) -> t.Iterator[str]:
    """Whether others on the robot have this project."""
    remedy = "give the group or task another name, or the others another project"
    named = [path for path in NAMED if _names(path, number)]
    if named:
        yield f"{where}: {named[0]} names project {number}, which this size would use; {remedy}"
    elif count and number not in _given(robot):
        yield f"{where}: {count} files that are not this job's have project {number}, which this size would use; {remedy}"


def claim(number: int, count: int, robot: Robot) -> None:
    """Write down that a project is ours, before any file is of it."""
    given = _given(robot)
    if number not in given:
        problems = list(taken("quota", number, count, robot))
        if problems:
            raise CommandFailed(problems[0])
        files.replace(f"{robot.state}/{GIVEN}", "".join(f"{each}\n" for each in [*given, number]).encode("ascii"))


def _given(robot: Robot) -> list[int]:
    try:
        with open(f"{robot.state}/{GIVEN}", encoding="ascii", errors="replace") as stream:
            return [int(line) for line in stream if line.strip().isdigit()]
    except FileNotFoundError:
        return []


def _names(path: str, number: int) -> bool:
    """projid(5) has `name:number` in its lines, and projects(5) `number:directory`."""
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return any(str(number) in line.strip().split(":") for line in stream)
    except FileNotFoundError:
        return False
