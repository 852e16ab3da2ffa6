# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Children of the runner that do the work, each with a pipe on which it tells what it has found."""

from __future__ import annotations

import _thread
import contextlib
import os
from time import monotonic

from ..plan import NO_USER
from ..say import jsontext
from . import network, states
from .states import CRITICAL, STATUSES, Outcome

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    import typing as t

    from .states import Check

    # The name of a task's file, and one of its checks.
    Due = t.Tuple[str, Check]
    Result = t.Tuple[str, Check, Outcome]
else:
    import _signal as signal

# Seconds. A child has so long beyond the time of its checks.
MARGIN = 1.0
# Bytes that are read at once. What is longer than a line of a child may be is not one.
PIECE, LINE = 65536, 4096


class Child:
    """A process of its own that runs `work`, with the writing end of a pipe, and then ends."""

    def __init__(self, work: t.Callable[[int], None], seconds: float) -> None:
        self.deadline = monotonic() + seconds
        self.pipe, writer = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            try:
                os.close(self.pipe)
                work(writer)
            finally:
                # Nothing of the parent's is flushed or tidied up here.
                os._exit(1)
        os.close(writer)

    def read(self) -> bytes:
        """What it has said; nothing where it has ended."""
        return os.read(self.pipe, PIECE)

    def end(self) -> int:
        """Have it end; its wait status."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        os.close(self.pipe)
        return os.waitpid(self.pid, 0)[1]


class Checks:
    """Checks that are run by one child, which tells a line of JSON for each."""

    def __init__(self, due: t.Sequence[Due], work: t.Callable[[int], None]) -> None:
        self._due = {(task, check["name"]): check for task, check in due}
        self._rest = b""
        self.child = Child(work, max(check["timeout"] for _task, check in due) + MARGIN)

    def more(self) -> tuple[list[Result], bool]:
        """What has come to a result, and whether that is all."""
        content = self.child.read()
        lines = (self._rest + content).split(b"\n")
        self._rest = lines.pop()[-LINE:]
        return [found for line in lines for found in self._results(line)], not content

    def end(self) -> list[Result]:
        """What is still owed, once it is over."""
        self.child.end()
        return [(task, check, Outcome(CRITICAL, f"no result within {check['timeout']:g} s")) for (task, _name), check in self._due.items()]

    def _results(self, line: bytes) -> t.Iterator[Result]:
        with contextlib.suppress(LookupError, TypeError, ValueError):
            task, name, status, said, output = jsontext.loads(line.decode("ascii"))
            if status in STATUSES:
                yield task, self._due.pop((task, name)), Outcome(status, str(said)[: states.LONGEST], str(output)[: states.LONGEST])


def connect(due: t.Sequence[Due], writer: int, pod: str = "") -> None:
    """In a child: run checks that connect to tasks, all at the same time, without any privilege. ``pod``: the network that these are in."""
    if pod and not _is_within(pod):
        for task, check in due:
            _tell(writer, task, check, Outcome(CRITICAL, "its pod is not up"))
        return
    os.setgroups([])
    os.setgid(NO_USER)
    os.setuid(NO_USER)
    left = [_thread.allocate_lock() for _each in due]
    for lock, (task, check) in zip(left, due):
        lock.acquire()
        _thread.start_new_thread(_one, (task, check, writer, lock))
    for lock in left:
        lock.acquire()


def _one(task: str, check: Check, writer: int, lock: _thread.LockType) -> None:
    try:
        _tell(writer, task, check, network.run(check))
    finally:
        lock.release()


def _tell(writer: int, task: str, check: Check, found: Outcome) -> None:
    line = jsontext.dumps([task, check["name"], found.status, found.said[: states.LONGEST], found.output])
    # Less than a pipe takes at once, so that lines do not mix.
    os.write(writer, line.encode("ascii") + b"\n")


def _is_within(pod: str) -> bool:
    """Whether this process is in a pod's network from now on."""
    # It costs milliseconds, which nobody else is to pay.
    from ..pods import link

    try:
        link.enter(pod)
    except OSError:
        return False
    return True
