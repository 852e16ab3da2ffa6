# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The last lines of a task's log files, those that it has written since it was started."""

from __future__ import annotations

import contextlib
import os
import stat
import time

from .. import plan
from ..say import texts
from ..system import files

# At most so many bytes of a file are looked at.
MOST = 65536
# Seconds that a line may take from the program into the file.
PATIENCE, INTERVAL = 2.0, 0.02


class LastWords:
    """What log files said before does not count: files have no times in them."""

    def __init__(self) -> None:
        self._before: dict[str, tuple[int, int]] = {}

    def from_here_on(self, directory: str) -> None:
        """Only what is written into the files of this directory from now on counts."""
        for stream in plan.STREAMS:
            with _File(f"{directory}/{stream}.log") as file:
                self._before[file.path] = (file.inode, file.size)

    def of(self, directory: str, lines: int = 10) -> list[str]:
        """The last lines of both files, without empty ones."""
        _settle(directory)
        found: list[str] = []
        # The errors last, where they are seen first.
        for stream in reversed(plan.STREAMS):
            found = texts.once(self._lines(f"{directory}/{stream}.log"))[-lines:] + found
            lines -= len(found)
            if lines <= 0:
                break
        return found

    def _lines(self, path: str) -> list[str]:
        inode, size = self._before.get(path, (0, 0))
        with _File(path) as file:
            if file.inode == inode:
                return file.lines(size)
            found = file.lines(0)
        with _File(f"{path}.1") as older:
            return (older.lines(size) if older.inode == inode else []) + found


class _File:
    """A log file, or none; no link is followed on the way to it (a context manager)."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.inode = self.size = 0

    def __enter__(self) -> _File:
        self._fd = -1
        try:
            with files.Parent(self.path) as (directory, name):
                self._fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory)
        except OSError:
            return self
        state = os.fstat(self._fd)
        if stat.S_ISREG(state.st_mode):
            self.inode, self.size = state.st_ino, state.st_size
        return self

    def __exit__(self, *_error: object) -> None:
        if self._fd >= 0:
            os.close(self._fd)

    def lines(self, since: int) -> list[str]:
        if not self.inode:
            return []
        begin = max(since, self.size - MOST)
        lines = os.pread(self._fd, MOST, begin).decode("utf-8", "replace").split("\n")
        # The first one may have lost its beginning.
        return [line for line in lines[begin > since :] if line.strip()]


def make_way(directory: str) -> None:
    """Remove what is in the place of a task's FIFOs and is none. A task that was started before it had a log may be stopped by commands
    that have one already, and systemd makes a file for what they say.
    """
    for path in plan.fifos(directory):
        with contextlib.suppress(FileNotFoundError):
            if not stat.S_ISFIFO(os.lstat(path).st_mode):
                os.unlink(path)


def _settle(directory: str) -> None:
    """Wait until the log files have what is in the FIFOs."""
    deadline = time.monotonic() + PATIENCE
    paths = plan.fifos(directory)
    while any(_waiting(path) for path in paths) and time.monotonic() < deadline:
        time.sleep(INTERVAL)


def _waiting(path: str) -> int:
    """How many bytes are in a FIFO."""
    import fcntl
    import termios

    try:
        fifo = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return 0
    try:
        return int.from_bytes(fcntl.ioctl(fifo, termios.FIONREAD, bytes(4)), "little")
    finally:
        os.close(fifo)
