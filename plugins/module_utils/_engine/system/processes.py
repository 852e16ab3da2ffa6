# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes of the robot, by their user."""

from __future__ import annotations

import os
import signal
import time

from ..say.errors import CommandFailed

# A process that gets SIGKILL is gone within milliseconds, unless a device holds it.
PATIENCE = 10.0


def end(user: int) -> None:
    """Kill every process of a user, and wait until they are gone."""
    deadline = time.monotonic() + PATIENCE
    while True:
        found = [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if user in _users(pid)]
        if not found:
            return
        if time.monotonic() > deadline:
            raise CommandFailed(f"processes of user {user} do not end: {', '.join(map(str, found))}")
        for pid in found:
            _kill(pid)
        time.sleep(0.01)


def _users(pid: int) -> tuple[int, ...]:
    """The users that a process is, or may become: real, effective, saved, and for files; none for one that is gone or a zombie."""
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as stream:
            lines = dict(line.split(":", 1) for line in stream if ":" in line)
    except (FileNotFoundError, ProcessLookupError):
        return ()
    return () if lines.get("State", "").strip().startswith("Z") else tuple(map(int, lines.get("Uid", "").split()))


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
