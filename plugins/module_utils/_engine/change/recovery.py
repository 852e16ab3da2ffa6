# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""After an interrupted switch: back to the last good releases, by the next run or by the robot itself at boot."""

from __future__ import annotations

from ..judge import handover
from ..state import manifest as manifests
from ..state import results
from ..state.journal import FINAL, all_of, staying, under_way
from .conclusion import clear, conclude
from .groups import Switch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..state.journal import Journal
    from ..state.ledger import GroupRecord
    from ..state.manifest import Manifest
    from ..state.robot import Robot
    from .perform import Progress


def roll_back(robot: Robot, progress: Progress, boot: bool = False) -> list[str]:
    """Roll back the interrupted switch, and those that are stuck behind it; their releases.

    One that is stuck still goes behind the others, so that it is in the way of none.
    """
    begun = under_way(robot.journal())
    for release in begun:
        journal = robot.journal()
        if journal:
            roll_back_interrupted(robot, journal, progress, boot)
        stuck = robot.journal()
        if stuck and stuck["release"] == release and stuck.get("behind"):
            first, *others = stuck["behind"]
            robot.write_journal({**first, "behind": [*others, {**stuck, "behind": []}]})
    return begun


def left_over(tried: Journal | None, manifest: Manifest) -> tuple[list[Journal], list[str]]:
    """What is stuck of earlier switches, or still not written down, after they were ``tried`` again, when a release is to be switched to:
    the groups that it does not bring up anew, and the releases of those that it does.
    """
    mine = {group["id"] for _job, group in manifests.groups(manifest)}
    behind: list[Journal] = []
    overtaken: list[str] = []
    for each in all_of(tried):
        stuck = [id for id, entry in each["groups"].items() if entry["phase"] not in FINAL]
        left = [id for id in stuck if id not in mine]
        if left:
            behind.append({**each, "groups": {id: each["groups"][id] for id in left}, "about": left, "behind": []})
        if len(left) < len(stuck):
            overtaken += [each["release"], *each.get("overtaken", ())]
    return behind, overtaken


def roll_back_interrupted(robot: Robot, journal: Journal, progress: Progress, boot: bool = False) -> None:
    """Roll back every group that the switch had not finished, and leave its result."""
    manifest = robot.manifest(journal["release"])
    if manifest is None:
        # Nothing was changed before both were written, and the manifest is the first to be written, the last to go.
        robot.end_journal()
        return
    if _has_been_told(robot, journal):
        # Somebody may have gone on with the rest of it.
        clear(robot, journal["release"])
        return
    if "about" in journal:
        manifest = manifests.part(manifest, journal["about"])
    for job, group in manifests.groups(manifest):
        entry = journal["groups"].get(group["id"])
        if entry and entry["phase"] == "forward":
            entry["errors"] = [f"{group['name']}: the switch was interrupted; {_back_to(robot.ledger.group(job, group['id']))}"]
    switch = Switch(robot, manifest, journal, progress)
    for members in handover.bundles(manifest, robot.ledger, journal["spare"], staying(journal)):
        switch.recover(members, boot)
    conclude(robot, manifest, journal)


def _has_been_told(robot: Robot, journal: Journal) -> bool:
    """Whether the switch has come to its end, and its result says so."""
    reached = {id: entry["phase"] for id, entry in journal["groups"].items()}
    told = results.ended(robot, journal["release"], "switch")
    return set(reached.values()) <= {*FINAL} and told is not None and told.get("groups") == reached


def _back_to(record: GroupRecord | None) -> str:
    return "the last good release was restored" if record else "what it had begun was removed, since there was no earlier release"
