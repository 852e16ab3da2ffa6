# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A FIFO that a task writes to, emptied into files."""

from __future__ import annotations

import errno
import os

from . import kernel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .files import Files, Limits

# Seconds. The start of a line waits so long for its end, where the file is almost full.
PATIENCE = 0.2
# Where files cannot be written, this is tried again so often.
AGAIN = 1.0
# After so many steps it is another stream's turn.
STEPS = 16
NOW = 0.0


class Ended(Exception):
    """Nobody has the FIFO open for writing any more, and it is empty."""


class Stream:
    """``number`` is the FIFO's inode. ``drops``: lines that cannot be written are dropped, so that the task does not wait."""

    def __init__(self, fifo: int, files: Files, limits: Limits, drops: bool, peephole: kernel.Peephole) -> None:
        self.fifo = fifo
        self.files = files
        self.limits = limits
        self.drops = drops
        self.ending = False
        self._peephole = peephole
        self._held_until: float | None = None
        self._blocked_until = 0.0
        self._dropped = 0
        self._why = ""

    def work(self, now: float) -> float | None:
        """Empty the FIFO for a while. When to be called again: `NOW`, at a time, or None where an event will say so.

        Raises `Ended`.
        """
        if now < self._blocked_until:
            return self._wait()
        try:
            if self._dropped:
                self._tell()
            for _step in range(STEPS):
                held = self._step(now)
                if held:
                    return held
            return NOW
        except BlockingIOError:
            self._held_until = None
            return None
        except OSError as error:
            self._why = error.strerror or str(error)
            self._blocked_until = now + AGAIN
            return self._wait()

    def _wait(self) -> float:
        if self.drops and self._drop():
            return NOW
        return self._blocked_until

    def _step(self, now: float) -> float | None:
        """Write once, or rotate; the time until which what is there may become a complete line."""
        file, size = self.files.open()
        room = max(0, self.limits.size - size)
        if room > kernel.PEEK:
            # Whatever line is cut off here has room left to end in.
            self._move(file, room - kernel.PEEK)
            return None
        seen = self._peephole.look(self.fifo)
        if not seen:
            raise Ended
        count = self._count(seen, room, size > 0 and os.pread(file, 1, size - 1) != b"\n", size)
        if count is None:
            self._held_until = self._held_until or now + PATIENCE
            if now < self._held_until and not self.ending:
                return self._held_until
            count = len(seen)
        self._held_until = None
        if count:
            self._move(file, count)
        else:
            self.files.rotate()
        return None

    def _count(self, seen: bytes, room: int, within: bool, size: int) -> int | None:
        """How many of the bytes go into this file: 0 where the next line shall be in a new one, None for a line that is not complete.

        ``within``: the file ends within a line.
        """
        complete = seen.rfind(b"\n", 0, room) + 1
        if complete:
            return complete
        if within:
            # It was begun here, and ends here; in all files together such ends are less than one file.
            most = max(0, self.limits.size + self.limits.size // self.limits.files - size)
            return seen.find(b"\n", 0, most) + 1 or min(len(seen), most)
        if len(seen) > room:
            return 0 if size else room
        return len(seen) if len(seen) >= self._peephole.most else None

    def _move(self, file: int, count: int) -> None:
        try:
            if not kernel.move(self.fifo, file, count):
                raise Ended
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            # A file system that cannot splice. What cannot be written stays in the FIFO.
            seen = self._peephole.look(self.fifo)
            if not seen:
                raise Ended from None
            self._forget(os.write(file, seen[:count]))

    def _forget(self, count: int) -> None:
        """Take so many bytes out of the FIFO. A task that has read them itself may leave none."""
        while count:
            taken = len(os.read(self.fifo, count))
            if not taken:
                raise Ended
            count -= taken

    def _drop(self) -> bool:
        """Drop complete lines, as long as the files cannot be written; whether there may be more."""
        try:
            for _step in range(STEPS):
                seen = self._peephole.look(self.fifo)
                if not seen:
                    raise Ended
                count = seen.rfind(b"\n") + 1 or (len(seen) if len(seen) >= self._peephole.most else 0)
                if not count:
                    return False
                self._dropped += seen.count(b"\n", 0, count)
                self._forget(count)
        except BlockingIOError:
            return False
        return True

    def _tell(self) -> None:
        file, size = self.files.open()
        begun = size > 0 and os.pread(file, 1, size - 1) != b"\n"
        before = "\n" if begun else ""
        text = f"{before}k8s4r: {self._dropped} lines were dropped, because they could not be written: {self._why}\n".encode()
        if os.write(file, text) < len(text):
            os.ftruncate(file, size)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._dropped = 0
