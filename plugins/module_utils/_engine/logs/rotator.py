# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""k8s4r-logs.service: writes what the tasks of a robot say into their log files.

systemd makes two FIFOs for each task and holds them open, so a task neither sees nor waits for a restart of this program, unless a
FIFO is full. What is in them stays there meanwhile. It imports little, for it is always there: neither `json` nor `socket` nor `signal`,
each of which brings `enum` or `re`.
"""

from __future__ import annotations

import _socket
import os
import select
import stat
import sys
import time

from .. import plan
from ..say import jsontext
from . import kernel
from .files import Files, Limits
from .stream import AGAIN, NOW, Ended, Stream

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    import typing as t

    Timers = t.Dict[int, float]
else:
    import _signal as signal

# Seconds. The watchdog of the unit waits several times as long.
BREATH = 3.0
# When it is asked to end, it empties the FIFOs first, for at most so long.
LAST_BREATH = 5.0
NEVER = float("inf")


class Rotator:
    """``configurations`` has a file for each task, ``fifos`` two FIFOs, and ``tasks`` a directory."""

    def __init__(self, configurations: str = plan.LOGS, fifos: str = plan.FIFOS, tasks: str = plan.TASKS) -> None:
        self._configurations = configurations
        self._fifos = fifos
        self._tasks = tasks
        os.makedirs(configurations, mode=0o755, exist_ok=True)
        # Whoever could open another's FIFO could read what is in it.
        os.makedirs(fifos, mode=0o700, exist_ok=True)
        # At a boot, a task's socket may have made it.
        os.chmod(fifos, 0o700)
        self._peephole = kernel.Peephole()
        self._poll = select.epoll()
        self._begin_to_watch()
        self._files: dict[tuple[str, str], Files] = {}
        self._streams: dict[int, Stream] = {}
        # The inode of each FIFO that is open, by its descriptor; and when each stream wants to be called again.
        self._known: dict[int, int] = {}
        self._due: Timers = {}
        self._configured: dict[str, tuple[int, t.Any]] = {}
        # When to look at all FIFOs again, though none has come or gone.
        self._again = NEVER

    def is_displaced(self) -> bool:
        """Whether there is another directory in the place of one that is watched: whoever removed that took the watch away."""
        now = {directory: _inode(directory) for directory in self._watched}
        return None not in now.values() and now != self._watched

    def watch_again(self) -> None:
        """Watch what is there now. The FIFOs that are open are read on: their tasks write there until they start again, and would have to
        wait for ever if nobody read it.
        """
        self._poll.unregister(self._watch)
        os.close(self._watch)
        self._begin_to_watch()
        self.look()

    def _begin_to_watch(self) -> None:
        directories = (self._configurations, self._fifos)
        self._watch = kernel.watch(*directories)
        self._watched = {directory: _inode(directory) for directory in directories}
        self._poll.register(self._watch, select.EPOLLIN)

    def wake_by(self, descriptor: int) -> None:
        """Have a turn end when there is something to read."""
        self._poll.register(descriptor, select.EPOLLIN)

    def turn(self, longest: float) -> None:
        """Wait for something to do, for so many seconds, and do it."""
        soonest = min((*self._due.values(), self._again))
        wait = max(0.0, min(longest, soonest - time.monotonic()))
        for descriptor, event in self._poll.poll(wait):
            if descriptor == self._watch:
                os.read(self._watch, kernel.PEEK)
                self.look()
            elif descriptor in self._streams:
                self._streams[descriptor].ending |= bool(event & select.EPOLLHUP)
                self._due[descriptor] = NOW
        now = time.monotonic()
        if self._again <= now:
            self._again = NEVER
            self.look()
        for descriptor in [each for each, due in self._due.items() if due <= now]:
            self._work(descriptor, now)

    def empty(self, seconds: float) -> None:
        """Write what is in the FIFOs now."""
        deadline = time.monotonic() + seconds
        self._due = dict.fromkeys(self._streams, NOW)
        while NOW in self._due.values() and time.monotonic() < deadline:
            self.turn(0.0)

    def look(self) -> None:
        """Take notice of what has come and gone."""
        wanted = self._read()
        for name in [name for name in self._configured if name not in wanted]:
            self._forget(name)
        for name, (version, configuration) in wanted.items():
            if self._configured.get(name, (0, None))[0] != version:
                self._configure(name, configuration)
            self._configured[name] = (version, configuration)
            for which in plan.STREAMS:
                self._open(name, which, configuration)

    def _read(self) -> dict[str, tuple[int, t.Any]]:
        found = {}
        for name in os.listdir(self._configurations):
            path = f"{self._configurations}/{name}"
            try:
                version = os.stat(path).st_mtime_ns
                known = self._configured.get(name)
                if known and known[0] == version:
                    found[name] = known
                    continue
                with open(path, encoding="utf-8") as stream:
                    found[name] = (version, _checked(jsontext.loads(stream.read())))
            except (OSError, ValueError) as error:
                # A file that is on its way: of a name with a dot, and gone in a moment.
                if not name.startswith("."):
                    sys.stderr.write(f"{path}: {error}\n")
        return {name: each for name, each in found.items() if not name.startswith(".")}

    def _configure(self, name: str, configuration: t.Any) -> None:
        limits = Limits(configuration["maxFiles"], configuration["maxFileSize"])
        for which in plan.STREAMS:
            if (name, which) in self._files:
                self._files[name, which].set_limits(limits)
            else:
                self._files[name, which] = Files(self._tasks, (name, "logs"), f"{which}.log", limits)
        for stream in self._of(name):
            stream.limits, stream.drops = limits, configuration["onFull"] == "drop"

    def _open(self, name: str, which: str, configuration: t.Any) -> None:
        path = f"{self._fifos}/{name}.{which}"
        try:
            inode = os.lstat(path).st_ino
            if inode in self._known.values():
                return
            fifo = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            # systemd has not made it yet, or has just removed it.
            return
        if not stat.S_ISFIFO(os.fstat(fifo).st_mode):
            os.close(fifo)
            return
        limits = Limits(configuration["maxFiles"], configuration["maxFileSize"])
        self._streams[fifo] = Stream(fifo, self._files[name, which], limits, configuration["onFull"] == "drop", self._peephole)
        self._known[fifo] = inode
        self._poll.register(fifo, select.EPOLLIN | select.EPOLLET)
        self._due[fifo] = NOW

    def _of(self, name: str) -> list[Stream]:
        files = [self._files.get((name, which)) for which in plan.STREAMS]
        return [stream for stream in self._streams.values() if stream.files in files]

    def _work(self, descriptor: int, now: float) -> None:
        try:
            due = self._streams[descriptor].work(now)
        except Ended:
            self._close(descriptor)
            # systemd makes a FIFO first, and opens it then: it may have been here between the two.
            self._again = min(self._again, now + AGAIN)
            return
        if due is None:
            self._due.pop(descriptor, None)
        else:
            self._due[descriptor] = due

    def _close(self, descriptor: int) -> None:
        del self._streams[descriptor], self._known[descriptor]
        self._due.pop(descriptor, None)
        os.close(descriptor)

    def _forget(self, name: str) -> None:
        """The task has gone; its last lines are still wanted where its data is kept."""
        del self._configured[name]
        for stream in self._of(name):
            stream.ending = True
            for _turn in range(64):
                self._work(stream.fifo, time.monotonic())
                if self._due.get(stream.fifo) != NOW:
                    break
            if stream.fifo in self._streams:
                self._close(stream.fifo)
        for which in plan.STREAMS:
            self._files.pop((name, which)).close()


def _inode(path: str) -> int | None:
    try:
        return os.stat(path).st_ino
    except FileNotFoundError:
        return None


def _checked(configuration: t.Any) -> t.Any:
    """Raises `ValueError` where it is none: a damaged file must not end the program that all tasks write to."""
    numbers = [configuration.get(name) for name in ("maxFiles", "maxFileSize")] if isinstance(configuration, dict) else []
    if not numbers or not all(isinstance(number, int) and number > 0 for number in numbers) or "onFull" not in configuration:
        raise ValueError("it does not say how much of its task's output is kept")
    return configuration


def main() -> None:
    """Until it is asked to end."""
    asked: list[int] = []
    reader, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    signal.set_wakeup_fd(writer)
    signal.signal(signal.SIGTERM, lambda number, _frame: asked.append(number))
    os.umask(0o022)
    rotator = Rotator()
    rotator.wake_by(reader)
    rotator.look()
    notify("READY=1")
    told = time.monotonic()
    while not asked:
        rotator.turn(BREATH)
        if time.monotonic() - told >= BREATH:
            told = time.monotonic()
            notify("WATCHDOG=1")
            if rotator.is_displaced():
                rotator.watch_again()
    rotator.empty(LAST_BREATH)


def notify(text: str) -> None:
    """Tell systemd; sd_notify(3)."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address:
        socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM)
        try:
            socket.sendto(text.encode(), address.replace("@", "\0", 1) if address.startswith("@") else address)
        finally:
            socket.close()
