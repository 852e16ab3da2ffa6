# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Units that run and are not heard: Envoy tries once to have a port, and goes on without it; a log may have lost its FIFOs."""

from __future__ import annotations

import os
import stat
import time

from ..plan import fifos
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


def unlogged(resources: t.Iterable[Resource], shown: systemd.Shown) -> dict[str, str]:
    """{unit: FIFO} of those whose program runs, and whose log has lost one: once what reads it is restarted, nobody reads what the program
    writes, and the program could not be started again.
    """
    found = {}
    for name, lost in without_fifos(resources).items():
        values = shown.get(name, {})
        if systemd.up(values) and values.get("SubState") != "exited":
            found[name] = lost
    return found


def without_fifos(resources: t.Iterable[Resource]) -> dict[str, str]:
    """{unit: FIFO} of those that should run and have a log, and lack a FIFO of it; the first one."""
    found = {}
    for unit in kinds.that_run(resources):
        logs = kinds.of(unit).logs(unit)
        lost = next((path for path in fifos(logs) if not _is_fifo(path)), "") if logs else ""
        if lost:
            found[unit["name"]] = lost
    return found


def _is_fifo(path: str) -> bool:
    """Of a program that is started where there is none, systemd makes a file."""
    try:
        return stat.S_ISFIFO(os.lstat(path).st_mode)
    except OSError:
        return False


def _is_settled(values: systemd.Properties) -> bool:
    entered = systemd.seconds(values, "ActiveEnterTimestampMonotonic")
    return values.get("ActiveState") == "active" and time.monotonic() - entered > LONG_ENOUGH
