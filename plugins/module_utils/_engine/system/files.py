# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""File operations that are complete or not done at all, and that no user of the robot can lead astray.

Directories of a task belong to its user, who may put a symbolic link where the engine, as root, is about to write.
So everything below the engine's roots is reached one component at a time, through descriptors that follow no link.
"""

from __future__ import annotations

import errno
import os
import stat

from .. import plan
from . import command

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

# The engine's own.
OWN = (plan.STATE + "/", plan.RUNTIME + "/", "/run/")
# How the name of a file ends that is kept beside another one, in case that one is damaged.
COPY = ".copy"
# How the name of a file ends that is about to replace another one.
TEMPORARY = ".k8s4r~"
# How often a directory is gone through that changes hands while somebody moves what is in it.
TIMES = 3
NO_SPACE = (errno.ENOSPC, errno.EDQUOT)

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_LINK_FREE = _DIRECTORY | os.O_NOFOLLOW


class Parent:
    """The opened directory of a path, and the path's last component (a context manager).

    An error in its block names the path, and not a name below some directory.
    """

    def __init__(self, path: str, make: bool = False) -> None:
        self.path = path
        base = _base(path)
        if make:
            os.makedirs(base, mode=0o755, exist_ok=True)
        self.fd = os.open(base, _DIRECTORY)
        *between, self.name = path[len(base) :].strip("/").split("/")
        for component in between:
            try:
                below = os.open(component, _LINK_FREE, dir_fd=self.fd)
            except OSError as error:
                raise _about(error, path) from None
            finally:
                os.close(self.fd)
            self.fd = below

    def __enter__(self) -> tuple[int, str]:
        return self.fd, self.name

    def __exit__(self, _type: object, error: object, _trace: object) -> None:
        os.close(self.fd)
        if isinstance(error, OSError):
            _about(error, self.path)


def _about(error: OSError, path: str) -> OSError:
    """An error that names this path."""
    error.filename, error.filename2 = path, None
    return error


def _base(path: str) -> str:
    """The directory that only root can change; links above it are followed, since only root can have made them."""
    for root in plan.ROOTS + OWN:
        if path.startswith(root):
            return root.rsplit("/", 1)[0]
    return "/"


def names(directory: str) -> list[str]:
    """What is in a directory, sorted; nothing if it is not there."""
    try:
        return sorted(os.listdir(directory))
    except FileNotFoundError:
        return []


def write(path: str, content: bytes, uid: int, gid: int, mode: int) -> None:
    """Put a complete file in place by rename; owner and mode are set before it appears."""
    with Parent(path, make=True) as (directory, name):
        _write(directory, name, content, uid, gid, mode)


def replace(path: str, content: bytes, mode: int = 0o600) -> None:
    """The same for the engine's own files, whose directory only root can change."""
    directory = os.open(os.path.dirname(path), _DIRECTORY)
    try:
        _write(directory, os.path.basename(path), content, os.geteuid(), os.getegid(), mode)
    except OSError as error:
        raise _about(error, path) from None
    finally:
        os.close(directory)


