# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files put aside, so that the engine can still write when the disk is full: the job that fills it must be removable.

A file of the reserve is renamed to where something is to be written, and written over. Its blocks and its inode are never free in
between, so no program that fills the disk gets them first.
"""

from __future__ import annotations

import os

from .. import plan

DIRECTORY = plan.STATE + "/reserve"
# {bytes: how many}. The many small ones are for their inodes: a new version of the engine has about as many files.
SIZES = {4096: 72, 65536: 24}


def fill(directory: str) -> None:
    """Make what is missing of the reserve, as far as there is room."""
    try:
        os.makedirs(directory, mode=0o700, exist_ok=True)
        # One that a killed run left without its bytes is not there.
        there = {entry.name for entry in os.scandir(directory) if entry.name.partition("-")[0] == str(entry.stat().st_size)}
    except OSError:
        return
    for size, count in SIZES.items():
        for number in range(count):
            name = f"{size}-{number}"
            if name not in there and not _made(f"{directory}/{name}", size):
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


def left(size: int = 0) -> list[str]:
    """The names of the files of the reserve that take this many bytes, the smallest first."""
    try:
        names = [name for name in os.listdir(DIRECTORY) if name.partition("-")[0].isdigit()]
    except OSError:
        return []
    sizes = sorted((int(name.partition("-")[0]), name) for name in names)
    return [name for bytes_of, name in sizes if bytes_of >= size]


def take(size: int, directory: int, name: str) -> bool:
    """Put a file of the reserve, which takes this many bytes, into an opened directory; False where there is none for it.

    It has the old content, which has to be written over, and cut off behind.
    """
    for reserved in left(size)[:1]:
        try:
            os.rename(f"{DIRECTORY}/{reserved}", name, dst_dir_fd=directory)
        except OSError:
            # Most likely another file system.
            return False
        return True
    return False


def give_up() -> bool:
    """Free the room of one file, for what is not a file; False where there is none."""
    for reserved in left()[:1]:
        os.unlink(f"{DIRECTORY}/{reserved}")
        return True
    return False
