# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of one stream of a task: the one that is written, stdout.log, and older ones, stdout.log.1 and so on.

They are root's, in a directory that is root's, and the group of that directory may read them. All the same no link in their place is
followed, and nothing is written into a file that is not root's: a task that runs as root could put one there.
"""

from __future__ import annotations

import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Without O_NONBLOCK, whoever put a FIFO there would make us wait.
_FILE = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
MODE = 0o640


class Limits:
    """How many files, counting the one that is written, of how many bytes."""

    def __init__(self, files: int, size: int) -> None:
        self.files = files
        self.size = size


class Files:
    """``base`` is a directory that only root can change, and ``path`` is below it."""

    def __init__(self, base: str, path: t.Sequence[str], name: str, limits: Limits) -> None:
        self._base = base
        self._path = path
        self._name = name
        self._limits = limits
        self._directory = self._file = -1

    def set_limits(self, limits: Limits) -> None:
        self.close()
        self._limits = limits

    def close(self) -> None:
        for descriptor in (self._file, self._directory):
            if descriptor >= 0:
                os.close(descriptor)
        self._file = self._directory = -1

    def open(self) -> tuple[int, int]:
        """The file that is written, with its position at the end, and its size. Somebody may have removed it, or made it shorter."""
        if self._file >= 0 and not os.fstat(self._file).st_nlink:
            # With all of the directory, perhaps.
            self.close()
        if self._directory < 0:
            self._directory = self._open_directory()
            self._trim()
        if self._file < 0:
            self._file = self._open_file()
        return self._file, os.lseek(self._file, 0, os.SEEK_END)

    def rotate(self) -> None:
        """Put the file aside as number 1. Of the others, those move that are in the way, and the oldest goes."""
        os.close(self._file)
        self._file = -1
        names = [self._name, *(f"{self._name}.{number}" for number in range(1, self._limits.files))]
        if len(names) == 1:
            os.unlink(self._name, dir_fd=self._directory)
            return
        there = set(os.listdir(self._directory))
        # Whoever killed us in the middle of it left a gap.
        gap = next((number for number, name in enumerate(names) if name not in there), len(names) - 1)
        for number in range(gap, 0, -1):
            os.rename(names[number - 1], names[number], src_dir_fd=self._directory, dst_dir_fd=self._directory)

    def _open_directory(self) -> int:
        found = os.open(self._base, _DIRECTORY)
        for component in self._path:
            try:
                below = os.open(component, _DIRECTORY, dir_fd=found)
            finally:
                os.close(found)
            found = below
        return found

    def _open_file(self) -> int:
        try:
            found = os.open(self._name, _FILE, dir_fd=self._directory)
            state = os.fstat(found)
            if stat.S_ISREG(state.st_mode) and state.st_uid == os.geteuid() and state.st_nlink == 1:
                return found
            os.close(found)
        except FileNotFoundError:
            return self._make_file()
        except OSError as error:
            if not self._is_foreign():
                raise error
        os.unlink(self._name, dir_fd=self._directory)
        return self._make_file()

    def _is_foreign(self) -> bool:
        return not stat.S_ISREG(os.stat(self._name, dir_fd=self._directory, follow_symlinks=False).st_mode)

    def _make_file(self) -> int:
        made = os.open(self._name, _FILE | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=self._directory)
        os.fchown(made, -1, os.fstat(self._directory).st_gid)
        os.fchmod(made, MODE)
        return made

    def _trim(self) -> None:
        """Remove what is beyond the limits, which may have been other ones."""
        left = self._limits.files * self._limits.size
        for number, name in sorted(self._older()):
            size = os.stat(name, dir_fd=self._directory, follow_symlinks=False).st_size
            left -= size
            if number >= self._limits.files or left < 0:
                os.unlink(name, dir_fd=self._directory)

    def _older(self) -> t.Iterator[tuple[int, str]]:
        for name in os.listdir(self._directory):
            before, _dot, number = name.rpartition(".")
            # A task that is root can make files here. `int` takes none of the other digits that there are.
            if before == self._name and number.isascii() and number.isdigit():
                yield int(number), name
