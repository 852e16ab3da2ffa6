# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Unpacking artifacts beside what runs, where root alone gets: a process without privileges does it, within limits of its own."""

from __future__ import annotations

import contextlib
import os
import resource
import zlib

from ..say import disk
from ..say.texts import harmless
from ..system import files
from .cache import MARGIN, Unfetched

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from .cache import Cache
    from .shapes import Item

# Who unpacks: nobody, and in so many bytes of memory.
NOBODY, MEMORY = 65534, 1 << 30
# What is at its end, once an artifact lies there completely.
COMPLETE = "complete"


def prepare(cache: Cache, items: t.Sequence[Item], place: str, tell: t.Callable[[str], None]) -> None:
    """Unpack all artifacts of a task into a directory that root alone can enter: each into one of its number. Raises `Unfetched`."""
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
    with open(f"{place}/{COMPLETE}", "w", encoding="ascii"):
        os.sync()


def _put(blob: str, item: Item, directory: str) -> None:
    archive = os.open(blob, os.O_RDONLY | os.O_CLOEXEC)
    root = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if not item["archive"]:
            _copy(archive, root, os.path.basename(item["to"]) if item["mode"] == "file" else item["name"])
            return
        if os.geteuid() == 0:
            os.fchown(root, NOBODY, NOBODY)
        why = _in_a_child(archive, root, item)
        if why:
            raise Unfetched(f"{item['name']} is not unpacked: {harmless(why)}")
        if item["mode"] == "file":
            _only_one(root, item)
    finally:
        os.close(archive)
        os.close(root)


def _copy(archive: int, root: int, name: str) -> None:
    """A file as it is. It is not executable: go-getter makes it so, too."""
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
    """An archive where one file is wanted: it is called what the job calls it."""
    names = os.listdir(root)
    if len(names) != 1 or not os.path.isfile(f"/proc/self/fd/{root}/{names[0]}"):
        raise Unfetched(f"getterMode: file wants an archive of exactly one file, and {item['name']} has more; write dir")
    os.rename(names[0], os.path.basename(item["to"]), src_dir_fd=root, dst_dir_fd=root)


def _in_a_child(archive: int, root: int, item: Item) -> str:
    """Why it is not unpacked; empty where it is."""
    # Here, so that nobody has to be able to read the engine.
    from . import forms
    from .tree import Hostile, Tree, parts_of

    reader, writer = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writer)
        with os.fdopen(reader, "rb") as stream:
            said = stream.read(4096).decode("utf-8", "replace")
        status = os.waitpid(pid, 0)[1]
        return said or (f"what unpacks it ended with status {status}" if status else "")
    said, broken = "", f"it is no {item['archive']}, or a part of it is missing"
    try:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        os.umask(0o022)
        if os.geteuid() == 0:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
        subdir = parts_of(os.fsencode(item["subdir"]))
        tree = Tree(root, os.fstat(archive).st_size, subdir)
        forms.unpack(item["archive"], archive, tree, os.path.splitext(item["name"])[0])
        if subdir and not tree.files:
            said = f"it has no {item['subdir']}"
    except Hostile as why:
        said = str(why)
    except (*forms.BROKEN, zlib.error):
        said = broken
    except MemoryError:
        said = f"that takes more than {MEMORY >> 20} MiB of memory"
    except OSError as error:
        # gzip's error for what is none of its own has no number.
        said = os.strerror(error.errno) if error.errno else broken
    except BaseException as error:
        said = type(error).__name__
        raise
    finally:
        with contextlib.suppress(OSError):
            os.write(writer, said.encode("utf-8", "backslashreplace")[:4096])
        os._exit(1 if said else 0)
    return ""
