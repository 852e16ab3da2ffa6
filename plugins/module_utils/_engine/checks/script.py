# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Script checks: each runs as its task's user, in the task's namespaces and control groups, as if the task had started it. Those of a
container are containers/'s.

The child stays outside. What it needs to see of the robot it opens before it enters the task's view of the file system, and
the script's variables never reach a program that root executes.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import pwd
import resource
import select
import signal
from time import monotonic

from ..say import jsontext
from . import filters, states
from .states import CRITICAL, Outcome

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from .states import Check, Run

# Of a script's output, so much is kept in memory: its end.
OUTPUT = 4096
# Namespaces in the order in which they are entered, as files of /proc/PID/ns; setns(2), linux/sched.h. The last is that of the
# processes that the program of an exec task is in.
NAMESPACES = (("ipc", 0x08000000), ("uts", 0x04000000), ("net", 0x40000000), ("mnt", 0x00020000), ("pid_for_children", 0x20000000))
# Entered by its own user, who needs no privilege for that, and to whom the kernel gives all in it.
NEW_USER = 0x10000000
# prctl(2), linux/prctl.h.
SET_PDEATHSIG, CAPBSET_DROP, SET_NO_NEW_PRIVS = 1, 24, 38
# The variable by which what a script has started is known again.
MARK = "K8S4R_CHECK"
_LIBC = ctypes.CDLL(None, use_errno=True)


def run(task: str, check: Check, how: Run, unit: str, pid: int, writer: int) -> None:
    """Run a script for the task of this unit, with this main process, and tell the result as the children that connect do."""
    try:
        found = _in_container(check, how["container"], pid) if "container" in how else _Script(check, how, within(unit, pid)).outcome()
    except (KeyError, OSError) as error:
        found = Outcome(CRITICAL, f"cannot be run: {getattr(error, 'strerror', '') or error}"[: states.LONGEST])
    os.write(writer, jsontext.dumps([task, check["name"], *found]).encode("ascii") + b"\n")


def _in_container(check: Check, container: str, main: int) -> Outcome:
    # Few robots have any.
    from .containers import engines

    return engines.run(check, container, main)


