# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of which the old ones stay, beside the new ones, until these work.

Each step is the change of one name, so that wherever a run is killed, the next one goes on from there.
"""

from __future__ import annotations

import contextlib
import os
import typing as t

# How the names of files end that were at a path before, and that are to be there.
FORMER, NEXT = ".former", ".next"
# How the name of a file ends that is beside the first path from before anything of the old is moved until the new works.
MARK = ".exchange"


class Exchange:
    """The files at these paths, in the order in which they change hands; while that is done, nothing may read or write them."""

    def __init__(self, paths: t.Sequence[str]) -> None:
        self._paths = paths
        self._mark = paths[0] + MARK if paths else ""

    def begin(self) -> None:
        """Put the old ones aside, and what is next in their place. What a run has put aside that was cut off is the old one still."""
        if not os.path.lexists(self._mark):
            self._remove(FORMER)
            os.close(os.open(self._mark, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600))
        for path in self._paths:
            aside = os.path.lexists(path + FORMER)
            replaced = os.path.lexists(path + NEXT)
            if os.path.lexists(path) and not aside and not replaced:
                os.rename(path, path + FORMER)
            elif os.path.lexists(path) and not aside:
                # Something is always there.
                os.link(path, path + FORMER, follow_symlinks=False)
            elif not replaced:
                _unlink(path)
            if replaced:
                os.rename(path + NEXT, path)

    def go_back(self) -> None:
        """Have the old ones in their place again, the last one first: until all are back, it is not the old key that is there."""
        for path in reversed(self._paths):
            if os.path.lexists(path + FORMER):
                os.rename(path + FORMER, path)
        _unlink(self._mark)

    def finish(self) -> None:
        """Remove the old ones."""
        if self._paths:
            _unlink(self._mark)
            self._remove(FORMER)
            self._remove(NEXT)

    def _remove(self, ending: str) -> None:
        for path in self._paths:
            _unlink(path + ending)


def _unlink(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