def _write(directory: int, name: str, content: bytes, uid: int, gid: int, mode: int) -> None:
    temporary = _temporary(directory, name)
    try:
        try:
            _complete(directory, temporary, os.O_CREAT | os.O_EXCL, content, uid, gid, mode)
        except OSError as error:
            _unlink(directory, temporary)
            from . import reserve

            if error.errno not in NO_SPACE or not reserve.take(len(content), directory, temporary):
                raise
            _complete(directory, temporary, 0, content, uid, gid, mode)
        _clear(directory, name, stat.S_ISREG)
        os.rename(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
    except BaseException:
        _unlink(directory, temporary)
        raise
    os.fsync(directory)


def _complete(directory: int, name: str, how: int, content: bytes, uid: int, gid: int, mode: int) -> None:
    """Make a file, or write over one, so that this is all that is in it."""
    fd = os.open(name, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC | how, 0o600, dir_fd=directory)
    with os.fdopen(fd, "wb") as stream:
        stream.write(content)
        stream.truncate()
        stream.flush()
        os.fchown(fd, uid, gid)
        os.fchmod(fd, mode)
        os.fsync(fd)


def _with_room(directory: int, make: t.Callable[[], None]) -> None:
    """Make something small in an opened directory; on a full disk, in the room of a file of the reserve."""
    try:
        make()
    except OSError as error:
        from . import reserve

        if error.errno not in NO_SPACE or not reserve.give_up(directory):
            raise
        make()


def link(path: str, target: str) -> None:
    """Put a symbolic link in place by rename."""
    with Parent(path, make=True) as (directory, name):
        temporary = _temporary(directory, name)
        _with_room(directory, lambda: os.symlink(target, temporary, dir_fd=directory))
        _clear(directory, name, stat.S_ISLNK)
        os.rename(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
        os.fsync(directory)


def make_directory(path: str, uid: int, gid: int, mode: int) -> None:
    """Make a directory, or repair the owner and mode of the one that is there; what is in it stays."""
    with Parent(path, make=True) as (directory, name):
        _clear(directory, name, stat.S_ISDIR)
        _with_room(directory, lambda: _mkdir(directory, name))
        fd = os.open(name, _LINK_FREE, dir_fd=directory)
        try:
            os.fchown(fd, uid, gid)
            os.fchmod(fd, mode)
            os.fsync(fd)
        finally:
            os.close(fd)
        os.fsync(directory)


def owner(path: str) -> int | None:
    """The number of the user who owns what is there; None where nothing is."""
    try:
        with Parent(path) as (directory, name):
            return os.stat(name, dir_fd=directory, follow_symlinks=False).st_uid
    except (FileNotFoundError, NotADirectoryError):
        return None


def hand_over(path: str, before: int, after: int, itself: bool = True) -> None:
    """Give all that is below a path from one user to another, and what is there ``itself``; what belongs to others stays theirs."""
    try:
        parent = Parent(path)
    except (FileNotFoundError, NotADirectoryError):
        return
    with parent as (directory, name):
        for _time in range(TIMES):
            if _handed_over(directory, name, before, after, itself):
                return
        raise OSError(errno.EBUSY, "directories below it are moved while they change hands")


def _handed_over(top: int, name: str, before: int, after: int, itself: bool) -> bool:
    """The same below an opened directory; False where one was moved away meanwhile, from which nothing leads back.

    Not by the program chown: between its look at who owns something and the change, a task could put another one's file in that place.
    So each is opened first, and what is opened is looked at and changed. A directory has its turn after all that is in it.
    """
    here = os.dup(top)
    # Of each directory down to here: which it is, and the names in it that are still to come.
    way = [(_identity(here), [name])]
    try:
        while True:
            if way[-1][1]:
                here = _entered(here, way, before, after)
                continue
            way.pop()
            if not way:
                return True
            if len(way) > 1 or itself:
                _give(here, before, after)
            above = os.open("..", _DIRECTORY, dir_fd=here)
            os.close(here)
            here = above
            if _identity(here) != way[-1][0]:
                return False
    finally:
        os.close(here)


def _entered(here: int, way: list[tuple[tuple[int, int], list[str]]], before: int, after: int) -> int:
    """Give the next thing of an opened directory away; one that is a directory is returned, opened, in place of the one before."""
    try:
        fd = os.open(way[-1][1].pop(), os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
    except FileNotFoundError:
        return here
    try:
        if not stat.S_ISDIR(os.fstat(fd).st_mode):
            _give(fd, before, after)
            return here
        below = os.open(f"/proc/self/fd/{fd}", _DIRECTORY)
    finally:
        os.close(fd)
    way.append((_identity(below), os.listdir(below)))
    os.close(here)
    return below


def _give(fd: int, before: int, after: int) -> None:
    """Change who owns what is opened; a link itself, since nothing is looked up any more."""
    if os.fstat(fd).st_uid == before:
        os.chown(f"/proc/self/fd/{fd}", after, -1)


def _identity(fd: int) -> tuple[int, int]:
    found = os.fstat(fd)
    return found.st_dev, found.st_ino


def unmount(path: str) -> None:
    """Take away a file system that is mounted there; one that a program still has open goes when that program ends."""
    if os.path.ismount(path):
        command.need(["umount", "--lazy", "--", path])


def remove(path: str) -> None:
    """Remove whatever is there, a directory with all that is in it."""
    try:
        parent = Parent(path)
    except (FileNotFoundError, NotADirectoryError):
        return
    with parent as (directory, name):
        remove_at(directory, name)
        os.fsync(directory)


def forget_half_written(path: str) -> None:
    """Remove what was about to replace what is there, where whoever wrote it was killed, or lost its power, before it did."""
    try:
        parent = Parent(path)
    except (FileNotFoundError, NotADirectoryError):
        return
    with parent as (directory, name):
        _temporary(directory, name)


def size(path: str, most: int = 100000) -> int:
    """The bytes that the files at a path and below it take up on the disk; of more than so many, those of the first.

    A file with several names counts once, as it does for a quota. What cannot be read counts as nothing.
    """
    found, left = 0, most
    linked: set[tuple[int, int]] = set()
    # Of directories alone, and each with the path of its parent as it is: below a path of 4,000 characters, a task may have made many.
    waiting = [os.path.split(path)]
    if not os.path.isdir(path) or os.path.islink(path):
        return _taken(path, linked)
    while waiting and left > 0:
        directory = os.path.join(*waiting.pop())
        try:
            with os.scandir(directory) as entries:
                for entry, _number in zip(entries, range(left)):
                    left -= 1
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append((directory, entry.name))
                    else:
                        found += _taken(entry.path, linked)
        except OSError:
            # It went while we looked, or its path is too long.
            continue
    return found


def _taken(path: str, linked: set[tuple[int, int]]) -> int:
    """The bytes that a file takes up, unless it is among those that have several names and were counted."""
    try:
        state = os.lstat(path)
    except OSError:
        return 0
    if state.st_nlink > 1:
        if (state.st_dev, state.st_ino) in linked:
            return 0
        linked.add((state.st_dev, state.st_ino))
    return state.st_blocks * 512


def _temporary(directory: int, name: str) -> str:
    # One fixed name for each target, so that what a killed run left is found and replaced by the next.
    # The file system counts bytes.
    temporary = f".{os.fsdecode(os.fsencode(name)[:200])}{TEMPORARY}"
    remove_at(directory, temporary)
    return temporary


def _clear(directory: int, name: str, kind: t.Callable[[int], bool]) -> None:
    """Remove what is in the target's place and of another kind."""
    try:
        found = os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return
    if not kind(found.st_mode):
        remove_at(directory, name)


def _mkdir(directory: int, name: str) -> None:
    try:
        os.mkdir(name, 0o700, dir_fd=directory)
    except FileExistsError:
        return


def _unlink(directory: int, name: str) -> None:
    try:
        os.unlink(name, dir_fd=directory)
    except FileNotFoundError:
        return


def remove_at(directory: int, name: str) -> None:
    """Remove whatever has a name in an opened directory."""
    try:
        os.unlink(name, dir_fd=directory)
    except FileNotFoundError:
        return
    except (IsADirectoryError, PermissionError):
        # A program may have nested thousands of directories; rm goes down any depth, and follows no link on the way.
        command.need(["rm", "-rf", "--one-file-system", "--", f"/proc/{os.getpid()}/fd/{directory}/{name}"])
