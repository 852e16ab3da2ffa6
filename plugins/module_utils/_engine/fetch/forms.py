# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The formats of archives: how each is read, and how its entries are put into a tree."""

from __future__ import annotations

import bz2
import calendar
import codecs
import gzip
import io
import lzma
import os
import shutil
import stat
import tarfile
import zipfile

from ..system.command import ENVIRONMENT
from .cache import CHUNK
from .tree import Hostile, Tree, parts_of, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

NO_ZSTD = "this robot has no zstd, which unpacks it; install Debian's package zstd, or pack it as tar.gz or tar.xz"
# For names in a zip that are not UTF-8. Looked up here, because a process without privileges may not be able to read it.
_OLD = codecs.lookup("cp437").name
# The errors of bytes that are not in the expected format.
BROKEN = (EOFError, lzma.LZMAError, tarfile.TarError, zipfile.BadZipFile, ValueError, NotImplementedError)


def unpack(form: str, archive: int, tree: Tree, name: str) -> None:
    """Put everything in an opened archive into a tree. A single packed file gets this name."""
    if form == "zip":
        with os.fdopen(os.dup(archive), "rb") as stream:
            _zip(zipfile.ZipFile(stream), tree)
    else:
        whole, _dot, packed = form.rpartition(".")
        content = READERS["tar" if form == "tar" else packed](archive)
        if whole or form == "tar":
            _tar(content, tree)
        else:
            tree.file((os.fsencode(name),), 0o644, os.fstat(archive).st_atime, _chunks(content))
    tree.finish()


def _plain(archive: int) -> t.BinaryIO:
    return os.fdopen(os.dup(archive), "rb")


def _zstd(archive: int) -> t.BinaryIO:
    program = shutil.which("zstd", path=ENVIRONMENT["PATH"])
    if program is None:
        raise Hostile(NO_ZSTD)
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.dup2(archive, 0)
            os.dup2(writer, 1)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            os.execve(program, [program, "--decompress", "--stdout", "--quiet"], ENVIRONMENT)
        finally:
            os._exit(127)
    os.close(writer)
    return io.BufferedReader(_Ended(reader, child))


class _Ended(io.RawIOBase):
    """What a child prints. If it ends badly, that is an error and not the end of the file."""

    def __init__(self, reader: int, child: int) -> None:
        super().__init__()
        self.reader = reader
        # None once it has been waited for: who reads may come to the end more than once.
        self.child: int | None = child

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: t.Any) -> int:
        content = os.read(self.reader, len(buffer))
        if not content and self.child is not None:
            status = os.waitpid(self.child, 0)[1]
            self.child = None
            if status:
                raise EOFError
        buffer[: len(content)] = content
        return len(content)


def _gzip(archive: int) -> t.Any:
    return gzip.open(_plain(archive))


def _bzip2(archive: int) -> t.Any:
    return bz2.open(_plain(archive))


def _xz(archive: int) -> t.Any:
    return lzma.open(_plain(archive))


READERS: t.Mapping[str, t.Callable[[int], t.Any]] = {"tar": _plain, "gz": _gzip, "bz2": _bzip2, "xz": _xz, "zst": _zstd}
FORMS = ("zip", "tar", *(f"{before}{packed}" for before in ("tar.", "") for packed in ("gz", "bz2", "xz", "zst")))


def _chunks(stream: t.Any) -> t.Iterator[bytes]:
    while True:
        chunk = stream.read(CHUNK)
        if not chunk:
            return
        yield chunk


def _tar(content: t.Any, tree: Tree) -> None:
    with tarfile.open(fileobj=content, mode="r|", bufsize=1 << 18, encoding="utf-8", errors="surrogateescape") as tar:
        member = tar.next()
        while member is not None:
            _member(tar, member, tree)
            # tarfile would remember every one of millions.
            vars(tar)["members"].clear()
            member = tar.next()


def _member(tar: tarfile.TarFile, member: tarfile.TarInfo, tree: Tree) -> None:
    name = os.fsencode(member.name)
    # tarfile removes a slash at the end, and leaves one at the beginning.
    parts = tree.inside(parts_of(name))
    if parts is None:
        return
    when = max(0.0, float(member.mtime))
    if member.isdir():
        tree.directory(parts, member.mode, when)
    elif member.isreg():
        found = tar.extractfile(member)
        tree.file(parts, member.mode, when, _chunks(found) if found else ())
    elif member.issym():
        tree.link(parts, os.fsencode(member.linkname))
    elif member.islnk():
        tree.second_name(parts, tree.inside(parts_of(os.fsencode(member.linkname))) or ())
    else:
        raise Hostile(f"{shown(name)}: a device, FIFO or something else that is not a file")


def _zip(archive: zipfile.ZipFile, tree: Tree) -> None:
    for member in archive.infolist():
        # Without this flag, the name is in the encoding of the program that packed it; Python has decoded it as cp437.
        name = member.orig_filename.encode("utf-8" if member.flag_bits & 0x800 else _OLD)
        parts = tree.inside(parts_of(name))
        if parts is None:
            continue
        if member.flag_bits & 0x1:
            raise Hostile(f"{shown(name)}: has a password")
        # Without a date, month and day are 0.
        year, month, day, *rest = member.date_time
        mode, when = member.external_attr >> 16, float(calendar.timegm((year, month or 1, day or 1, *rest, 0, 0, 0)))
        kind = stat.S_IFMT(mode)
        if name.endswith(b"/") or stat.S_ISDIR(mode):
            tree.directory(parts, mode or 0o755, when)
        elif stat.S_ISLNK(mode):
            if member.file_size > 4096:
                raise Hostile(f"{shown(name)}: a link to something too long")
            tree.link(parts, archive.read(member))
        elif kind in (0, stat.S_IFREG):
            with archive.open(member) as content:
                tree.file(parts, mode or 0o644, when, _chunks(content))
        else:
            raise Hostile(f"{shown(name)}: a device, FIFO or something else that is not a file")
