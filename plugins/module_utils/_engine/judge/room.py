# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether what a release writes can be written: file systems that are full, have no inodes left, or are read-only.

A release that makes no new place for data needs no room beyond what it writes, and of that the reserve (system/reserve.py) takes its
share: what fills a disk is removed, or mended, by a release.
"""

from __future__ import annotations

import os

from ..plan import RUNTIME, TASKS
from ..resources import kinds
from ..say import disk
from ..say.errors import CommandFailed
from ..state.ledger import known
from ..system import command, files, reserve

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ..plan import Resource
    from ..state.robot import Robot
    from ..system.observe import State

    # Of a step (change/steps) that makes or removes something: its verb, its resource, and what is there before it.
    Change = t.Tuple[str, Resource, t.Optional[State]]
    Written = t.Tuple[str, int, bool]  # a directory, the bytes of a file that is written there, and whether it is a new place for data


# What new tasks are granted beyond their files.
MARGIN = 16 * 1024 * 1024
SPARE_INODES = 64
# Files of the reserve that a release leaves for the ledger and the journal.
KEPT_BACK = 12
# What a file takes beyond its bytes.
BLOCK = 4096
# In systemd's words, that it has no room.
_FULL = ("No space left on device", "not enough space available")


def errors(robot: Robot, contents: t.Mapping[str, bytes], changes: t.Sequence[Change]) -> list[str]:
    """Why a release cannot be written. ``contents``: all of the release, by digest. ``changes``: what it makes and removes."""
    places = [(_existing(os.path.dirname(kinds.place(resource))), verb, resource, now) for verb, resource, now in changes]
    found = _read_only({directory for directory, *_change in places})
    if found:
        return found
    store = _existing(robot.store.directory)
    by_device: dict[int, list[Written]] = {}

    def writes(directory: str, size: int, new: bool = False) -> None:
        by_device.setdefault(os.stat(directory).st_dev, []).append((directory, size, new))

    for digest, content in contents.items():
        if not robot.store.has(digest, content):
            writes(store, len(content))
    for directory, verb, resource, now in places:
        if verb == "make":
            size = len(contents.get(resource.get("digest", ""), b""))
            writes(directory, size, new=now is None and bool(resource.get("data")))
    return [text for written in by_device.values() for text in _lacking(robot, written)]


def _read_only(directories: t.Iterable[str]) -> list[str]:
    found: dict[str, str] = {}
    for directory in sorted(directories):
        if os.statvfs(directory).f_flag & os.ST_RDONLY:
            point = disk.mount_point(directory)
            found.setdefault(point, f"read-only: {directory} cannot be changed, for the file system at {point} is mounted read-only")
    return list(found.values())


def _lacking(robot: Robot, written: t.Sequence[Written]) -> list[str]:
    directory, grows = written[0][0], any(new for _directory, _size, new in written)
    found = os.statvfs(directory)
    size, count = sum(size + BLOCK for _directory, size, _new in written), len(written)
    free, inodes = (found.f_bavail * found.f_frsize, found.f_favail) if grows else (found.f_bfree * found.f_frsize, found.f_ffree)
    margin, spare = (MARGIN, SPARE_INODES) if grows else (0, 0)
    # Some file systems count no inodes and report 0.
    short = [free < size + margin, bool(found.f_files) and inodes < count + spare]
    if not any(short) or (not grows and _reserved(written)):
        return []
    point = disk.mount_point(directory)
    if short[0]:
        needed = f"{disk.size(size)} are needed" + (f", and {disk.size(margin)} beyond that for new tasks" if margin else "")
        what = f"{disk.size(free)} free of {disk.size(found.f_blocks * found.f_frsize)}; {needed}"
    else:
        what = f"{inodes} inodes left of {found.f_files}; {count + spare} are needed"
    return [f"disk full: the file system at {point} has {what}{who_fills(robot, directory, inodes=not short[0])}"]


def _reserved(written: t.Sequence[Written]) -> bool:
    """Whether the reserve takes these files."""
    left = reserve.left(most=reserve.LARGEST)
    same = bool(left) and os.stat(reserve.DIRECTORY).st_dev == os.stat(written[0][0]).st_dev
    return same and len(left) - KEPT_BACK >= len(written) and max(size for _directory, size, _new in written) <= reserve.LARGEST


def explained(robot: Robot, error: Exception) -> list[str]:
    """Who fills the disk, where it is a full disk that an error is about."""
    full = _full(robot, error)
    try:
        return [_filled(robot, _existing(full))] if full else []
    except OSError:
        # The error itself is what has to be told.
        return []


def _filled(robot: Robot, directory: str) -> str:
    found = os.statvfs(directory)
    shown = f"{disk.size(found.f_bfree * found.f_frsize)} and {found.f_ffree} inodes are free"
    return f"the file system at {disk.mount_point(directory)}: {shown}{who_fills(robot, directory, inodes=not found.f_ffree)}"


def _full(robot: Robot, error: Exception) -> str:
    """The directory in which there was no room; empty where an error is about something else."""
    if isinstance(error, CommandFailed):
        # systemd keeps what it makes in /run, and reloads nothing where that has less than 16 MiB.
        return robot.runtime if any(words in str(error) for words in _FULL) else ""
    if isinstance(error, OSError) and error.errno in files.NO_SPACE and str(error.filename).startswith("/"):
        return os.path.dirname(str(error.filename))
    return ""


def who_fills(robot: Robot, directory: str, inodes: bool = False) -> str:
    """Whose data is on the file system of a directory, the largest first, as the end of a sentence; empty where it is nobody's."""
    device = os.stat(directory).st_dev
    owners = {}
    for record in robot.ledger.read()[0]:
        for group in record["groups"].values():
            for resource in known(group):
                if resource.get("data"):
                    owners.update({path: group["name"] for path in _places(resource["path"]) if _on(device, path)})
    if not owners:
        return ""
    sums: dict[str, int] = {}
    argv = ["du", "--summarize", "--one-file-system", "--inodes" if inodes else "--block-size=1", "--", *owners]
    for line in command.run(argv, errors=False, timeout=20)[1].splitlines():
        count, _tab, path = line.partition("\t")
        if path in owners:
            sums[owners[path]] = sums.get(owners[path], 0) + int(count)
    shown = [f"{name} {count if inodes else disk.size(count)}" for name, count in sorted(sums.items(), key=lambda pair: -pair[1])]
    return f"; data of task groups there: {', '.join(shown)}" if shown else ""


def _places(path: str) -> list[str]:
    """Where the data is of which the ledger has a directory: of a task, also what it finds in its `secrets`, which may be in /run."""
    task = path[len(TASKS) + 1 :] if path.startswith(f"{TASKS}/") else ""
    return [path, f"{RUNTIME}/secrets/{task}"] if task and "/" not in task else [path]


def _on(device: int, path: str) -> bool:
    try:
        return os.lstat(path).st_dev == device
    except OSError:
        return False


def _existing(directory: str) -> str:
    while not os.path.isdir(directory):
        directory = os.path.dirname(directory)
    return directory
