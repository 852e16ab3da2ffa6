# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running programs of the robot.

``os.fork`` and not ``subprocess``: its import alone costs 15 ms, and an unchanged deploy waits for it. ``os.posix_spawn``
would save another 0.5 ms, but ansible-test refuses it since ansible-core 2.21.
"""

from __future__ import annotations

import os

from ..say.errors import CommandFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t
    from typing import NoReturn

ENVIRONMENT = {
    "LC_ALL": "C.UTF-8",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "SYSTEMD_COLORS": "0",
    "SYSTEMD_PAGER": "",
    "TZ": "UTC",
}


def run(
    argv: list[str], errors: bool = True, timeout: float | None = None, environment: t.Mapping[str, str] | None = None
) -> tuple[int, str]:
    """Run a program to its end; its exit status (of a shell: 128 and the signal's number) and what it printed.

    ``errors``: standard error is part of what it printed. ``timeout`` in seconds; coreutils' timeout gives 124.
    ``environment``: its variables, in place of `ENVIRONMENT`.
    """
    if timeout is not None:
        argv = ["timeout", "--kill-after=2", str(timeout), *argv]
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        _become(argv, writer, errors, environment or ENVIRONMENT)
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        output = stream.read().decode("utf-8", "replace")
    status = os.waitpid(pid, 0)[1]
    return (128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)), output


def _become(argv: list[str], output: int, errors: bool, environment: t.Mapping[str, str]) -> NoReturn:
    """In the child process: turn into the program. The child must not flush or run what the parent registered."""
    try:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(output, 1)
        os.dup2(output if errors else os.open(os.devnull, os.O_WRONLY), 2)
        os.execvpe(argv[0], argv, environment)
    except FileNotFoundError:
        os.write(output, f"{argv[0]}: not found".encode())
    except OSError as error:
        os.write(output, f"{argv[0]}: {error.strerror}".encode())
    finally:
        os._exit(127)


def need(argv: list[str], timeout: float | None = None) -> str:
    """Run a program that must end well; what it printed."""
    code, output = run(argv, timeout=timeout)
    if code:
        raise failed(argv, code, output)
    return output


def failed(argv: list[str], code: int, output: str) -> CommandFailed:
    """The error of a program that had to end well."""
    return CommandFailed(f"{' '.join(argv)} ended with status {code}: {output.strip()[-2000:]}")
