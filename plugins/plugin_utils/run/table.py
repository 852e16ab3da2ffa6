# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A robot's status as a table for a person."""

from __future__ import annotations

import typing as t

Data = t.Mapping[str, t.Any]
# A unit's name, state, memory, restarts and start; empty where there is nothing to say.
Cells = tuple[str, str, str, str, str]


def status(robot: str, answer: Data) -> list[str]:
    """One line per job group, and one per unit below it, in columns."""
    lines = [f"{robot}: {answer['busy']}" if answer.get("busy") else robot]
    if answer.get("interrupted"):
        lines.append(f"  the switch to release {answer['interrupted']} was interrupted; the next run or boot finishes it or rolls it back")
    groups = [group for job in answer["jobs"] for group in job["groups"].values()]
    rows = [row for group in groups for row in _group(group)]
    widths = [max(map(len, column)) for column in zip(*(row for row in rows if not isinstance(row, str)), strict=True)]
    lines += [row if isinstance(row, str) else _columns(row, widths) for row in rows]
    if not groups:
        lines.append("  runs no task group")
    return lines + [f"  {text}" for text in answer["unread"]]


def _group(group: Data) -> t.Iterator[str | Cells]:
    kept = f", keeps {' '.join(group['kept'])}" if group["kept"] else ""
    ports = "".join(f", {_port(port, group['silent'])}" for port in group["ports"])
    yield f"  {group['name']}: release {group['release']}, committed {group['committed']}{ports}{kept}"
    for need in group["lacks"]:
        yield f"    MISSING {need['path']} ({need['what']})"
    for name, unit in sorted(group["units"].items()):
        yield _unit(name, unit)


def _columns(cells: Cells, widths: t.Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def _port(port: Data, silent: t.Sequence[Data]) -> str:
    return f"{port['address']}:{port['port']}{' (NOT LISTENING)' if port in silent else ''}"


def _unit(name: str, unit: Data) -> Cells:
    state = f"{unit['state'] or 'not loaded'} ({unit['sub']})" if unit["sub"] else unit["state"] or "not loaded"
    if unit["state"] == "failed":
        state += f", exit status {unit['exit_status']}"
    memory = f"{unit['memory'] / 2**20:.1f} MiB" if unit["memory"] else ""
    restarts = f"{unit['restarts']} restarts" if unit["restarts"] else ""
    return f"    {name}", state, memory, restarts, f"since {unit['since']}" if unit["since"] else ""
