# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every way in which work can end, as an answer: no traceback ever reaches a person."""

from __future__ import annotations

import errno

from . import disk
from .errors import CommandFailed, Refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    # The engine's answer to a request: a JSON object with at least a ``status``. The file that makes one documents it.
    Answer = t.Mapping[str, t.Any]

    class Failure(t.TypedDict):
        """``refused``: the robot cannot, and nothing was changed. ``failed``: the work went wrong."""

        status: t.Literal["refused", "failed"]
        errors: list[str]


def failed(error: Exception) -> Failure:
    """The answer of work that ended with an exception."""
    if isinstance(error, Refusal):
        return {"status": "refused", "errors": error.errors}
    if isinstance(error, CommandFailed):
        return {"status": "failed", "errors": [str(error)]}
    if isinstance(error, OSError):
        found = _of_the_disk(error)
        return (
            {"status": "refused", "errors": [found]}
            if found
            else {"status": "failed", "errors": [f"{error.strerror or error}{_at(error)}"]}
        )
    return {"status": "failed", "errors": [internal(error)]}


def _of_the_disk(error: OSError) -> str | None:
    """What is wrong with the file system, where that is what is wrong."""
    path = error.filename if isinstance(error.filename, str) else ""
    where = f"the file system at {disk.mount_point(path)}" if path.startswith("/") else "a file system"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"disk full: {where} has no space or no inodes left" + (f" for {path}" if path else "")
    if error.errno == errno.EROFS:
        return f"read-only: {where} cannot be changed" + (f": {path}" if path else "")
    return None


def is_internal(error: Exception) -> bool:
    """Whether an error is the engine's own: it should not be, unless its files are damaged."""
    return not isinstance(error, (Refusal, CommandFailed, OSError))


def internal(error: Exception) -> str:
    """An error of the engine itself: enough to report it, and no value that it was handling."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f" at {trace.tb_frame.f_code.co_filename.rsplit('/', 1)[-1]}:{trace.tb_lineno}" if trace else ""
    return f"error in the engine ({type(error).__name__}{where}); please report it"


def _at(error: OSError) -> str:
    return f" ({error.filename})" if error.filename else ""
