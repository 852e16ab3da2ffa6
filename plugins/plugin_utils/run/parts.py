# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work that is done for each robot of a large fleet, shared among the processors of the controller."""

from __future__ import annotations

import multiprocessing
import os
import typing as t

if t.TYPE_CHECKING:
    from multiprocessing.connection import Connection

    One = t.TypeVar("One")
    Result = t.TypeVar("Result")

# Robots for which a further process is worth its start.
FEWEST = 100

# Ansible's own workers are made so, too: what has been read is there, and nothing but the result is sent.
_FORK = multiprocessing.get_context("fork")


def in_parts(work: t.Callable[[t.Sequence[One]], Result], robots: t.Sequence[One]) -> list[Result]:
    """What `work` returns for each of the consecutive parts of `robots`, in their order. It is called in processes of their own, but for
    the first part, so it must not change anything that is needed later. What it raises for any part, this raises.
    """
    count = max(1, min(os.cpu_count() or 1, len(robots) // FEWEST))
    first, *others = [robots[len(robots) * number // count : len(robots) * (number + 1) // count] for number in range(count)]
    begun = [_begun(work, part) for part in others]
    return [work(first), *(result() for result in begun)]


def _begun(work: t.Callable[[t.Sequence[One]], Result], part: t.Sequence[One]) -> t.Callable[[], Result]:
    """Begins to do this part in another process, if there can be one; what is returned waits for its result."""
    receiver, sender = _FORK.Pipe(duplex=False)
    # It ends with this one, also where another part has raised an error.
    process = _FORK.Process(target=_send, args=(sender, work, part), daemon=True)
    with sender:
        try:
            process.start()
        except OSError:
            receiver.close()
            return lambda: work(part)

    def result() -> Result:
        with receiver:
            try:
                return t.cast("Result", receiver.recv())
            except (EOFError, OSError):
                # Where it has failed, or was killed, the work is done again here, where an error can be raised as it is.
                return work(part)
            finally:
                process.join()

    return result


def _send(sender: Connection, work: t.Callable[[t.Sequence[One]], Result], part: t.Sequence[One]) -> None:
    try:
        sender.send(work(part))
    except BaseException:
        # Of whatever goes wrong here, nothing is to be printed.
        os._exit(1)
