# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What prepare and switch came to, or how far they are: kept for a caller that asks after the connection was lost."""

from __future__ import annotations

from . import formats

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ..say.answers import Answer
    from .robot import Robot

    Operation = t.Literal["prepare", "switch"]

PENDING = "pending"


class Result:
    """The result of a release's work; nothing else writes it."""

    def __init__(self, robot: Robot, release: str, operation: Operation) -> None:
        self._path = robot.result_path(release)
        self._release = release
        self._operation = operation

    def progress(self, text: str) -> None:
        """The work goes on, and this is what it is at."""
        self._save({"status": PENDING, "release": self._release, "progress": text})

    def end(self, answer: Answer) -> None:
        """The work has ended, with this answer."""
        self._save(answer)

    def _save(self, answer: Answer) -> None:
        formats.save(self._path, {**answer, "op": self._operation})


def load(robot: Robot, release: str) -> dict[str, t.Any] | None:
    """The answer, or what is pending; None where nothing is known of the release."""
    found: dict[str, t.Any] | None = formats.load(robot.result_path(release), "result")
    if found:
        found.pop("version", None)
    return found


def ended(robot: Robot, release: str, operation: Operation) -> dict[str, t.Any] | None:
    """The answer with which this work on a release ended; one that cannot be read is none."""
    try:
        found = load(robot, release)
    except formats.Unread:
        return None
    return found if found and found.get("op") == operation and found["status"] != PENDING else None