class _Script:
    def __init__(self, check: Check, how: Run, process: Process) -> None:
        self._check, self._how = check, how
        self._argv = check["argv"]
        self._mark = os.urandom(8).hex()
        self._variables = {"PATH": how["path"], **variables(how["environment"]), MARK: self._mark}
        self._processes = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY)
        self._groups = [os.open(path, os.O_RDWR) for path in process.control_groups()]
        self._limits = process.limits()
        self._cpus, self._nice = os.sched_getaffinity(process.pid), os.getpriority(os.PRIO_PROCESS, process.pid)
        namespaces = [(process.open(f"ns/{name}"), kind) for name, kind in NAMESPACES]
        self._users = process.open("ns/user") if how.get("users") == "own" else None
        # In a user namespace that it has made, anybody may mount what he likes, also in the place of the robot's programs. Asked when the
        # others are open: nobody comes back out of one.
        if self._users is None and process.has_users_of_its_own():
            raise OSError(errno.EPERM, "its program has made a user namespace, and root enters none of those")
        user = pwd.getpwnam(how["user"])
        self._uid = user.pw_uid
        self._gid = _group(how["group"])
        self._others = [*os.getgrouplist(how["user"], self._gid), *map(_group, how["groups"])]
        for namespace, kind in namespaces:
            _done(_LIBC.setns(namespace, kind))
            os.close(namespace)

    def outcome(self) -> Outcome:
        deadline = monotonic() + self._check["timeout"]
        output, writer = os.pipe()
        go, ready = os.pipe()
        status = None
        script = os.fork()
        if not script:
            os.close(ready)
            self._become(go, writer)
        os.close(writer)
        try:
            for number, group in enumerate(self._groups):
                # Of the others some are not systemd's, and have rules of their own.
                with contextlib.suppress(OSError) if number else contextlib.nullcontext():
                    os.write(group, str(script).encode("ascii"))
            os.write(ready, b"!")
            status, said = self._wait(script, output, deadline)
        finally:
            if status is None:
                # It may not lead a process group yet, nor have its mark.
                os.kill(script, signal.SIGKILL)
            self._kill(script)
        if status is None:
            return Outcome(CRITICAL, f"no result within {self._check['timeout']:g} s", states.last_line(said))
        if os.WIFSIGNALED(status):
            return Outcome(CRITICAL, f"killed by signal {os.WTERMSIG(status)}", states.last_line(said))
        return states.of_script(os.WEXITSTATUS(status), said)

    def _wait(self, script: int, output: int, deadline: float) -> tuple[int | None, bytes]:
        """The wait status of the script, or None where its time was up, and the end of its output."""
        said, more = b"", True
        poll = select.poll()
        poll.register(output, select.POLLIN)
        while monotonic() < deadline:
            # It may leave others behind that have its output open.
            if more and poll.poll(20):
                piece = os.read(output, 65536)
                said, more = (said + piece)[-OUTPUT:], bool(piece)
                if more:
                    continue
            pid, status = os.waitpid(script, os.WNOHANG)
            if pid:
                return status, said
            if not more:
                select.select([], [], [], 0.02)
        return None, said

    def _kill(self, script: int) -> None:
        """Kill what is left of the script: it, its process group, and whatever has its mark in the task's control group."""
        for _round in range(20):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(script, signal.SIGKILL)
            left = [pid for pid in self._members() if self._is_marked(pid)]
            if not left:
                return
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            select.select([], [], [], 0.01)

    def _members(self) -> t.Iterator[int]:
        for group in self._groups[:1]:
            os.lseek(group, 0, os.SEEK_SET)
            with os.fdopen(os.dup(group), "rb") as stream:
                yield from map(int, stream.read().split())

    def _is_marked(self, pid: int) -> bool:
        try:
            with open(os.open(f"{pid}/environ", os.O_RDONLY, dir_fd=self._processes), "rb") as stream:
                return f"{MARK}={self._mark}".encode("ascii") in stream.read(1 << 20).split(b"\0")
        except OSError:
            return False

    def _become(self, go: int, output: int) -> t.NoReturn:
        """In the child: turn into the script, with no more rights than its task."""
        try:
            if not os.read(go, 1):
                raise OSError(errno.ESRCH, "its task has gone")
            os.setsid()
            with contextlib.suppress(OSError):
                os.sched_setaffinity(0, self._cpus)
                os.setpriority(os.PRIO_PROCESS, 0, self._nice)
            for each, limit in enumerate(self._limits):
                # A container may not raise one.
                with contextlib.suppress(OSError, ValueError):
                    resource.setrlimit(each, limit)
            if self._how["confined"]:
                _drop_all()
            os.setgroups(self._others)
            os.setgid(self._gid)
            os.setuid(self._uid)
            if self._users is not None:
                _done(_LIBC.setns(self._users, NEW_USER))
                if os.getuid() == 0:
                    # Who is somebody else there loses them with the next program.
                    _drop_all()
            if self._how["confined"]:
                _done(_LIBC.prctl(SET_NO_NEW_PRIVS, 1, 0, 0, 0))
                filters.restrict(_LIBC)
            _done(_LIBC.prctl(SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0))
            os.umask(0o022)
            os.chdir(self._how["directory"])
            # Python ignores it. Another one that it ignores, SIGPIPE, units ignore too.
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(output, 1)
            os.dup2(output, 2)
            self._execute()
        except (OSError, ValueError) as error:
            os.write(output, f"{self._argv[0]}: {getattr(error, 'strerror', '') or error}\n".encode("utf-8", "replace"))
        finally:
            os._exit(127)

    def _execute(self) -> t.NoReturn:
        """Not os.execvpe: it imports something first, and would find it in the task's view of the file system."""
        name = self._argv[0]
        for directory in [""] if "/" in name else [f"{each}/" for each in self._variables["PATH"].split(":")]:
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                os.execve(directory + name, self._argv, self._variables)
        raise FileNotFoundError(errno.ENOENT, "not found")


