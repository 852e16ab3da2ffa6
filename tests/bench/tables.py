# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a table of Markdown is written, and a goal beside a figure."""

from __future__ import annotations

import typing as t


def table(head: t.Sequence[str], rows: t.Iterable[t.Sequence[str]]) -> str:
    """The first column is text, and so is the last."""
    lines = [head, ["---", *["---:"] * (len(head) - 2), "---"], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def met(reached: bool, goal: str) -> str:
    """A goal, and whether it was reached."""
    return f"{goal}: {'reached' if reached else '**missed**'}"
