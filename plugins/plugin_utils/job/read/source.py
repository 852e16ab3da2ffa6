# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A job file's text, and what may be shown of it."""

from __future__ import annotations

import collections.abc as c
import typing as t

from ..errors import Mistake, Position, Problem

NOWHERE: Position = (0, 0)


class Source(t.NamedTuple):
    """One job file. ``name`` is its path as the user wrote it; ``rendered``: Jinja made the text (positions are the
    rendered text's); ``vaulted``: the whole file was encrypted, so no value of it is shown in a message.
    """

    name: str
    text: str | bytes
    rendered: bool = False
    vaulted: bool = False

    def problem(self, mistake: Mistake, path: str = "", position: Position = NOWHERE) -> Problem:
        """The mistake as an error or warning about this file."""
        message = mistake.message(self.vaulted) + (" (after rendering)" if self.rendered else "")
        return Problem(self.name, message, mistake.way_out(self.vaulted), path, *(mistake.at or position), cause=mistake.cause)


class Options(t.NamedTuple):
    """``decrypt`` gives the text of a ``!vault`` value, or raises ValueError with a message for the user. ``deployed`` gives the jobs
    that robots are known to have, each with its namespace before it.
    """

    decrypt: c.Callable[[str], str] | None = None
    deployed: c.Callable[[], c.Container[tuple[str, str]]] = tuple
