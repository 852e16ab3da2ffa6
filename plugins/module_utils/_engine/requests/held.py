# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``held``: the units that this robot has, or may soon have, of groups that need an identity: theirs must stay registered."""

from __future__ import annotations

from ..mesh import identity
from ..resources import kinds
from ..state import garbage
from ..state import manifest as manifests
from ..state.formats import Unread
from ..state.journal import referred_to
from ..state.ledger import known

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ..state.ledger import JobName
    from ..state.robot import Robot

    class Held(t.TypedDict):
        status: t.Literal["ok"]
        units: list[str]


def answer(robot: Robot, jobs: t.Sequence[JobName]) -> Held:
    """Also those of a release that is staged: another run registers identities before it switches to it."""
    wanted = {(job["namespace"], job["name"]) for job in jobs}
    found = [resource for group in robot.ledger.groups(jobs) if identity.needed(group) for resource in known(group)]
    begun = referred_to(robot.journal())
    for release in garbage.staged(robot):
        try:
            manifest = robot.manifest(release)
        except Unread:
            if release in begun:
                raise
            continue
        for job, group in manifests.groups(manifest) if manifest else ():
            if (job["namespace"], job["name"]) not in wanted or not identity.needed(group):
                continue
            # A release that has been overtaken is refused when somebody wants to switch to it.
            if release in begun or manifests.base(robot.ledger.of(job)) == job["base"]:
                found += group["resources"]
    return {"status": "ok", "units": sorted(set(kinds.units(found)))}
