# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls of the kernel for which Python has no name, or had none in 3.8: tee(2), splice(2) and inotify(7).

tee copies what is in a pipe and leaves it there; splice moves it from a pipe into a file without passing through this process. So
nothing is ever in memory alone, and whoever kills the process at any moment loses no byte.
"""

from __future__ import annotations

import _ctypes
import fcntl
import os

NONBLOCK = 2  # SPLICE_F_NONBLOCK
# Of a directory: something in it was made, put in place, or removed; linux/inotify.h.
CHANGED = 0x00000008 | 0x00000040 | 0x00000080 | 0x00000100 | 0x00000200
# At most so many bytes are looked at, at once.
PEEK = 65536
SET_SIZE, GET_SIZE = 1031, 1032  # F_SETPIPE_SZ, F_GETPIPE_SZ
# What a FIFO of a task holds.
CAPACITY = 262144

# More than any pipe holds. Numbers are passed, and come back, as those of C: with 31 bits.
MOST = 2**30


class _Function(_ctypes.CFuncPtr):
    """One of the C library's. The package `ctypes` around this would take up a seventh of the program's memory."""

    _flags_ = _ctypes.FUNCFLAG_CDECL | _ctypes.FUNCFLAG_USE_ERRNO


_LIBC = _ctypes.dlopen("libc.so.6", 0)
_TEE = _Function(_ctypes.dlsym(_LIBC, "tee"))
_SPLICE = _Function(_ctypes.dlsym(_LIBC, "splice"))
_INOTIFY = _Function(_ctypes.dlsym(_LIBC, "inotify_init1"))
_WATCH = _Function(_ctypes.dlsym(_LIBC, "inotify_add_watch"))


def _checked(result: int) -> int:
    if result < 0:
        number = _ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def _enlarged(pipe: int) -> int:
    """The bytes that a pipe holds now. With the FIFOs of more than a hundred tasks, it stays small for a process that lacks the capability
    SYS_RESOURCE, as most in containers do; pipe-user-pages-soft in pipe(7).
    """
    try:
        return fcntl.fcntl(pipe, SET_SIZE, CAPACITY)
    except PermissionError:
        return fcntl.fcntl(pipe, GET_SIZE)


class Peephole:
    """Shows what is in a pipe and leaves it there."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        # A pipe is full when its places are, and tee(2) fills one for each of the other pipe's. Of so many bytes, there may be more.
        self.most = min(PEEK, _enlarged(self._writer))

    def look(self, pipe: int) -> bytes:
        """Up to `most` bytes; none where the pipe has ended. Raises `BlockingIOError` where it is empty."""
        count = _checked(_TEE(pipe, self._writer, PEEK, NONBLOCK))
        seen = b""
        while len(seen) < count:
            # Where a task has given its own end O_DIRECT, its writes are packets, here too, and one of them is read at a time.
            seen += os.read(self._reader, count - len(seen))
        return seen


def move(pipe: int, file: int, count: int) -> int:
    """Move at most so many bytes from a pipe to where the file's position is; 0 where the pipe has ended.

    Raises `BlockingIOError` where it is empty, and `OSError` where the file cannot be written; then the bytes are still in the pipe.
    """
    return _checked(_SPLICE(pipe, None, file, None, min(count, MOST), NONBLOCK))


def watch(*directories: str) -> int:
    """An inotify descriptor that has something to read when one of these directories changes."""
    descriptor = _checked(_INOTIFY(os.O_NONBLOCK | os.O_CLOEXEC))
    for directory in directories:
        _checked(_WATCH(descriptor, os.fsencode(directory), CHANGED))
    return descriptor
