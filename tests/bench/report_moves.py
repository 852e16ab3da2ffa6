# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The figures of a service that moves as a table."""

from __future__ import annotations

from .moves import MOVES, RATE, Moves, middle
from .tables import met, table


def moves(found: Moves) -> str:
    rows = [
        ["requests a second", f"{found.rate:.0f}", met(found.rate >= 0.95 * RATE, f"{RATE}")],
        ["requests that failed", f"{found.failed} of {found.requests:,}", met(not found.failed, "none")],
        ["from the commit until the new instance has answered, median", f"{middle(found):.2f} s", met(middle(found) <= 1, "at most 1 s")],
        ["the longest", f"{max(found.first):.2f} s", ""],
    ]
    return table([f"{MOVES} times adding one instance and removing it again", "", "goal"], rows)
