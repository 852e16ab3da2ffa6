# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""file: a file of the robot's own. Root reads it, so root alone may have put it there."""

from __future__ import annotations

import hashlib
import os
import stat

from .cache import CHUNK, Unfetched

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .cache import Pin
    from .shapes import Room, Source, Tell


def fetch(source: Source, partial: str, _before: Pin, room: Room, _tell: Tell) -> Pin:
    """Copy it. Raises `Unfetched`."""
    with os.fdopen(_opened(source["url"]), "rb", buffering=0) as found, open(partial, "wb", buffering=0) as stream:
        room(os.fstat(found.fileno()).st_size)
        digest = hashlib.sha256()
        buffer = memoryview(bytearray(CHUNK))
        while True:
            count = found.readinto(buffer)
            if not count:
                return {"sha256": digest.hexdigest()}
            digest.update(buffer[:count])
            stream.write(buffer[:count])


def _opened(path: str) -> int:
    """A task that could put a link somewhere on the way would get to read what only root may."""
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
            raise Unfetched(f"{at} is no file; pack a directory into an archive")
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
