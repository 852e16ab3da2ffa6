# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What needs no network. file: a file of the robot's own; root reads it, so root alone may have put it there. sent: what the controller has
downloaded for a robot without a way out; it comes in parts, and what has come is there for whoever goes on.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import stat

from .cache import CHUNK, Unfetched, digest_of, drop, write

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from .cache import Cache, Pin
    from .shapes import Room, Source, Tell


def fetch(source: Source, partial: str, _before: Pin, room: Room, _tell: Tell) -> Pin:
    """Copy it. Raises `Unfetched`."""
    with os.fdopen(opened(source["url"]), "rb", buffering=0) as found, open(partial, "wb", buffering=0) as stream:
        room(os.fstat(found.fileno()).st_size)
        digest = hashlib.sha256()
        buffer = memoryview(bytearray(CHUNK))
        while True:
            count = found.readinto(buffer)
            if not count:
                return {"sha256": digest.hexdigest()}
            digest.update(buffer[:count])
            write(stream, buffer[:count])


def opened(path: str) -> int:
    """A file of the robot's own, opened: one that root alone may have put there. Raises `Unfetched`.

    A task that could put a link somewhere on the way would get to read what only root may.
    """
    at, fd = "", os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for name in path.strip("/").split("/"):
            _refuse_others(at or "/", os.fstat(fd))
            at = f"{at}/{name}"
            below = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=fd)
            os.close(fd)
            fd = below
        found = os.fstat(fd)
        _refuse_others(at, found)
        if not stat.S_ISREG(found.st_mode):
            raise Unfetched(f"{at} is not a file; to send a directory, pack it into an archive")
    except FileNotFoundError:
        os.close(fd)
        raise Unfetched(f"this robot has no {at}") from None
    except OSError:
        os.close(fd)
        raise Unfetched(f"{at} is a link, or cannot be read; name the file itself") from None
    except BaseException:
        os.close(fd)
        raise
    return fd


def _refuse_others(path: str, found: os.stat_result) -> None:
    if (found.st_uid != os.geteuid() and found.st_uid) or found.st_mode & 0o022:
        raise Unfetched(f"{path} can be changed by others than root; put the file where they cannot")


def sent(source: Source, partial: str, _before: Pin, _room: Room, tell: Tell) -> Pin:
    """Take what the controller has sent, if it is that. Raises `Unfetched`."""
    wanted = source["checksum"].partition(":")[2]
    path = _parts(os.path.dirname(partial), wanted)
    tell("checking what was sent")
    try:
        found = digest_of(path, "sha256")
    except FileNotFoundError:
        raise Unfetched("the controller has not sent it; run again") from None
    if found != wanted:
        drop(path)
        raise Unfetched(f"what the controller sent arrived as sha256:{found}; run again")
    os.rename(path, partial)
    return {"sha256": found}


def receive(cache: Cache, sha256: str, size: int, at: int, part: bytes, needed: t.Container[str]) -> int:
    """Put a part of a file of this digest and size behind those that have come; how much of it is here then.

    Without a part, that is a question, and the disk has room for the rest. Raises `Unfetched`.
    """
    if cache.has(sha256):
        return size
    cache.make()
    with open(_parts(f"{cache.directory}/partial", sha256), "ab", buffering=0) as stream:
        # Two runs that send the same file help each other.
        fcntl.flock(stream.fileno(), fcntl.LOCK_EX)
        here = os.fstat(stream.fileno()).st_size
        if here > size:
            stream.truncate(0)
            here = 0
        if not part:
            cache.make_room(size - here, needed)
        elif here == at:
            # There is room for no more than that.
            here += stream.write(part[: size - here])
        return here


def _parts(directory: str, sha256: str) -> str:
    return f"{directory}/sent-{sha256}"
