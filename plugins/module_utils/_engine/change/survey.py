# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All that a group has, should have, or once had, as it is now: the steps are decided from it."""

from __future__ import annotations

from ..resources import kinds
from ..state.ledger import known
from ..system import systemd
from ..system.observe import Observer
from . import steps

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ..plan import Resource
    from ..state.ledger import GroupRecord
    from ..state.robot import Robot


def plan_steps(
    robot: Robot,
    wanted: t.Sequence[Resource],
    record: GroupRecord | None,
    others: t.Iterable[Resource] = (),
    keep_data: bool = False,
    spare_leftovers: bool = False,
) -> list[steps.Step]:
    """The steps from what is to what is wanted.

    ``record``: the group's record in the ledger. ``others``: further resources that may be there, those of a release
    that did not get through. ``spare_leftovers``: when rolling back, what was a leftover before stays one.
    """
    old = merge(known(record), others)
    everything = merge(wanted, old)
    observer = Observer(robot.digest)
    situation = steps.Situation(
        wanted,
        old,
        seen={kinds.place(resource): kinds.actual(resource, observer) for resource in everything},
        units=systemd.show(kinds.units(everything)),
        finished={unit["name"] for unit in kinds.that_run(wanted) if kinds.of(unit).finished(unit)},
        started=record["started"] if record else {},
    )
    return steps.between(situation, robot.digest, keep_data, record["leftovers"] if record and spare_leftovers else ())


def merge(first: t.Iterable[Resource], second: t.Iterable[Resource]) -> list[Resource]:
    """Resources of two lists, one for each place; the first list's win."""
    found = list(first)
    places = {kinds.place(resource) for resource in found}
    return found + [resource for resource in second if kinds.place(resource) not in places]
