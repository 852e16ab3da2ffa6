# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What systemd's RestrictSUIDSGID= and LockPersonality= deny a task, denied to what runs in the task's place, too.

A program with a set-user-ID bit, left in a directory of the group, would run as its owner for tasks without walls.

A filter of system calls, in the kernel's own language: seccomp(2), linux/filter.h.
"""

from __future__ import annotations

import ctypes
import errno
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    # Where it jumps is counted from the next one on: if the comparison holds, and if it does not.
    Instruction = t.Tuple[int, int, int, int]
    # The numbers of system calls, each with the number of its argument that is a mode.
    Modes = t.Mapping[int, int]

# Instructions: load a word, jump, jump if equal, if any of these bits is set, or if not less; return.
_LOAD, _JUMP, _EQUAL, _ANY, _LEAST, _RETURN = 0x20, 0x05, 0x15, 0x45, 0x35, 0x06
_ALLOW, _DENY, _UNKNOWN = 0x7FFF0000, 0x00050000 | errno.EPERM, 0x00050000 | errno.ENOSYS
# Where struct seccomp_data has the call's number and the architecture; its arguments follow, of 8 bytes each.
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16
# S_ISUID and S_ISGID; and the flags with which opening a file takes a mode: O_CREAT and O_TMPFILE.
_SPECIAL, _MAKES = 0o6000, 0o100 | 0o20000000
# What asks only which personality there is, and the one that all programs begin with: personality(2).
_SAME = (0xFFFFFFFF, 0)
# From here on, x86-64 has its calls once more, for programs with short pointers. On the others there is none.
_SHORT = 0x40000000
# fchmodat2 and openat2 have the same numbers everywhere; in a structure, which the latter has, the kernel's filters see nothing.
_FCHMODAT2, _OPENAT2 = 452, 437
_PRCTL_FILTER, _MODE_FILTER = 22, 2


class _Calls:
    """An architecture's calls, by their numbers: linux/audit.h, asm/unistd.h."""

    def __init__(self, architecture: int, modes: Modes, opens: Modes, personality: int) -> None:
        self.architecture, self.modes, self.opens, self.personality = architecture, {**modes, _FCHMODAT2: 2}, opens, personality


_ALL = (
    # x86-64: chmod, fchmod, fchmodat, mkdir, mkdirat, mknod, mknodat, creat; open, openat.
    _Calls(0xC000003E, {90: 1, 91: 1, 268: 2, 83: 1, 258: 2, 133: 1, 259: 2, 85: 1}, {2: 2, 257: 3}, 135),
    # i386, in the same order.
    _Calls(0x40000003, {15: 1, 94: 1, 306: 2, 39: 1, 296: 2, 14: 1, 297: 2, 8: 1}, {5: 2, 295: 3}, 136),
    # arm64, which has only those with a directory.
    _Calls(0xC00000B7, {52: 1, 53: 2, 34: 2, 33: 2}, {56: 3}, 92),
    # arm.
    _Calls(0x40000028, {15: 1, 94: 1, 333: 2, 39: 1, 323: 2, 14: 1, 324: 2, 8: 1}, {5: 2, 322: 3}, 136),
)


def restrict(libc: ctypes.CDLL) -> None:
    """Deny this process, and all that it starts, to give files such bits, and to change its personality. It must have said before that it
    gains no privileges. Raises OSError. A kernel without such filters has none for the task, either.
    """
    text = b"".join(struct.pack("=HBBI", *each) for each in _program())
    buffer = ctypes.create_string_buffer(text, len(text))
    # struct sock_fprog: how many, and where.
    program = ctypes.create_string_buffer(struct.pack("@HP", len(text) // 8, ctypes.addressof(buffer)))
    if libc.prctl(_PRCTL_FILTER, _MODE_FILTER, program, 0, 0) and ctypes.get_errno() != errno.EINVAL:
        raise OSError(ctypes.get_errno(), "system calls cannot be restricted")


def _program() -> list[Instruction]:
    found: list[Instruction] = []
    for calls in _ALL:
        body = _of(calls)
        found += [(_LOAD, 0, 0, _ARCHITECTURE), (_EQUAL, 1, 0, calls.architecture), (_JUMP, 0, 0, len(body)), *body]
    return [*found, _return(_ALLOW)]


def _of(calls: _Calls) -> list[Instruction]:
    """For one architecture: each call is looked for by its number, and then judged by its arguments."""
    found: list[Instruction] = [(_LOAD, 0, 0, _NUMBER), (_LEAST, 0, 1, _SHORT), _return(_DENY)]
    judged = {number: _mode(argument) for number, argument in calls.modes.items()}
    for number, argument in calls.opens.items():
        judged[number] = [_argument(argument - 1), (_ANY, 1, 0, _MAKES), _return(_ALLOW), *_mode(argument)]
    judged[_OPENAT2] = [_return(_UNKNOWN)]
    judged[calls.personality] = [
        _argument(0),
        *((_EQUAL, len(_SAME) - n, 0, same) for n, same in enumerate(_SAME)),
        _return(_DENY),
        _return(_ALLOW),
    ]
    for number, what in judged.items():
        found += [(_EQUAL, 0, len(what), number), *what]
    return [*found, _return(_ALLOW)]


def _mode(argument: int) -> list[Instruction]:
    return [_argument(argument), (_ANY, 0, 1, _SPECIAL), _return(_DENY), _return(_ALLOW)]


def _argument(number: int) -> Instruction:
    """Load the lower half of an argument; all these machines have that first."""
    return (_LOAD, 0, 0, _ARGUMENTS + 8 * number)


def _return(what: int) -> Instruction:
    return (_RETURN, 0, 0, what)
