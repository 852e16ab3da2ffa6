# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running programs of the robot.

``os.posix_spawn`` and not ``subprocess``: its import alone costs 15 ms, and an unchanged deploy waits for it.
"""

from __future__ import annotations

import os

from ..say.errors import CommandFailed

ENVIRONMENT = {
    "LC_ALL": "C.UTF-8",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "SYSTEMD_COLORS": "0",
    "SYSTEMD_PAGER": "",
    "TZ": "UTC",
}


def run(argv: list[str], errors: bool = True, timeout: float | None = None) -> tuple[int, str]:
    """Run a program to its end; its exit status (of a shell: 128 and the signal's number) and what it printed.

    ``errors``: standard error is part of what it printed. ``timeout`` in seconds; coreutils' timeout gives 124.
    """
    if timeout is not None:
        argv = ["timeout", "--kill-after=2", str(timeout), *argv]
    reader, writer = os.pipe()
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_DUP2, writer, 1),
        (os.POSIX_SPAWN_DUP2, writer, 2) if errors else (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
    ]
    try:
        pid = os.posix_spawnp(argv[0], argv, ENVIRONMENT, file_actions=actions)
    except FileNotFoundError:
        os.close(reader)
        return 127, f"{argv[0]}: not found"
    finally:
        os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        output = stream.read().decode("utf-8", "replace")
    status = os.waitpid(pid, 0)[1]
    return (128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)), output


def need(argv: list[str], timeout: float | None = None) -> str:
    """Run a program that must end well; what it printed."""
    code, output = run(argv, timeout=timeout)
    if code:
        raise CommandFailed(f"{' '.join(argv)} ended with status {code}: {output.strip()[-2000:]}")
    return output
