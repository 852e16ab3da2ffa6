# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls of the kernel for which Python has no name, or had none in 3.8: tee(2), splice(2) and inotify(7).

tee copies what is in a pipe and leaves it there; splice moves it from a pipe into a file without passing through this process. So
nothing is ever in memory alone, and whoever kills the process at any moment loses no byte.
"""

from __future__ import annotations

import ctypes
import fcntl
import os

NONBLOCK = 2  # SPLICE_F_NONBLOCK
# Of a directory: something in it was made, put in place, or removed; linux/inotify.h.
CHANGED = 0x00000008 | 0x00000040 | 0x00000080 | 0x00000100 | 0x00000200
# At most so many bytes are looked at, at once.
PEEK = 65536
SET_SIZE = 1031  # F_SETPIPE_SZ
# What a FIFO of a task holds.
CAPACITY = 262144

_LIBC = ctypes.CDLL(None, use_errno=True)
_PLACE = ctypes.c_void_p
_LIBC.tee.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_size_t, ctypes.c_uint)
_LIBC.tee.restype = ctypes.c_ssize_t
_LIBC.splice.argtypes = (ctypes.c_int, _PLACE, ctypes.c_int, _PLACE, ctypes.c_size_t, ctypes.c_uint)
_LIBC.splice.restype = ctypes.c_ssize_t
_LIBC.inotify_add_watch.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_uint32)


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


class Peephole:
    """Shows what is in a pipe and leaves it there."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        # A pipe is full when its places are, and tee(2) fills one for each of the other pipe's.
        fcntl.fcntl(self._writer, SET_SIZE, CAPACITY)

    def look(self, pipe: int) -> bytes:
        """Up to `PEEK` bytes; none where the pipe has ended. Raises `BlockingIOError` where it is empty."""
        count = _checked(_LIBC.tee(pipe, self._writer, PEEK, NONBLOCK))
        return os.read(self._reader, count) if count else b""


def move(pipe: int, file: int, count: int) -> int:
    """Move at most so many bytes from a pipe to where the file's position is; 0 where the pipe has ended.

    Raises `BlockingIOError` where it is empty, and `OSError` where the file cannot be written; then the bytes are still in the pipe.
    """
    return _checked(_LIBC.splice(pipe, None, file, None, count, NONBLOCK))


def watch(*directories: str) -> int:
    """An inotify descriptor that has something to read when one of these directories changes."""
    descriptor = _checked(_LIBC.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
    for directory in directories:
        _checked(_LIBC.inotify_add_watch(descriptor, os.fsencode(directory), CHANGED))
    return descriptor
