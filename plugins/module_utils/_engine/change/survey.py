# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One look at everything that a group has, should have, or once had: what the planner of the steps decides from."""

from __future__ import annotations

from ..judge.unchanged import finished
from ..resources import kinds
from ..state.ledger import known
from ..system import systemd
from ..system.observe import Observer
from . import steps


def plan_steps(robot, wanted, record, others=(), keep_data=False, spare_leftovers=False):
    """The steps from what is to what is wanted.

    ``record``: the group's record in the ledger, or None. ``others``: further resources that may be there, those of a
    release that did not get through. ``spare_leftovers``: on the way back, what was a leftover before stays one.
    """
    old = merge(known(record), others)
    observer = Observer(robot.digest)
    everything = merge(wanted, old)
    seen = {kinds.place(resource): kinds.actual(resource, observer) for resource in everything}
    units = systemd.show([resource["name"] for resource in everything if resource["kind"] == "unit"])
    for resource in wanted:
        if resource["kind"] == "unit":
            units.setdefault(resource["name"], {})["finished"] = finished(resource)
    started = record["started"] if record else {}
    spared = record["leftovers"] if record and spare_leftovers else ()
    return steps.between(wanted, old, seen, units, started, robot.digest, keep_data, spared)


def merge(first, second):
    """Resources of two lists, one for each place; the first list's win."""
    places = {kinds.place(resource) for resource in first}
    return list(first) + [resource for resource in second if kinds.place(resource) not in places]
