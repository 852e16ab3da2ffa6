# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Projects: a file system counts, and bounds, what all files of one number take up together.

Files have their project by an ioctl of linux/fs.h, and limits are set by quotactl(2); both are the same for ext4 and XFS.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import stat
import struct

from ...say.errors import CommandFailed
from ...system import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    class Usage(t.TypedDict):
        limit: int  # bytes; 0 for none
        used: int  # bytes
        files: int

    # The way to a directory from above: that of the directory that it is in, its name, and how deep it is. The first has no name.
    Way = t.Tuple[t.Optional["Way"], str, int]


# struct fsxattr: flags, two sizes, the project, another size, padding. What is made in a directory with INHERIT gets its project.
GET, SET = 0x801C581F, 0x401C5820
ATTRIBUTES = struct.Struct("=5I8x")
INHERIT = 0x200
# struct if_dqblk of linux/quota.h, its limits in blocks of 1 KiB. Commands have the kind of quota in their lowest byte: that of projects.
GET_QUOTA, SET_QUOTA = 0x80000702, 0x80000802
LIMITS = struct.Struct("=8QI4x")
SPACE_LIMITS = 1
BLOCK = 1024

# Directories deeper than this, which no program makes by mistake, are not marked: each costs the way to it.
DEEPEST = 256
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# What is no file must not hold us up, or take notice.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
# It went, or became something else, while we looked.
_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO)
# Somebody's mount, a file with a lease, or one that nobody may change. It is passed over: its owner could take a mark away again.
_CLOSED = (errno.EACCES, errno.EAGAIN, errno.EIO, errno.ENOTCONN, errno.EPERM, errno.ESTALE)
# A file system without projects.
_UNKNOWN = (errno.ENOTTY, errno.EOPNOTSUPP, errno.EINVAL)


def is_marked(directory: str, project: int) -> bool:
    """Whether a directory is of a project, and gives it to what is made there."""
    try:
        fd = _open(directory)
    except OSError as error:
        if error.errno in _GONE:
            return False
        raise
    try:
        flags, _extent, _extents, found, _copied = ATTRIBUTES.unpack(fcntl.ioctl(fd, GET, bytes(ATTRIBUTES.size)))
    except OSError as error:
        if error.errno in _UNKNOWN:
            return False
        raise
    finally:
        os.close(fd)
    return found == project and bool(flags & INHERIT)


def assign(directory: str, project: int, only: int | None = None) -> None:
    """Give a directory, and all that is below it on its file system, to a project; of project ``only`` alone, where that is given.

    Project 0 is none. Programs may be at work there: each directory is marked before it is listed, so what they make meanwhile is in
    the list or has inherited the mark, and the kernel moves nothing that lacks the mark into a directory that has it.
    """
    top = _open(directory)
    try:
        device = os.fstat(top).st_dev
        waiting: list[Way] = [(None, "", 0)]
        while waiting:
            way = waiting.pop()
            fd = _below(top, way)
            if fd is None:
                continue
            try:
                if os.fstat(fd).st_dev == device:
                    _mark(fd, project, only)
                    below = _mark_files(fd, project, only)
                    waiting += [(way, name, way[2] + 1) for name in below if way[2] < DEEPEST]
            finally:
                os.close(fd)
    finally:
        os.close(top)


def release(directory: str, project: int) -> None:
    """Take all that is below a directory out of a project, where it is there and of that."""
    try:
        assign(directory, 0, only=project)
    except OSError as error:
        if error.errno not in _GONE + _UNKNOWN:
            raise


def _open(directory: str) -> int:
    with files.Parent(directory) as (above, name):
        return os.open(name, _DIRECTORY, dir_fd=above)


def _below(top: int, way: Way) -> int | None:
    """A directory by the way to it; None where it is no longer there, or not open to us. No link is followed."""
    names: list[str] = []
    while way[0] is not None:
        names.append(way[1])
        way = way[0]
    fd = os.dup(top)
    for name in reversed(names):
        try:
            below = os.open(name, _DIRECTORY, dir_fd=fd)
        except OSError as error:
            if error.errno in _GONE + _CLOSED:
                return None
            raise
        finally:
            os.close(fd)
        fd = below
    return fd


def _mark_files(fd: int, project: int, only: int | None) -> list[str]:
    """Mark the files in a directory; the names of the directories in it. A link, FIFO or device takes up nothing, and has no ioctl."""
    below = []
    with os.scandir(fd) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                below.append(entry.name)
            elif entry.is_file(follow_symlinks=False):
                _mark_file(fd, entry.name, project, only)
    return below


def _mark_file(directory: int, name: str, project: int, only: int | None) -> None:
    try:
        fd = os.open(name, _FILE, dir_fd=directory)
    except OSError as error:
        if error.errno in _GONE + _CLOSED:
            return
        raise
    try:
        if stat.S_ISREG(os.fstat(fd).st_mode):
            _mark(fd, project, only)
    finally:
        os.close(fd)


def _mark(fd: int, project: int, only: int | None) -> None:
    flags, *sizes, found, copied = ATTRIBUTES.unpack(fcntl.ioctl(fd, GET, bytes(ATTRIBUTES.size)))
    if only is not None and found != only:
        return
    wanted = flags
    if stat.S_ISDIR(os.fstat(fd).st_mode):
        wanted = flags | INHERIT if project else flags & ~INHERIT
    if (wanted, project) != (flags, found):
        # Of what nobody may change, nothing more can be taken up.
        with contextlib.suppress(PermissionError):
            fcntl.ioctl(fd, SET, ATTRIBUTES.pack(wanted, *sizes, project, copied))


def usage(device: str, project: int) -> Usage:
    """What a project may, and does, take up on the file system of a device. Raises `CommandFailed` where that counts none."""
    buffer = ctypes.create_string_buffer(LIMITS.size)
    _quotactl(GET_QUOTA, device, project, buffer)
    hard, _soft, used, _hard_files, _soft_files, count, _grace, _grace_files, _valid = LIMITS.unpack(buffer.raw)
    return {"limit": hard * BLOCK, "used": used, "files": count}


def limit(device: str, project: int) -> int:
    """What a project may take up; 0 for no limit, and where quotas are off although the file system is mounted with them."""
    try:
        return usage(device, project)["limit"]
    except CommandFailed:
        return 0


def bound(device: str, project: int, size: int) -> None:
    """Let a project take up so many bytes, in full blocks; 0 for no limit."""
    blocks = (size + BLOCK - 1) // BLOCK
    _quotactl(SET_QUOTA, device, project, ctypes.create_string_buffer(LIMITS.pack(blocks, 0, 0, 0, 0, 0, 0, 0, SPACE_LIMITS), LIMITS.size))


def _quotactl(command: int, device: str, project: int, buffer: ctypes.Array[ctypes.c_char]) -> None:
    library = ctypes.CDLL("libc.so.6", use_errno=True)
    failed = library.quotactl(ctypes.c_uint(command), os.fsencode(device), ctypes.c_uint(project), buffer)
    # XFS has no entry for a project that never had anything.
    if failed and (command, ctypes.get_errno()) != (GET_QUOTA, errno.ENOENT):
        why = os.strerror(ctypes.get_errno())
        raise CommandFailed(f"the file system on {device} is mounted with prjquota, and its quotas cannot be read or set: {why}")
