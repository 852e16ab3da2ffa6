# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tree that an archive is unpacked into. Nothing gets out of it, and it stops growing before the disk is full.

Names are bytes, as in archives. Each directory on the way to a file is opened by itself, and no link is followed.
"""

from __future__ import annotations

import os
import stat

from ..say import disk
from .cache import MARGIN

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    Parts = t.Tuple[bytes, ...]

MOST_FILES = 1_000_000
# To put a tree in place, its directories are opened one inside the other.
DEEPEST = 100
# An archive may always unpack to so many bytes, or else to so many times its own size. (gzip's best ratio is 1,032.)
ALWAYS, RATIO = 1 << 30, 200
# After so many bytes the free space of the disk is checked again.
LOOK = 16 << 20
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Hostile(Exception):
    """Why an archive is not unpacked."""


def parts_of(name: bytes) -> Parts:
    """The components of an entry's name; none for the top directory itself. Raises `Hostile`."""
    if name.startswith(b"/"):
        raise Hostile(f"{shown(name)}: an absolute path")
    parts = tuple(part for part in name.split(b"/") if part not in (b"", b"."))
    if b".." in parts:
        raise Hostile(f"{shown(name)}: leads out of the archive")
    if len(parts) > DEEPEST:
        raise Hostile(f"{shown(name[:80])}...: more than {DEEPEST} nested directories")
    if b"\0" in name or len(name) > 4000 or any(len(part) > 255 for part in parts):
        raise Hostile(f"{shown(name[:80])}...: not a valid file name")
    return parts


def shown(name: bytes) -> str:
    return name.decode("utf-8", "backslashreplace")


class Tree:
    """``root``: an opened directory. ``size``: bytes of the archive. ``subdir``: the only directory of it that is wanted."""

    def __init__(self, root: int, size: int, subdir: Parts = ()) -> None:
        self.root = root
        self.subdir = subdir
        self.files = 0
        self.bytes = 0
        self._most = max(ALWAYS, size * RATIO)
        self._looked = 0
        self._directories: dict[Parts, tuple[int, float]] = {}
        self._at: tuple[Parts, int] | None = None

    def inside(self, parts: Parts) -> Parts | None:
        """Where in the tree an entry belongs; None if it is outside the wanted directory."""
        length = len(self.subdir)
        return parts[length:] if parts[:length] == self.subdir else None

    def directory(self, parts: Parts, mode: int, when: float) -> None:
        self._count(0)
        os.fstat(self._open(parts))
        self._directories[parts] = (mode & 0o777 | 0o700, when)

    def file(self, parts: Parts, mode: int, when: float, content: t.Iterable[bytes]) -> None:
        parent = self._place(parts)
        fd = os.open(parts[-1], os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=parent)
        try:
            for chunk in content:
                self._count(len(chunk))
                while chunk:
                    chunk = chunk[os.write(fd, chunk) :]
            os.fchmod(fd, mode & 0o777 | 0o600)
            os.utime(fd, (when, when))
        finally:
            os.close(fd)

    def link(self, parts: Parts, target: bytes) -> None:
        """A symbolic link to something in the tree. One that goes down and then up is refused: through another link it could lead out."""
        steps = [step for step in target.split(b"/") if step not in (b"", b".")]
        up = next((number for number, step in enumerate(steps) if step != b".."), len(steps))
        if target.startswith(b"/") or b".." in steps[up:] or up >= len(parts) or not target:
            raise Hostile(f"{shown(b'/'.join(parts))}: a link to {shown(target)}, which leads out of the archive")
        os.symlink(target, parts[-1], dir_fd=self._place(parts))

    def second_name(self, parts: Parts, target: Parts) -> None:
        """A hard link to a file that came earlier in the archive."""
        if not target:
            raise Hostile(f"{shown(b'/'.join(parts))}: a link to no file of the archive")
        try:
            holder = self._walk(target[:-1], make=False)
        except FileNotFoundError:
            holder = None
        if holder is None:
            raise Hostile(f"{shown(b'/'.join(parts))}: a link to {shown(b'/'.join(target))}, which is not before it in the archive")
        try:
            found = os.stat(target[-1], dir_fd=holder, follow_symlinks=False)
            if not stat.S_ISREG(found.st_mode):
                raise Hostile(f"{shown(b'/'.join(parts))}: a link to {shown(b'/'.join(target))}, which is not a file")
            if target != parts:
                os.link(target[-1], parts[-1], src_dir_fd=holder, dst_dir_fd=self._place(parts), follow_symlinks=False)
        except FileNotFoundError:
            text = f"{shown(b'/'.join(parts))}: a link to {shown(b'/'.join(target))}, which is not before it in the archive"
            raise Hostile(text) from None
        finally:
            os.close(holder)

    def finish(self) -> None:
        """Set the modes and times of directories last, because the files in them change these."""
        for parts, (mode, when) in sorted(self._directories.items(), reverse=True):
            fd = self._walk(parts, make=False)
            os.fchmod(fd, mode)
            os.utime(fd, (when, when))
            os.close(fd)
        if self._at:
            os.close(self._at[1])
            self._at = None

    def _place(self, parts: Parts) -> int:
        """The opened directory of something that is about to be made. Whatever has its name is removed."""
        self._count(0)
        if not parts:
            raise Hostile("the archive has a file without a name")
        parent = self._open(parts[:-1])
        try:
            os.unlink(parts[-1], dir_fd=parent)
        except FileNotFoundError:
            return parent
        except (IsADirectoryError, PermissionError):
            raise Hostile(f"{shown(b'/'.join(parts))}: a directory and a file have this name") from None
        return parent

    def _open(self, parts: Parts) -> int:
        """An opened directory. Entries come directory by directory, so the last one stays open."""
        if self._at is None or self._at[0] != parts:
            fd = self._walk(parts, make=True)
            if self._at:
                os.close(self._at[1])
            self._at = (parts, fd)
        return self._at[1]

    def _walk(self, parts: Parts, make: bool) -> int:
        fd = os.dup(self.root)
        for part in parts:
            try:
                if make:
                    try:
                        os.mkdir(part, 0o755, dir_fd=fd)
                    except FileExistsError:
                        pass
                    else:
                        self._count(0)
                below = os.open(part, _DIRECTORY, dir_fd=fd)
            except NotADirectoryError:
                raise Hostile(f"{shown(b'/'.join(parts))}: goes through a link or a file") from None
            finally:
                os.close(fd)
            fd = below
        return fd

    def _count(self, size: int) -> None:
        self.bytes += size
        if not size:
            self.files += 1
        if self.files > MOST_FILES:
            raise Hostile(f"has more than {MOST_FILES:,} files")
        if self.bytes > self._most:
            raise Hostile(f"unpacks to more than {disk.size(self._most)}, far more than its own size")
        if self.bytes - self._looked >= LOOK or not self.files % 4096:
            self._looked = self.bytes
            found = os.fstatvfs(self.root)
            if found.f_bavail * found.f_frsize < MARGIN:
                raise Hostile(f"does not fit on the disk: after {disk.size(self.bytes)}, only {disk.size(MARGIN)} are free")
