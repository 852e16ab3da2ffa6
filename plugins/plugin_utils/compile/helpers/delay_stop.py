# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""delay-stop SECONDS SIGNAL main|all [COMMAND...]

Called when a task with a shutdownDelay is to end (ExecStop): lets it go on for so long, unless it ends by itself, and then asks it to
end: by COMMAND, or by the signal, to the unit's main process or to all of its processes. It returns when the main process has ended.

systemd would give each command of ExecStop= the whole time of TimeoutStopSec=; so one command does both. It starts no process: the task
may have as many as it is allowed, and this one counts among them.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time

INTERVAL = 0.1


def main() -> None:
    number_of_process = os.environ.get("MAINPID", "")
    try:
        # Its files tell of this process alone, whoever has its number after it.
        process = os.open(f"/proc/{number_of_process}", os.O_RDONLY | os.O_DIRECTORY) if number_of_process else -1
    except FileNotFoundError:
        process = -1
    if process < 0:
        # The task has ended by itself.
        return
    seconds, number, whom, *command = sys.argv[1:]
    groups = unit(process)
    wait(process, time.monotonic() + float(seconds))
    if not unit(process):
        return
    if command:
        os.execv(command[0], command)
    if whom == "main":
        send(int(number_of_process), int(number))
    else:
        ask_all(groups, int(number))
    wait(process, float("inf"))


def wait(process: int, end: float) -> None:
    while unit(process) and time.monotonic() < end:
        time.sleep(max(0.0, min(INTERVAL, end - time.monotonic())))


def ask_all(groups: list[str], number: int) -> None:
    """Signals each process of the unit once, also those that are started meanwhile."""
    told = {os.getpid()}
    while True:
        found = {int(name) for name in os.listdir("/proc") if name.isdigit() and _unit_of(name) == groups} - told
        if not found:
            return
        for process in found:
            send(process, number)
        told |= found


def _unit_of(name: str) -> list[str]:
    try:
        process = os.open(f"/proc/{name}", os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return []
    try:
        return unit(process)
    finally:
        os.close(process)


def unit(process: int) -> list[str]:
    """The control group by which systemd knows the unit of a process, of which this is the directory; empty for one that has ended."""
    try:
        file = os.open("cgroup", os.O_RDONLY, dir_fd=process)
        with open(file, encoding="utf-8") as stream:
            lines = stream.read().splitlines()
    except OSError:
        return []
    return [line for line in lines if line.startswith("0::") or ":name=systemd:" in line]


def send(process: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, number)


if __name__ == "__main__":
    main()
