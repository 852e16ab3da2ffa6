# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The short answer: nothing to do for these jobs. Every run waits for it, so it imports and asks little.

The ledger holds the digests that the controller sends; what the ledger says is there is still there, as it should be;
and every unit that should run does.
"""

from __future__ import annotations

import os
import time

from ..resources import kinds
from ..system import accounts, ports, systemd
from ..system.observe import Observer

# A unit that systemd has started again this often, and within so many seconds, is not well, though it is up.
RESTARTS, RECENT = 3, 60


def unchanged(robot, jobs, keep_data=False):
    """None where the robot is not what these jobs want of it; else what a person should know all the same, mostly nothing."""
    groups = []
    for wanted in jobs:
        record = robot.ledger.of(wanted)
        if not record["groups"] and wanted.get("empty"):
            continue
        if record["digest"] is None or record["digest"] != wanted["digest"]:
            return None
        groups += record["groups"].values()
    observer = Observer(robot.digest)
    if not all((keep_data or not group["leftovers"]) and intact(group, observer) and served(group) for group in groups):
        return None
    if ports.used_by_others([(port, users) for group in groups for users in [_users(group)] for port in group["ports"]]):
        return None
    units = [unit for group in groups for unit in kinds.that_run(group["resources"])]
    shown = systemd.show([unit["name"] for unit in units], SHOWN)
    if not all(_as_wanted(unit, shown.get(unit["name"], {})) for unit in units):
        return None
    return [text for unit in units for text in _restless(unit, shown[unit["name"]])]


SHOWN = "Id,ActiveState,SubState,NeedDaemonReload,NRestarts,ActiveEnterTimestampMonotonic"


def intact(group, observer):
    """Whether everything that the ledger names is as it should be."""
    return all(kinds.actual(resource, observer) == kinds.expected(resource) for resource in group["resources"])


def served(group):
    """Whether what the group needs of the robot is there."""
    return all(os.path.exists(need["path"]) for need in group["needs"])


def _users(group):
    """Who may listen on the group's ports."""
    return {accounts.user_id(resource["name"]) for resource in group["resources"] if resource["kind"] == "user"}


def _restless(unit, values):
    restarts, entered = (systemd.number(values, name) or 0 for name in ("NRestarts", "ActiveEnterTimestampMonotonic"))
    ago = time.monotonic() - entered / 1e6
    if restarts >= RESTARTS and ago < RECENT:
        yield "{}: restarted {} times, {:.0f} s ago the last time: journalctl -u {}".format(unit["name"], restarts, ago, unit["name"])


def _as_wanted(unit, values):
    """Whether a unit that should run does, with the definition that is on the disk."""
    return values.get("NeedDaemonReload") == "no" and (systemd.up(values) or finished(unit))


def finished(unit):
    """Whether a unit that runs once has run."""
    return unit["run"] == "once" and unit["done"] is not None and os.path.exists(unit["done"])
