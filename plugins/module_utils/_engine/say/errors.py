# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why the engine does not continue."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t


class Refusal(Exception):
    """Nothing was touched, and this is why: one text per error, all of them at once."""

    def __init__(self, errors: t.Iterable[str]) -> None:
        self.errors = list(errors)
        super().__init__("; ".join(self.errors))


class CommandFailed(Exception):
    """A program of the robot that had to work did not."""


class NotHad(CommandFailed):
    """Who has things for us, as an engine of containers has images, did not do as it had to. Only what needs the thing cannot go on.

    ``answered``: False where it gave no answer, so that nobody knows how the thing is.
    """

    def __init__(self, text: str, answered: bool) -> None:
        self.answered = answered
        super().__init__(text)
