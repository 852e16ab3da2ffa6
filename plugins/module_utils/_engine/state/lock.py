# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run at a time changes a robot."""

from __future__ import annotations

import fcntl
import os
import time

from ..say import jsontext
from ..say.errors import Refusal

# Seen while the holder has not yet written who it is.
_UNKNOWN = "another run is changing this robot; wait until it ends"

# How often to retry a lock whose holder has not yet written its name, the pause in seconds, and that of who waits for longer.
ATTEMPTS, PAUSE, LONG = 50, 0.01, 0.2


class Lock:
    """A lock that ends with its process, with a record of who holds it (a context manager).

    ``unit``: what does the work, where somebody may end it before it is done. ``patience``: seconds to wait for another holder.
    """

    def __init__(self, runtime: str, who: str, purpose: str, unit: str = "", patience: float = 0.0) -> None:
        self.path = runtime + "/lock"
        self.who = who
        self.purpose = purpose
        self.unit = unit
        self.patience = patience

    def __enter__(self) -> Lock:
        self.fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        until = time.monotonic() + self.patience
        attempts = ATTEMPTS
        while True:
            try:
                fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                holder = held(self.path)
                attempts -= 1
                # Whoever only asks has it for a moment too; whoever has just got it will say its name.
                if (attempts <= 0 or holder not in (None, _UNKNOWN)) and time.monotonic() >= until:
                    os.close(self.fd)
                    raise Refusal([holder or _UNKNOWN]) from None
                time.sleep(PAUSE if attempts > 0 else LONG)
        record = {"who": self.who, "since": time.time(), "purpose": self.purpose, "unit": self.unit}
        os.ftruncate(self.fd, 0)
        self._say(jsontext.dumps(record).encode("utf-8"))
        return self

    def _say(self, record: bytes) -> None:
        """Write down who has it. It is held all the same where there is no room for that, as when a task has filled /run."""
        try:
            os.write(self.fd, record)
        except OSError as error:
            # An unchanged run, which only asks for the lock, does not wait for these imports.
            import contextlib

            from ..system import files, reserve

            if error.errno not in files.NO_SPACE:
                raise
            if reserve.give_up(self.fd):
                with contextlib.suppress(OSError):
                    os.write(self.fd, record)

    def __exit__(self, *_error: object) -> None:
        os.ftruncate(self.fd, 0)
        os.close(self.fd)


def held(path: str) -> str | None:
    """Who holds the lock, as a sentence; None where it is free."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return None
    except BlockingIOError:
        try:
            holder = jsontext.loads(os.read(fd, 4096).decode("utf-8"))
            since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(holder["since"]))
            # An older engine names none.
            unit = holder.get("unit")
            end = f", or end it on the robot: systemctl stop {unit}; the next run rolls back what it has changed" if unit else ""
            way_out = f"wait until that run ends{end}"
            return f"{holder['who']} is changing this robot (since {since}, {holder['purpose']}); {way_out}"
        except (ValueError, KeyError, TypeError, OverflowError, OSError):
            return _UNKNOWN
    finally:
        os.close(fd)