class Process:
    """A process by its directory in /proc: that is its own, and empty once it has ended, even if another one gets its number."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._directory = os.open(f"/proc/{pid}", os.O_RDONLY | os.O_DIRECTORY)

    def open(self, name: str) -> int:
        return os.open(name, os.O_RDONLY, dir_fd=self._directory)

    def lines(self, name: str) -> list[str]:
        with open(self.open(name), encoding="utf-8") as stream:
            return stream.read().splitlines()

    def inode(self, name: str) -> int:
        return os.stat(name, dir_fd=self._directory).st_ino

    def control_groups(self) -> list[str]:
        """The files by which others enter its control groups, in each hierarchy; systemd's own is the first."""
        found = []
        for line in self.lines("cgroup"):
            _number, controllers, path = line.split(":", 2)
            mounts = [controllers.replace("name=", "")] if controllers else ["", "unified"]
            for mount in mounts:
                place = f"/sys/fs/cgroup/{mount}{path}/cgroup.procs"
                if os.path.exists(place):
                    found.append(("" if controllers in ("", "name=systemd") else controllers, place))
        return [place for _controllers, place in sorted(found)]

    def is_of(self, unit: str) -> bool:
        """Whether it is a process of this unit: root alone moves one elsewhere."""
        return f"/{unit}/" in self.control_groups()[0]

    def has_users_of_its_own(self) -> bool:
        """Whether it is in another user namespace than this program. Nobody is where the kernel was built without them."""
        try:
            ours = os.stat("/proc/self/ns/user").st_ino
        except FileNotFoundError:
            return False
        return self.inode("ns/user") != ours

    def limits(self) -> list[tuple[int, int]]:
        """Its limits, by the kernel's numbers of them, as setrlimit(2) takes them. To ask for those of another user's process takes a
        privilege that a container has not; to read them takes none.
        """
        return [(_limit(line[26:47]), _limit(line[47:68])) for line in self.lines("limits")[1:]]


def within(unit: str, pid: int) -> Process:
    """The process of a unit that is in its task's namespaces: the main process, or its child, where that one only waits outside."""
    main = Process(pid)
    if main.inode("ns/pid_for_children") == main.inode("ns/pid"):
        found = main
    else:
        children = " ".join(main.lines(f"task/{pid}/children")).split()
        if not children:
            raise OSError(errno.ESRCH, "its task has no process")
        found = Process(int(children[0]))
        if f"PPid:\t{pid}" not in found.lines("status"):
            raise OSError(errno.ESRCH, "its task has just ended")
    if not found.is_of(unit):
        raise OSError(errno.ESRCH, "its task has just ended")
    return found


def _drop_all() -> None:
    """No capability may ever come back: this is for a task whose program has none, even where it runs as root."""
    capability = 0
    while _LIBC.prctl(CAPBSET_DROP, capability, 0, 0, 0) == 0:
        capability += 1


def _done(result: int) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _group(name: str) -> int:
    import grp

    return grp.getgrnam(name).gr_gid


def _limit(text: str) -> int:
    return resource.RLIM_INFINITY if text.strip() == "unlimited" else int(text)


def variables(path: str) -> dict[str, str]:
    """The variables of an environment file, as the compiler has written it: in quotes, with a backslash before some characters."""
    import re

    with open(path, encoding="utf-8") as stream:
        text = stream.read()
    found = re.findall(r'^(\w+)="((?:[^"\\]|\\.)*)"$', text, re.MULTILINE | re.DOTALL)
    return {name: re.sub(r"\\(.)", r"\1", value, flags=re.DOTALL) for name, value in found}
