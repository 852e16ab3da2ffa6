# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What robots have downloaded, by the SHA-256 of its bytes: shared by all groups, bounded, and root's alone.

A file here was complete and verified when it got its name. Its modification time says whether anybody has written to it since; its
access time says when it was last used. `pins` remember which bytes an address had that names no digest of its own.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time

from ..say import disk
from ..system import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    class Pin(t.TypedDict, total=False):
        """What an address had when it was last asked: the digest of its bytes, and how its server knows them again."""

        sha256: str
        etag: str
        modified: str


# Of all files together, those included that no release needs: so much, or so much of the file system, whichever is less.
BOUND, SHARE = 8 << 30, 4
# Bytes of the disk that are left to others.
MARGIN = 64 << 20
# Seconds, after which the beginning of a download is given up.
PARTIAL = 7 * 86400
PINS = 2000
CHUNK = 1 << 20
# The modification time of a file whose bytes were verified.
_VERIFIED = 1


class Unfetched(Exception):
    """Why an artifact cannot be had. No secret is in it."""


class Cache:
    def __init__(self, directory: str) -> None:
        self.directory = directory

    def make(self) -> None:
        for path in (self.directory, f"{self.directory}/pins", f"{self.directory}/partial"):
            os.makedirs(path, mode=0o700, exist_ok=True)

    def path(self, sha256: str) -> str:
        return f"{self.directory}/{sha256}"

    def has(self, sha256: str) -> bool:
        """Whether it has these bytes; what somebody has written to is read once more, and goes if it is not what it was."""
        path = self.path(sha256)
        try:
            found = os.lstat(path)
        except FileNotFoundError:
            return False
        if found.st_mtime_ns != _VERIFIED:
            if digest_of(path, "sha256") != sha256:
                drop(path)
                return False
            os.utime(path, ns=(found.st_atime_ns, _VERIFIED))
        return True

    def use(self, sha256: str) -> str:
        """The path of these bytes, which are needed now. Raises `Unfetched` where it has not got them."""
        if not self.has(sha256):
            raise Unfetched(f"sha256:{sha256} is no longer in {self.directory}; deploy the job again while the robot can reach its address")
        os.utime(self.path(sha256), ns=(time.time_ns(), _VERIFIED))
        return self.path(sha256)

    def partial(self, key: str) -> str:
        """Where what was asked for by this key is downloaded to."""
        return f"{self.directory}/partial/{key}"

    def keep(self, key: str, sha256: str) -> None:
        """A download is complete, and these are its bytes."""
        path = self.partial(key)
        with open(path, "rb") as stream:
            os.fchmod(stream.fileno(), 0o600)
            os.fsync(stream.fileno())
        os.utime(path, ns=(time.time_ns(), _VERIFIED))
        os.rename(path, self.path(sha256))
        self.forget(key)

    def forget(self, key: str) -> None:
        """Give up what was downloaded by this key."""
        for path in (self.partial(key), self.partial(key) + ".from"):
            drop(path)

    def pin(self, key: str) -> Pin:
        """Nothing where the address was never asked."""
        try:
            with open(f"{self.directory}/pins/{key}", encoding="utf-8") as stream:
                found: Pin = json.load(stream)
        except (FileNotFoundError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def remember(self, key: str, pin: Pin) -> None:
        files.replace(f"{self.directory}/pins/{key}", json.dumps(pin).encode("ascii"))

    def confirm(self, key: str, proven: str) -> None:
        """What is remembered by the one key is from now on by the other."""
        with contextlib.suppress(FileNotFoundError):
            os.rename(f"{self.directory}/pins/{key}", f"{self.directory}/pins/{proven}")

    def take_back(self, key: str, before: Pin) -> None:
        """What is remembered by this key is what it was before."""
        if before:
            self.remember(key, before)
        else:
            drop(f"{self.directory}/pins/{key}")

    def make_room(self, size: int, needed: t.Container[str]) -> None:
        """So many bytes are about to be written. What is not needed makes room for them, the longest unused first; raises `Unfetched`
        where that is not enough.
        """
        free = self._free()
        lacking = size + MARGIN - free
        # For what does not fit anyway, nothing goes.
        if 0 < lacking <= sum(taken for _used, taken, path in self._blobs() if os.path.basename(path) not in needed):
            free += self._evict(lacking, needed)
        if free < size + MARGIN:
            at = disk.mount_point(self.directory)
            what = f"the file system at {at} has {disk.size(free)} free, and {disk.size(size)} are needed"
            raise Unfetched(f"{what}, with {disk.size(MARGIN)} beyond that")

    def clean(self, needed: t.Container[str]) -> None:
        """Down to the bound, and without downloads that nobody has gone on with."""
        now = time.time()
        for entry in os.scandir(f"{self.directory}/partial"):
            if now - entry.stat(follow_symlinks=False).st_mtime > PARTIAL:
                files.remove(entry.path)
        pins = sorted(os.scandir(f"{self.directory}/pins"), key=lambda entry: entry.stat().st_mtime)
        for entry in pins[: max(0, len(pins) - PINS)]:
            drop(entry.path)
        found = os.statvfs(self.directory)
        bound = min(BOUND, found.f_blocks * found.f_frsize // SHARE)
        over = sum(size for _used, size, _path in self._blobs()) - bound
        if over > 0:
            self._evict(over, needed)

    def _free(self) -> int:
        found = os.statvfs(self.directory)
        return found.f_bavail * found.f_frsize

    def _blobs(self) -> list[tuple[float, int, str]]:
        """When each was last used, its size and its path; the longest unused first."""
        found = []
        for entry in os.scandir(self.directory):
            # Beside them is what ssh knows of servers.
            if len(entry.name) == 64:
                state = entry.stat(follow_symlinks=False)
                found.append((state.st_atime, state.st_blocks * 512, entry.path))
        return sorted(found)

    def _evict(self, size: int, needed: t.Container[str]) -> int:
        freed = 0
        for _used, taken, path in self._blobs():
            if freed >= size:
                break
            if os.path.basename(path) not in needed:
                drop(path)
                freed += taken
        return freed


def drop(path: str) -> None:
    """Remove a file of the cache, which is in directories that nobody else can change."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def write(stream: t.BinaryIO, data: bytes | memoryview) -> None:
    """All of it: where the disk is full, less than that is written at first, and that is no error yet."""
    left = memoryview(data)
    while left:
        left = left[stream.write(left) :]


def digest_of(path: str, algorithm: str) -> str:
    found = hashlib.new(algorithm)
    buffer = memoryview(bytearray(CHUNK))
    with open(path, "rb", buffering=0) as stream:
        while True:
            count = stream.readinto(buffer)
            if not count:
                return found.hexdigest()
            found.update(buffer[:count])
