# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text tables for a terminal."""

from __future__ import annotations

import collections.abc as c


def table(title: str, header: c.Sequence[str], rows: c.Iterable[c.Sequence[object]]) -> str:
    """Columns as wide as their widest cell, numbers to the right; a cell that repeats the one above it is left out."""
    cells = [[str(cell) for cell in row] for row in rows]
    numeric = [all(row[i].replace(".", "").isdigit() for row in cells) for i in range(len(header))]
    widths = [max(len(row[i]) for row in [list(header), *cells]) for i in range(len(header))]

    def line(row: c.Sequence[str]) -> str:
        padded = (cell.rjust(width) if right else cell.ljust(width) for cell, width, right in zip(row, widths, numeric))
        return "  " + "  ".join(padded).rstrip()

    shown = [["" if n and i == 0 and cells[n - 1][0] == cell else cell for i, cell in enumerate(row)] for n, row in enumerate(cells)]
    rule = "  " + "  ".join("-" * width for width in widths)
    return "\n".join(["", title, "", line(header), rule, *map(line, shown or [["(none)", *[""] * (len(header) - 1)]])])


def mebibytes(amount: int | None) -> str:
    """Bytes as MiB; None is no limit."""
    return "-" if amount is None else f"{amount / 2**20:.0f} MiB"


def cores(millicores: int | None) -> str:
    """Thousandths of a core; None is no limit."""
    return "-" if millicores is None else f"{millicores}m"
