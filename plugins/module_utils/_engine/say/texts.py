# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Program output and names, made safe for a terminal."""

from __future__ import annotations

LONGEST_LINE = 500


def harmless(text: str) -> str:
    """A text without what a terminal would act on, and with no endless line. Secrets must be out of it before."""
    return "\n".join(_line(line) for line in text.split("\n"))


def _line(line: str) -> str:
    shown = "".join(char if char.isprintable() else "\ufffd" for char in line[:LONGEST_LINE])
    return shown + "..." if len(line) > LONGEST_LINE else shown
