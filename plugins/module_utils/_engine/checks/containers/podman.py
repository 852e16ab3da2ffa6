# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scripts inside of a container of Podman's: its runtime, runc or crun, runs them as it does for `podman exec`.

Podman has conmon start the runtime, and so do we: which runtime it is, and for what, the command line of the container's own conmon says,
which is the main process of the unit. Podman itself would take five times as long, and keep each script in its database until the
container ends, where its time was up.
"""

from __future__ import annotations

import ctypes
import os
import select
from time import monotonic

from ...say import jsontext
from ...system import command
from .. import states
from ..states import CRITICAL, Outcome
from .inside import OUTPUT, Script

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    import typing as t

    from ..states import Check
else:
    import _signal as signal

# prctl(2), linux/prctl.h. What the runtime leaves behind is our child, then.
SET_CHILD_SUBREAPER = 36
MONITOR = "conmon"


class Exec(Script):
    """Its process is the child of this one, which must have no others."""

    def __init__(self, check: Check, started: t.Mapping[str, t.Any], main: int) -> None:
        super().__init__(check, started)
        self._runtime, self._id, bundle = _monitored(main)
        with open(f"{bundle}/config.json", encoding="utf-8") as stream:
            program = jsontext.loads(stream.read())["process"]
        # As the container's own program, with all that limits it.
        self._process = {**program, "terminal": False, "args": self._argv, "env": [*(program.get("env") or ()), self._mark]}
        # The runtime, as long as it runs; whether it has started the script; and the sessions that this may be in.
        self._starter, self._begun = 0, False
        self._sessions: set[int] = set()

    def outcome(self) -> Outcome:
        self._kill()
        ctypes.CDLL(None).prctl(SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        output, writer = os.pipe()
        self._starter = os.fork()
        if not self._starter:
            self._become(writer)
        self._sessions.add(self._starter)
        os.close(writer)
        try:
            status = self._wait(output)
        finally:
            self._end()
        if status is None:
            return Outcome(CRITICAL, f"no result within {self._check['timeout']:g} s", states.last_line(self._said))
        if not self._begun:
            return Outcome(CRITICAL, _explained(self._said)[: states.LONGEST])
        if os.WIFSIGNALED(status):
            return Outcome(CRITICAL, f"killed by signal {os.WTERMSIG(status)}", states.last_line(self._said))
        return states.of_script(os.WEXITSTATUS(status), self._said)

    def _become(self, output: int) -> t.NoReturn:
        """In the child: turn into the runtime, in a session of its own. It ends when the script has started."""
        try:
            os.setsid()
            description = os.memfd_create("process", 0)
            os.write(description, jsontext.dumps(self._process).encode("ascii"))
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(output, 1)
            os.dup2(output, 2)
            argv = [self._runtime, "exec", "--process", f"/proc/self/fd/{description}", "--detach", self._id]
            os.execve(self._runtime, argv, command.ENVIRONMENT)
        except OSError as error:
            os.write(output, f"{self._runtime}: {error.strerror}\n".encode("utf-8", "replace"))
        finally:
            os._exit(127)

    def _wait(self, output: int) -> int | None:
        """The wait status of the script, or of a runtime that could not start it; None where its time was up."""
        more, poll, script = True, select.poll(), None
        poll.register(output, select.POLLIN)
        while monotonic() < self._deadline:
            # It may leave others behind that have its output open.
            if more and poll.poll(20):
                piece = os.read(output, 65536)
                self._said, more = (self._said + piece)[-OUTPUT:], bool(piece)
                if more:
                    continue
            pid, status = self._ended()
            if pid and pid == self._starter:
                self._starter, self._begun = 0, not status
                if status:
                    return status
                self._sessions.update(map(os.getsid, _children()))
            elif pid:
                script = status
            elif not more:
                select.select([], [], [], 0.02)
            if script is not None and self._begun:
                return script
        return None

    def _ended(self) -> tuple[int, int]:
        """A child that has ended, and its wait status; zeros where none has. As long as nobody has asked for that, its session is known."""
        found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if found is None:
            return 0, 0
        self._sessions.add(os.getsid(found.si_pid))
        return os.waitpid(found.si_pid, 0)

    def _end(self) -> None:
        """End what is left; what the runtime is just starting ends with that."""
        if self._starter:
            os.kill(self._starter, signal.SIGKILL)
        self._kill()

    def _began(self, pid: int) -> bool:
        """It is in the session that the runtime has made for it, or in the runtime's own."""
        return os.getsid(pid) in self._sessions


def _children() -> list[int]:
    """Of this process: the script, once its runtime has ended."""
    with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as stream:
        return [int(word) for word in stream.read().split()]


def _monitored(main: int) -> tuple[str, str, str]:
    """The runtime, the container's id and its directory, as conmon has been told of them. Podman gives its place in the unit to it when
    the container has started.
    """
    with open(f"/proc/{main}/cmdline", encoding="utf-8") as stream:
        words = stream.read().split("\0")
    if os.path.basename(words[0]) != MONITOR:
        raise OSError(0, "its container has not started")
    runtime, name, bundle = (words[words.index(option) + 1] for option in ("-r", "-c", "-b"))
    return runtime, name, bundle


def _explained(said: bytes) -> str:
    """Why the runtime could not start it."""
    line = states.last_line(said)
    message = line.partition(' msg="')[2].rstrip('"').replace('\\"', '"')
    return message or line or "the container's runtime refuses it"
