# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the controller downloads for robots without a way out: once for all of them, by what robots themselves download with."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pathlib
import stat
import typing as t

from ...module_utils._engine.fetch.cache import Cache, Unfetched
from ...module_utils._engine.fetch.sources import Fetcher
from ...module_utils._engine.plan import BESIDE

if t.TYPE_CHECKING:
    from ...module_utils._engine.fetch.cache import Pin
    from ...module_utils._engine.fetch.shapes import Source

# What a robot has itself, and only the robot.
ITS_OWN = ("file",)


class Away(Exception):
    """Why the controller cannot have an artifact. No secret is in it."""


class Found(t.NamedTuple):
    """A file of the store, opened, so that it stays whatever other runs remove. `before`: what its address had, if that was asked now."""

    sha256: str
    size: int
    descriptor: int
    key: str
    before: Pin | None


class Store(t.NamedTuple):
    """A cache as robots have it (_engine/fetch/cache.py), which the workers of a run share, and other runs.

    `digest` is keyed. `began`: when the run did; what it has asked once, it asks no more, so that all robots get the same. `refresh`: it
    asks for what it has, too. `progress` is told how far it is, and `say` what an address turned out to have.
    """

    directory: pathlib.Path
    digest: t.Callable[[str], str]
    began: float
    refresh: bool
    progress: t.Callable[[str], None]
    say: t.Callable[[str], None]

    def known(self, source: Source) -> tuple[str, list[str]]:
        """The digest of what an address had, without asking; empty where nobody knows. And what is to be said of that. Raises `Away`."""
        if source["get"] == BESIDE:
            return source["checksum"].partition(":")[2], []
        fetcher = self._fetcher(online=False)
        self._trust(fetcher.cache)
        return fetcher.find(source, _nobody) or "", fetcher.news

    def find(self, source: Source) -> Found:
        """What an address has. Raises `Away`."""
        if source["get"] == BESIDE:
            return _beside(source)
        fetcher = self._fetcher(online=True)
        key = fetcher.key(source)
        try:
            fetcher.cache.make()
            self._trust(fetcher.cache)
            with self._alone(fetcher.cache, key):
                return self._found(fetcher, key, source)
        except Unfetched as problem:
            # They are the words of robots.
            raise Away(str(problem).replace("this robot", "the controller")) from None
        except OSError as error:
            at = f" ({error.filename})" if isinstance(error.filename, str) else ""
            raise Away(f"{error.strerror or 'it cannot be kept'}{at}") from None

    def forget(self, found: Found) -> None:
        """What an address had just now was of no use: it has what it had before, or nothing."""
        if found.before is not None:
            self._fetcher(online=True).cache.take_back(found.key, found.before)

    def _fetcher(self, online: bool) -> Fetcher:
        # No link is followed on the way of what is removed.
        return Fetcher(Cache(os.path.realpath(self.directory)), self.digest, online, self.refresh, set())

    def _found(self, fetcher: Fetcher, key: str, source: Source) -> Found:
        cache = fetcher.cache
        pin, failure = f"{cache.directory}/pins/{key}", f"{cache.partial(key)}.failed"
        if self._is_of_this_run(failure):
            with open(failure, encoding="utf-8") as stream:
                raise Unfetched(stream.read())
        fetcher.refresh = self.refresh and not self._is_of_this_run(pin)
        fetcher.needed = {name for name in os.listdir(cache.directory) if self._is_used(f"{cache.directory}/{name}")}
        cache.clean(fetcher.needed)
        before = cache.pin(key)
        try:
            sha256 = fetcher.find(source, lambda text: self.progress(f"controller: {source['shown']}: {text}"))
        except Unfetched as problem:
            # The other robots need not wait for the same.
            with open(failure, "w", encoding="utf-8") as stream:
                stream.write(str(problem))
            raise
        # At once, since the other robots are to get the same.
        fetcher.settle()
        for text in fetcher.news:
            self.say(f"artifact {text}")
        with contextlib.suppress(FileNotFoundError):
            os.utime(pin)
        path = cache.use(sha256 or "")
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        state = os.fstat(descriptor)
        if not (stat.S_ISREG(state.st_mode) and _is_ours(state)):
            os.close(descriptor)
            raise Unfetched(f"{path} is not a file of your own that nobody else can change; remove it")
        return Found(sha256 or "", state.st_size, descriptor, key, before if fetcher.news else None)

    @staticmethod
    def _trust(cache: Cache) -> None:
        """What is believed of a file there, such as that its bytes have been compared with its name, somebody else may have said, too."""
        for path in (cache.directory, f"{cache.directory}/pins", f"{cache.directory}/partial"):
            with contextlib.suppress(FileNotFoundError):
                state = os.lstat(path)
                if not (stat.S_ISDIR(state.st_mode) and _is_ours(state)):
                    remedy = "remove it, or name another directory by base_controller_cache"
                    raise Away(f"{path} is not a directory of your own that nobody else can change; {remedy}")

    @contextlib.contextmanager
    def _alone(self, cache: Cache, key: str) -> t.Iterator[None]:
        """One worker asks an address; the others wait for it."""
        with open(f"{cache.partial(key)}.lock", "w", encoding="ascii") as lock:
            fcntl.flock(lock.fileno(), fcntl.LOCK_EX)
            os.utime(lock.name)
            yield

    def _is_of_this_run(self, path: str) -> bool:
        with contextlib.suppress(FileNotFoundError):
            return os.stat(path).st_mtime >= self.began
        return False

    def _is_used(self, path: str) -> bool:
        """Whether this run has used a file of the cache."""
        with contextlib.suppress(FileNotFoundError):
            return os.stat(path).st_atime >= self.began
        return False


def _beside(source: Source) -> Found:
    """A file beside a job file, whose path is relative to where the run was started. What it has in it is compared by the robot."""
    path = os.path.expanduser(source["url"])
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise Away(f"{error.strerror} ({path})") from None
    return Found(source["checksum"].partition(":")[2], os.fstat(descriptor).st_size, descriptor, "", None)


def _is_ours(state: os.stat_result) -> bool:
    return state.st_uid == os.geteuid() and not state.st_mode & 0o022


def _nobody(_text: str) -> None:
    """What is known already needs no word."""
