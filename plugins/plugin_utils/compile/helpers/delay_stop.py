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
import pathlib
import sys
import time

INTERVAL = 0.1


def main() -> None:
    main_process = os.environ.get("MAINPID", "")
    if not main_process:
        # The task has ended by itself.
        return
    seconds, number, whom, *command = sys.argv[1:]
    wait(main_process, time.monotonic() + float(seconds))
    if command:
        os.execv(command[0], command)
    if whom == "main":
        send(int(main_process), int(number))
    else:
        ask_all(main_process, int(number))
    wait(main_process, float("inf"))


def wait(process: str, end: float) -> None:
    while os.path.exists(f"/proc/{process}") and time.monotonic() < end:
        time.sleep(max(0.0, min(INTERVAL, end - time.monotonic())))


def ask_all(main_process: str, number: int) -> None:
    """Signals each process of the unit once, also those that are started meanwhile."""
    groups, told = unit(main_process), {os.getpid()}
    while groups:
        found = {int(name) for name in os.listdir("/proc") if name.isdigit() and unit(name) == groups} - told
        if not found:
            return
        for process in found:
            send(process, number)
        told |= found


def unit(process: str) -> list[str]:
    """The control group by which systemd knows the unit; empty for a process that has ended."""
    try:
        lines = pathlib.Path(f"/proc/{process}/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    return [line for line in lines if line.startswith("0::") or ":name=systemd:" in line]


def send(process: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, number)


if __name__ == "__main__":
    main()
