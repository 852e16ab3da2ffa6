# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work that is done for each robot of a large fleet, shared among the processors of the controller."""

from __future__ import annotations

import multiprocessing
import os
import time
import typing as t

if t.TYPE_CHECKING:
    from multiprocessing.connection import Connection

    One = t.TypeVar("One")
    Result = t.TypeVar("Result")

# Robots for which a further process is worth its start.
FEWEST = 100
# Seconds that another process gets beyond twice the time that the work takes here. Ansible's workers have a thread, too, and a process that
# is forked while that thread holds a lock could wait for it without end.
PATIENCE = 10.0

# Ansible's own workers are made so, too: what has been read is there, and nothing but the result is sent.
_FORK = multiprocessing.get_context("fork")


def in_parts(work: t.Callable[[t.Sequence[One]], Result], robots: t.Sequence[One]) -> list[Result]:
    """What `work` returns for each of the consecutive parts of `robots`, in their order. It is called in processes of their own, but for
    the first part, so it must not change anything that is needed later. What it raises for any part, this raises.
    """
    count = max(1, min(_processors(), len(robots) // FEWEST))
    first, *others = [robots[len(robots) * number // count : len(robots) * (number + 1) // count] for number in range(count)]
    began, begun = time.monotonic(), [_begun(work, part) for part in others]
    found = work(first)
    deadline = time.monotonic() + (time.monotonic() - began) + PATIENCE
    return [found, *(result(deadline) for result in begun)]


def _processors() -> int:
    """Those that this process may use; macOS does not tell."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _begun(work: t.Callable[[t.Sequence[One]], Result], part: t.Sequence[One]) -> t.Callable[[float], Result]:
    """Begins to do this part in another process, if there can be one; what is returned waits for its result until a deadline."""
    receiver, sender = _FORK.Pipe(duplex=False)
    # It ends with this one, also where another part has raised an error.
    process = _FORK.Process(target=_send, args=(sender, work, part), daemon=True)
    with sender:
        try:
            process.start()
        except OSError:
            receiver.close()
            return lambda _deadline: work(part)

    def result(deadline: float) -> Result:
        with receiver:
            try:
                if receiver.poll(max(0.0, deadline - time.monotonic())):
                    return t.cast("Result", receiver.recv())
            except (EOFError, OSError):
                pass
            finally:
                process.kill()
                process.join()
        # Where it has failed, was killed or does not end, the work is done again here, where an error can be raised as it is.
        return work(part)

    return result


def _send(sender: Connection, work: t.Callable[[t.Sequence[One]], Result], part: t.Sequence[One]) -> None:
    try:
        sender.send(work(part))
    except BaseException:
        # Of whatever goes wrong here, nothing is to be printed.
        os._exit(1)
