# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the robots can do, as one table for a person."""

from __future__ import annotations

import typing as t

from .table import OFF, aligned

HEADER = ("robot", "system", "systemd", "cgroup", "cpu", "memory", "python")


def overview(robots: t.Mapping[str, t.Mapping[str, str] | None], lacks: t.Mapping[str, t.Sequence[str]]) -> list[str]:
    """The table: `robots` are their capabilities by name, None for one that gave none; `lacks` is what each cannot do."""
    header, *rows = aligned([HEADER, *(_row(robot, found) for robot, found in sorted(robots.items()))])
    lines = [header]
    for robot, row in zip(sorted(robots), rows, strict=True):
        lines += [row, *(f"  without {lack}" for lack in lacks.get(robot, ()))]
    return lines


def _row(robot: str, found: t.Mapping[str, str] | None) -> tuple[str, ...]:
    if found is None:
        return (robot, OFF.upper(), "", "", "", "", "")
    system = " ".join(filter(None, (found.get("os.name"), found.get("os.version"), found.get("arch"))))
    size = found.get("memory.totalbytes", "")
    memory = f"{int(size) / 2**20:,.0f} MiB" if size.isdecimal() else "?"
    return (robot, system, *(found.get(name, "?") for name in ("systemd", "cgroup", "cpu.numcores")), memory, found.get("python", "?"))
