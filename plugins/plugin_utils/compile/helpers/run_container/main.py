# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""run-container run|stop|remove FILE, or stop FILE SIGNAL main|all SECONDS

The unit of a docker or podman task calls it. `run` (ExecStart) makes the container that FILE describes, starts it, writes what comes
out of it to its own standard output and error, and ends as the container does. `stop` (ExecStop) has it end: by the signal, to its first
process or to all, and by SIGKILL after so many seconds. `remove` (ExecStopPost) kills and removes it, whatever became of the engine or of
`run`.

It speaks Docker's API (HTTP on a socket) itself: `docker run` would take three times the memory for the same. The container is
alone in its slice, so its processes can be found and ended also while the engine does not answer. Podman has no engine that answers:
`run` becomes `podman run`, and that leaves conmon, which ends as the container does.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time

from .api import answers
from .described import by_podman
from .docker import removed_by_docker, run_by_docker
from .podman import removed_by_podman, run_by_podman
from .processes import INTERVAL, KILLED, in_slice, send

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t


def main() -> None:
    what, path, *rest = sys.argv[1:]
    with open(path, encoding="utf-8") as stream:
        task = json.load(stream)
    if what == "run":
        run(task)
    elif what == "stop":
        stop(task, int(rest[0]), rest[1] == "all", float(rest[2]))
    else:
        remove(task)


def run(task: dict[str, t.Any]) -> t.NoReturn:
    while not (by_podman(task) or answers()):
        time.sleep(INTERVAL)
    remove(task)
    sys.exit(run_by_podman(task) if by_podman(task) else run_by_docker(task))


def stop(task: dict[str, t.Any], number: int, everyone: bool, seconds: float) -> None:
    """The signal goes to processes, and not by way of the engine, which may be down."""
    main_process = os.environ.get("MAINPID", "")
    processes = in_slice(task)
    if not everyone:
        with contextlib.suppress(OSError), open(f"{task['runtime']}/pid", encoding="ascii") as file:
            first = int(file.read())
            processes = [first] if first in processes else processes
    send(processes, number)
    end = time.monotonic() + seconds
    while main_process and os.path.exists(f"/proc/{main_process}"):
        if time.monotonic() >= end:
            send(in_slice(task), signal.SIGKILL)
        time.sleep(min(INTERVAL, max(0.01, end - time.monotonic())))


def remove(task: dict[str, t.Any]) -> None:
    """No process of the container is left after it, even without the engine; and with it, nothing at all."""
    end = time.monotonic() + KILLED
    while time.monotonic() < end:
        processes = in_slice(task)
        send(processes, signal.SIGKILL)
        removed = removed_by_podman(task) if by_podman(task) else removed_by_docker(task)
        if not processes and removed:
            return
        time.sleep(0.05)


if __name__ == "__main__":
    main()
