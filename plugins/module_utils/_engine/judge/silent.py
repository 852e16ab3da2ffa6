# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Units that run but do not listen where they should: Envoy tries once to have a port, and goes on without it."""

from __future__ import annotations

import time

from ..resources import kinds
from ..system import ports, systemd

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ..plan import Port, Resource

# Seconds. A proxy listens at the latest 12 s after its unit is active: so long it waits for an identity that does not come.
LONG_ENOUGH = 20.0


def units(wanted: t.Sequence[Port], shown: systemd.Shown, held: t.Sequence[ports.Listener] | None = None) -> dict[str, str]:
    """{unit: why} of those that have been up for long enough and leave a port of theirs without a listener.

    ``shown``: what systemd reported of the units. ``held``: who listens on these ports, if that is known.
    """
    found: dict[str, str] = {}
    for port in ports.without_listener(wanted, held):
        # Plans of former versions do not say who listens.
        unit = port.get("unit", "")
        if _is_settled(shown.get(unit, {})):
            found.setdefault(unit, f"nobody listens on port {port['port']} of {port['address']}")
    return found


def inside(resources: t.Iterable[Resource]) -> dict[str, str]:
    """The same for units that listen in a pod, where its own network says who does."""
    units = [unit for unit in kinds.that_run(resources) if kinds.of(unit).listens(unit)]
    shown = systemd.show([unit["name"] for unit in units], "Id,ActiveState,ActiveEnterTimestampMonotonic,MainPID")
    found: dict[str, str] = {}
    for unit in units:
        values = shown.get(unit["name"], {})
        if _is_settled(values):
            held = ports.listeners(kinds.of(unit).listens(unit), ports.tables(values["MainPID"]))
            for port in ports.without_listener(kinds.of(unit).listens(unit), held):
                found.setdefault(unit["name"], f"nobody listens on port {port['port']} of {port['address']} in its pod")
    return found


def _is_settled(values: systemd.Properties) -> bool:
    entered = systemd.seconds(values, "ActiveEnterTimestampMonotonic")
    return values.get("ActiveState") == "active" and time.monotonic() - entered > LONG_ENOUGH
