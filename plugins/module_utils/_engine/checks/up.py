# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which units are up. It is asked each time that checks run, so it is asked of D-Bus."""

from __future__ import annotations

from ..system import bus, systemd

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    # Of a unit that is up: since when, as systemd has it, and its main process.
    Up = t.Tuple[int, int]

_ASKED = (("Unit", "ActiveState"), ("Unit", "ActiveEnterTimestampMonotonic"), ("Service", "MainPID"))


def running(units: t.Sequence[str]) -> dict[str, Up]:
    """The units that are up."""
    try:
        values = bus.get([(unit, kind, name) for unit in units for kind, name in _ASKED])
        found = {unit: values[number * 3 : number * 3 + 3] for number, unit in enumerate(units)}
    except (OSError, ValueError, LookupError):
        # No D-Bus.
        shown = systemd.show(units, "Id,ActiveState,ActiveEnterTimestampMonotonic,MainPID")
        names = ("ActiveEnterTimestampMonotonic", "MainPID")
        found = {unit: [each.get("ActiveState"), *[systemd.number(each, name) for name in names]] for unit, each in shown.items()}
    return {unit: (int(since or 0), int(pid or 0)) for unit, (state, since, pid) in found.items() if state == "active"}
