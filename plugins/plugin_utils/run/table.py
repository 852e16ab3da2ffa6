# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A robot's status as a table for a person."""

from __future__ import annotations

import typing as t

Data = t.Mapping[str, t.Any]


def status(robot: str, answer: Data) -> list[str]:
    """One line per job group, and one per unit below it, in columns."""
    lines = [f"{robot}: {answer['busy']}" if answer.get("busy") else robot]
    if answer.get("interrupted"):
        lines.append(f"  the switch to release {answer['interrupted']} was interrupted; the next run or boot finishes it or rolls it back")
    rows: list[tuple[str, ...]] = []
    for job in answer["jobs"]:
        for group in job["groups"].values():
            kept = f", keeps {' '.join(group['kept'])}" if group["kept"] else ""
            ports = "".join(f", {_port(port, group['silent'])}" for port in group["ports"])
            rows.append((f"  {group['name']}: {_release(group)}{ports}{kept}",))
            rows += [(f"    LACKS {need['path']} ({need['what']})",) for need in group["lacks"]]
            rows += [_unit(name, unit) for name, unit in sorted(group["units"].items())]
    if not rows:
        return [*lines, "  holds no task group"]
    widths = [max(len(row[column]) for row in rows if len(row) > 1) if any(len(row) > 1 for row in rows) else 0 for column in range(5)]
    for row in rows:
        padded = row if len(row) == 1 else [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        lines.append("  ".join(padded).rstrip())
    return lines


def _release(group: Data) -> str:
    return f"release {group['release']}, committed {group['committed']}" if group["committed"] else "nothing committed yet"


def _port(port: Data, silent: t.Sequence[Data]) -> str:
    return f"{port['address']}:{port['port']}{' (NOBODY LISTENS)' if port in silent else ''}"


def _unit(name: str, unit: Data) -> tuple[str, ...]:
    state = f"{unit['state'] or 'not loaded'} ({unit['sub']})" if unit["sub"] else unit["state"] or "not loaded"
    if unit["state"] == "failed":
        state += f", exit status {unit['exit_status']}"
    memory = f"{unit['memory'] / 2**20:.1f} MiB" if unit["memory"] else ""
    restarts = f"{unit['restarts']} restarts" if unit["restarts"] else ""
    return f"    {name}", state, memory, restarts, f"since {unit['since']}" if unit["since"] else ""
