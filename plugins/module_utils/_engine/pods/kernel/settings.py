# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of the kernel (sysctl), of a network, and work in a process of its own, whose namespaces go with it."""

from __future__ import annotations

import ctypes
import errno
import os

from ...say.errors import CommandFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

# Of the network of who looks.
SETTINGS = "/proc/sys/net"
# linux/sched.h, sys/mount.h.
_NEW_MOUNTS, _ALL_PRIVATE = 0x00020000, 0x44000
LIBC = ctypes.CDLL(None, use_errno=True)


def read(name: str) -> str:
    """Empty where the kernel has no such setting: of an interface that is gone, or of IPv6."""
    try:
        with open(f"{SETTINGS}/{name}", encoding="ascii") as stream:
            return stream.read().strip()
    except FileNotFoundError:
        return ""


def configure(settings: t.Mapping[str, str]) -> None:
    """Have settings of the robot's own network."""
    in_turn(list(settings.items()))


def in_turn(settings: t.Sequence[tuple[str, str]]) -> None:
    """The same where their order matters, and one may be changed twice."""

    def work() -> None:
        for name, value in settings:
            sysctl(name, value)

    in_child(work)


def in_child(work: t.Callable[[], None]) -> None:
    """Do something in a process of its own, whose namespaces go with it."""
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        status = 1
        try:
            work()
            status = 0
        except (OSError, CommandFailed) as error:
            os.write(writer, str(error).encode("utf-8", "replace")[:4000])
        finally:
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        said = stream.read().decode("utf-8", "replace")
    if os.waitpid(pid, 0)[1]:
        raise CommandFailed(said or "the network of the pod could not be set up")


def sysctl(name: str, value: str) -> None:
    """In a child: /proc/sys/net is that of the network in which a process is. Where it is read-only, as in most containers, it is mounted
    anew. A kernel without IPv6 has nothing of some names.
    """
    path = f"{SETTINGS}/{name}"
    try:
        _write(path, value)
    except OSError as error:
        if error.errno == errno.EROFS:
            done(LIBC.unshare(_NEW_MOUNTS))
            done(LIBC.mount(b"none", b"/", None, _ALL_PRIVATE, None))
            done(LIBC.mount(b"proc", b"/proc", b"proc", 0, None))
            _write(path, value)
        elif error.errno != errno.ENOENT:
            raise


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as stream:
        stream.write(text)


def done(result: int) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
