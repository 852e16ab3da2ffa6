# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A limit of the memory that rendering may take: one call of a filter can ask for gigabytes, and no time limit comes in between."""

from __future__ import annotations

import contextlib
import resource
import typing as t

# Bytes beyond what the process has. The largest result is 1 MiB, and what it is made from is read before: this is room for hundreds of
# such texts, and a controller that renders for several robots at once has it for each of its processors.
ROOM = 256 * 2**20
SAID = f"needs more than {ROOM // 2**20} MiB of memory"
REMEDY = "make it smaller"
_PAGES = "/proc/self/statm"


@contextlib.contextmanager
def limit(room: int = ROOM) -> t.Iterator[None]:
    """Have Python raise `MemoryError` in the body where it would take more than `room`. Programs that the body starts have the limit, too.

    macOS neither tells what a process has nor keeps the limit: there is none.
    """
    before, most = resource.getrlimit(resource.RLIMIT_AS)
    wanted = _taken() + room
    if wanted == room or 0 <= before <= wanted:
        yield
        return
    resource.setrlimit(resource.RLIMIT_AS, (wanted, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (before, most))


def _taken() -> int:
    """The bytes of this process's address space; 0 where nobody tells."""
    try:
        with open(_PAGES, encoding="ascii") as file:
            return int(file.read().split()[0]) * resource.getpagesize()
    except OSError:
        return 0
