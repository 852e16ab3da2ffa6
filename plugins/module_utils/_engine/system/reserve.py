# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files put aside, so that the engine can still write when the disk is full: the job that fills it must be removable.

A file of the reserve is renamed to where something is to be written, and written over. Its blocks and its inode are never free in
between, so no program that fills the disk gets them first. There is a second reserve in /run, which a task may fill as well: its `secrets`
may be there.
"""

from __future__ import annotations

import os

from .. import plan

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

DIRECTORY = plan.STATE + "/reserve"
# {bytes: how many}. The many small ones are for their inodes: a new version of the engine has about as many files.
SIZES = {4096: 72, 65536: 24}
LARGEST = max(SIZES)
# How many there are for a ledger for which these are too small.
LARGE = 8
# For requests and results of a removal, and what systemd writes to start its unit. It is memory that nobody else has.
IN_MEMORY = plan.RUNTIME + "/reserve"
SIZES_IN_MEMORY = {4096: 24, 32768: 4}
# What systemd writes for a unit: bytes, and inodes.
UNIT, INODES = 16384, 4
# Files that are left for requests and results when room is made for a unit.
KEPT_BACK = 16


def fill(directory: str, sizes: t.Mapping[int, int] | None = None, ledger: int = 0) -> None:
    """Make what is missing of the reserve, as far as there is room. ``ledger``: the bytes of the largest file of the ledger, which may
    become twice as large.
    """
    sizes = dict(SIZES if sizes is None else sizes)
    if 2 * ledger > LARGEST:
        sizes[1 << (2 * ledger - 1).bit_length()] = LARGE
    wanted = {f"{size}-{number}": size for size, count in sizes.items() for number in range(count)}
    try:
        os.makedirs(directory, mode=0o700, exist_ok=True)
        # One that a killed run left without its bytes is not there.
        there = {entry.name: entry.stat().st_size for entry in os.scandir(directory)}
    except OSError:
        return
    for name, size in wanted.items():
        if there.get(name) != size and not _made(f"{directory}/{name}", size):
            return
    # Those for a ledger that was smaller, or larger.
    for name in there.keys() - wanted.keys():
        _forget(f"{directory}/{name}")


def _forget(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        # Another run has just taken it.
        return


def _made(path: str, size: int) -> bool:
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:
        return False
    try:
        os.posix_fallocate(fd, 0, size)
    except OSError:
        os.unlink(path)
        return False
    finally:
        os.close(fd)
    return True


def left(size: int = 0, directory: str = DIRECTORY, most: float = float("inf")) -> list[str]:
    """The names of the files of a reserve that take this many bytes, and not more than ``most``, the smallest first."""
    try:
        names = [name for name in os.listdir(directory) if name.partition("-")[0].isdigit()]
    except OSError:
        return []
    sizes = sorted((int(name.partition("-")[0]), name) for name in names)
    return [name for bytes_of, name in sizes if size <= bytes_of <= most]


def take(size: int, directory: int, name: str) -> bool:
    """Put a file of the reserve, which takes this many bytes, into an opened directory; False where there is none for it.

    It has the old content, which has to be written over, and cut off behind.
    """
    reserve = _beside(directory)
    for reserved in left(size, reserve)[:1]:
        try:
            os.rename(f"{reserve}/{reserved}", name, dst_dir_fd=directory)
        except OSError:
            return False
        return True
    return False


def give_up(beside: int | str) -> bool:
    """Free the room of one file, for what is not a file, in the file system of what is opened, or has this path; False where there is
    none.
    """
    reserve = _beside(beside)
    for reserved in left(0, reserve)[:1]:
        os.unlink(f"{reserve}/{reserved}")
        return True
    return False


def make_room(directory: str) -> bool:
    """Free what systemd needs to start a unit, where a file system in memory lacks it; whether anything was freed."""
    freed = False
    if _beside(directory) != IN_MEMORY:
        return False
    while is_short(directory) and len(left(0, IN_MEMORY)) > KEPT_BACK and give_up(directory):
        freed = True
    return freed


def is_short(directory: str) -> bool:
    """Whether systemd can start no unit for want of room in this file system."""
    found = os.statvfs(directory)
    # Some file systems count no inodes and report 0.
    return found.f_bfree * found.f_frsize < UNIT or (bool(found.f_files) and found.f_ffree < INODES)


def _beside(place: int | str) -> str:
    """The reserve in the file system of what is opened, or has this path; empty where there is none."""
    device = os.stat(place).st_dev
    for directory in (DIRECTORY, IN_MEMORY):
        try:
            if os.stat(directory).st_dev == device:
                return directory
        except OSError:
            continue
    return ""
