# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Program output and names, made safe for a terminal."""

from __future__ import annotations

LONGEST_LINE = 500


def harmless(text: str) -> str:
    """A text without what a terminal would act on, and with no endless line. Secrets must be out of it before."""
    return "\n".join(_line(line) for line in text.split("\n"))


def once(lines: list[str]) -> list[str]:
    """Lines without what a program had said already in the same words before it ended, and was started again."""
    for size in range(1, len(lines) // 2 + 1):
        last = lines[-size:]
        before = lines[:-size]
        while before[-size:] == last:
            before = before[:-size]
        if len(before) + size < len(lines):
            return before + last
    return lines


def _line(line: str) -> str:
    shown = "".join(char if char.isprintable() else "\ufffd" for char in line[:LONGEST_LINE])
    return shown + "..." if len(line) > LONGEST_LINE else shown
