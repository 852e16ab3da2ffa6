# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running programs of the robot.

``os.fork`` and not ``subprocess``: its import alone costs 15 ms, and an unchanged deploy waits for it. ``os.posix_spawn``
would save another 0.5 ms, but ansible-test refuses it since ansible-core 2.21. Time is kept here, and not by coreutils' `timeout`: one
more program is half of what most of them cost.
"""

from __future__ import annotations

import os
import select
import time

from ..say.errors import CommandFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    import io
    import typing as t
    from typing import NoReturn

# The status of one that did not end in its time, as of `timeout`.
LATE = 124
# Seconds for a program of the network's, which may wait for locks that others hold. None of them takes longer by itself.
PATIENCE = 20
# Seconds that it has to end when it is asked to.
_GRACE = 2.0
# Between two looks at whether one has ended that prints nothing more.
_MOMENT = 0.0003
# Of signals. Their module costs more than all that is here.
_TERM, _KILL = 15, 9

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

    ``errors``: standard error is part of what it printed. ``timeout`` in seconds, after which it and what it has started is asked to
    end, and then killed: the status is LATE. ``environment``: its variables, in place of `ENVIRONMENT`.
    """
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        _become(argv, writer, errors, environment or ENVIRONMENT, timeout is not None)
    os.close(writer)
    with os.fdopen(reader, "rb", buffering=0) as stream:
        if timeout is None:
            output, late = stream.readall(), False
            status = os.waitpid(pid, 0)[1]
        else:
            output, status, late = _within(timeout, stream, pid)
    text = output.decode("utf-8", "replace")
    if late:
        return LATE, f"{text}\nit did not end within {timeout:g} s"
    return (128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)), text


def _within(timeout: float, stream: io.FileIO, pid: int) -> tuple[bytes, int, bool]:
    """What it has printed, how it ended, and whether it was ended."""
    output, grace = bytearray(), timeout
    for sent in (0, _TERM, _KILL):
        if sent:
            _signal(pid, sent)
            grace = _GRACE
        status = _ended(stream, pid, output, time.monotonic() + grace)
        if status is not None:
            return bytes(output), status, sent != 0
    # Nobody ends what the kernel holds.
    return bytes(output), 0, True


def _ended(stream: io.FileIO, pid: int, output: bytearray, deadline: float) -> int | None:
    """How it ended; None if it has not by then. What it has started may print on."""
    while True:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([stream], [], [], left)[0]:
            break
        chunk = stream.read(65536)
        if not chunk:
            break
        output += chunk
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return status
        if time.monotonic() >= deadline:
            return None
        time.sleep(_MOMENT)


def _signal(pid: int, number: int) -> None:
    """To it and what it has started, which is a group once it runs."""
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        os.kill(pid, number)


def _become(argv: list[str], output: int, errors: bool, environment: t.Mapping[str, str], group: bool) -> NoReturn:
    """In the child process: turn into the program. The child must not flush or run what the parent registered."""
    try:
        if group:
            os.setpgid(0, 0)
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
