# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Unpacking artifacts into a place that only root can enter. A process without privileges does it, within limits of its own."""

from __future__ import annotations

import contextlib
import os
import resource
import zlib

from ..plan import NO_USER
from ..say import disk
from ..say.texts import harmless
from ..system import files
from . import forms
from .cache import MARGIN, Unfetched
from .tree import Hostile, Tree, parts_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from .cache import Cache
    from .shapes import Item

# The bytes of memory that who unpacks may take.
MEMORY = 1 << 30
# The file that is made last: all artifacts of a task lie unpacked beside it.
COMPLETE = "complete"


def prepare(cache: Cache, items: t.Sequence[Item], place: str, tell: t.Callable[[str], None]) -> None:
    """Unpack all artifacts of a task into a directory that only root can enter, each into a directory named by its number.

    Raises `Unfetched`.
    """
    if os.path.exists(f"{place}/{COMPLETE}"):
        return
    files.remove(place)
    os.makedirs(os.path.dirname(place), mode=0o700, exist_ok=True)
    os.mkdir(place, 0o700)
    try:
        for number, item in enumerate(items):
            tell(f"unpacking {item['name']}")
            os.mkdir(f"{place}/{number}", 0o755)
            _put(cache.use(item["sha256"]), item, f"{place}/{number}")
    except BaseException:
        files.remove(place)
        raise
    # What it vouches for is on the disk before it is.
    os.sync()
    files.replace(f"{place}/{COMPLETE}", b"")


def _put(blob: str, item: Item, directory: str) -> None:
    archive = os.open(blob, os.O_RDONLY | os.O_CLOEXEC)
    root = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if not item["archive"]:
            _copy(archive, root, os.path.basename(item["to"]) if item["mode"] == "file" else item["name"])
            return
        if os.geteuid() == 0:
            os.fchown(root, NO_USER, NO_USER)
        why = _in_a_child(archive, root, item)
        if why:
            raise Unfetched(f"{item['name']} is not unpacked: {harmless(why)}")
        if item["mode"] == "file":
            _only_one(root, item)
    finally:
        os.close(archive)
        os.close(root)


def _copy(archive: int, root: int, name: str) -> None:
    """Copy a file as it is. Like go-getter, it does not make it executable."""
    size, found = os.fstat(archive).st_size, os.fstatvfs(root)
    if found.f_bavail * found.f_frsize < size + MARGIN:
        raise Unfetched(f"{name} does not fit on the disk: {disk.size(size)} are needed, and {disk.size(MARGIN)} beyond that")
    fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=root)
    try:
        done = 0
        while done < size:
            done += os.sendfile(fd, archive, done, size - done)
        os.fchmod(fd, 0o644)
    finally:
        os.close(fd)


def _only_one(root: int, item: Item) -> None:
    """Give the one file of an archive the name that the job has for it."""
    names = os.listdir(root)
    if len(names) != 1 or not os.path.isfile(f"/proc/self/fd/{root}/{names[0]}"):
        raise Unfetched(f"getterMode: file wants an archive of exactly one file, and {item['name']} is not one; write dir")
    os.rename(names[0], os.path.basename(item["to"]), src_dir_fd=root, dst_dir_fd=root)


def _in_a_child(archive: int, root: int, item: Item) -> str:
    """Unpack in a process without privileges; why it could not be unpacked, empty if it was."""
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        _child(archive, root, item, writer)
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        said = stream.read(4096).decode("utf-8", "replace")
    status = os.waitpid(pid, 0)[1]
    return said or (f"what unpacks it ended with status {status}" if status else "")


def _child(archive: int, root: int, item: Item, writer: int) -> t.NoReturn:
    """All of the child's life: it unpacks, says what went wrong, and ends."""
    said = ""
    try:
        _give_up_privileges()
        said = _unpacked(archive, root, item)
    except BaseException as error:
        said = type(error).__name__
        raise
    finally:
        with contextlib.suppress(OSError):
            os.write(writer, said.encode("utf-8", "backslashreplace")[:4096])
        os._exit(1 if said else 0)


def _give_up_privileges() -> None:
    """From here on no file of the engine can be read: what is needed has been imported."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    os.umask(0o022)
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(NO_USER)
        os.setuid(NO_USER)


def _unpacked(archive: int, root: int, item: Item) -> str:
    """Why an archive could not be unpacked; empty if it was."""
    broken = f"it is not in {item['archive']} format, or part of it is missing"
    try:
        subdir = parts_of(os.fsencode(item["subdir"]))
        tree = Tree(root, os.fstat(archive).st_size, subdir)
        forms.unpack(item["archive"], archive, tree, os.path.splitext(item["name"])[0])
    except Hostile as why:
        return str(why)
    except (*forms.BROKEN, zlib.error):
        return broken
    except MemoryError:
        return f"that takes more than {MEMORY >> 20} MiB of memory"
    except OSError as error:
        # gzip's error for data in another format has no number.
        return os.strerror(error.errno) if error.errno else broken
    return f"it has no {item['subdir']}" if subdir and not tree.files else ""
