# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes of a container, which are found and ended also while its engine does not answer."""

from __future__ import annotations

import contextlib
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

# Seconds: between two looks; for the end of what was killed.
INTERVAL, KILLED = 0.2, 10
# The slice that systemd does not stop, at a shutdown either.
ALWAYS_UP = "system.slice"


def send(processes: t.Iterable[int], number: int) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, number)


def in_slice(task: dict[str, t.Any]) -> list[int]:
    """The processes of the container, which may be apart from its slice."""
    found = processes_in(task["slice"])
    with contextlib.suppress(OSError), open(f"{task['runtime']}/apart", encoding="ascii") as stream:
        found += processes_in(stream.read())
    return found


def processes_in(group: str) -> list[int]:
    """The processes of a control group that systemd knows, and of those below it."""
    root = "/sys/fs/cgroup" if os.path.exists("/sys/fs/cgroup/cgroup.controllers") else "/sys/fs/cgroup/systemd"
    found = []
    for path, _directories, _names in os.walk(root + group):
        with contextlib.suppress(OSError), open(f"{path}/cgroup.procs", encoding="ascii") as stream:
            found += [int(line) for line in stream]
    return found
