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

# How often to retry a lock whose holder has not yet written its name, and the pause in seconds.
ATTEMPTS, PAUSE = 50, 0.01


class Lock:
    """A lock that ends with its process, with a record of who holds it (a context manager).

    ``unit``: what does the work, where somebody may end it before it is done.
    """

    def __init__(self, runtime: str, who: str, purpose: str, unit: str = "") -> None:
        self.path = runtime + "/lock"
        self.who = who
        self.purpose = purpose
        self.unit = unit

    def __enter__(self) -> Lock:
        self.fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        for attempt in range(ATTEMPTS):
            try:
                fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                holder = held(self.path)
                # Whoever only asks has it for a moment too; whoever has just got it will say its name.
                if attempt == ATTEMPTS - 1 or holder not in (None, _UNKNOWN):
                    os.close(self.fd)
                    raise Refusal([holder or _UNKNOWN]) from None
                time.sleep(PAUSE)
        record = {"who": self.who, "since": time.time(), "purpose": self.purpose, "unit": self.unit}
        os.ftruncate(self.fd, 0)
        os.write(self.fd, jsontext.dumps(record).encode("utf-8"))
        return self

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
