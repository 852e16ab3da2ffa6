# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The short answer: nothing to do for these jobs. Every run waits for it, so it imports and asks little.

The ledger holds the digests that the controller sends; what the ledger says is there is still there, as it should be;
and every unit that should run does.
"""

from __future__ import annotations

import os

from . import systemd
from .observe import Observer
from .resources import kinds


def unchanged(robot, jobs, keep_data=False):
    """Whether the robot already is what these jobs want of it."""
    groups = []
    for wanted in jobs:
        record = robot.ledger.of(wanted)
        if not record["groups"] and wanted.get("empty"):
            continue
        if record["digest"] is None or record["digest"] != wanted["digest"]:
            return False
        groups += record["groups"].values()
    observer = Observer(robot.digest)
    return all((keep_data or not group["leftovers"]) and intact(group, observer) for group in groups) and running(groups)


def intact(group, observer):
    """Whether everything that the ledger names is as it should be."""
    return all(kinds.actual(resource, observer) == kinds.expected(resource) for resource in group["resources"])


def running(groups):
    """Whether every unit that should run does, with the definition that is on the disk."""
    units = [unit for group in groups for unit in kinds.that_run(group["resources"])]
    shown = systemd.show([unit["name"] for unit in units], "Id,ActiveState,SubState,NeedDaemonReload")
    return all(_as_wanted(unit, shown.get(unit["name"], {})) for unit in units)


def _as_wanted(unit, values):
    return values.get("NeedDaemonReload") == "no" and (systemd.up(values) or finished(unit))


def finished(unit):
    """Whether a unit that runs once has run."""
    return unit["run"] == "once" and unit["done"] is not None and os.path.exists(unit["done"])
