# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of the engine's own that cannot be read: which of them bar a release, and what of the others is to be known.

A damaged file blocks only its own job, and only until the next release writes it again.
"""

from __future__ import annotations

import os

from ..plan import ROOTS, UNIT_DIRECTORY
from ..resources import kinds
from ..state import formats, garbage
from ..state.journal import referred_to
from ..state.ledger import known
from ..system import files, own

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ..plan import JobPlan, RobotPlan
    from ..state.ledger import GroupRecord, JobRecord
    from ..state.robot import Robot


def barriers(robot: Robot) -> list[str]:
    """What bars every release: files of a newer engine, which may mean anything, and an interrupted switch that cannot be rolled back."""
    found = [text for error in robot.ledger.read()[1] if not isinstance(error, formats.Damaged) for text in error.errors]
    try:
        begun = referred_to(robot.journal())
    except formats.Unread as error:
        return found + error.errors
    for release in garbage.staged(robot):
        try:
            manifest = robot.manifest(release)
            if manifest and release in begun:
                robot.ledger.groups(manifest["jobs"])
        except formats.Unread as error:
            if not isinstance(error, formats.Damaged) or release in begun:
                found += error.errors
    return found


def repair(robot: Robot, plan: RobotPlan, keep: bool) -> list[str]:
    """Give each job of a plan a ledger file that can be read; what whoever deploys should know of damaged ones.

    ``keep``: on the disk too, which a check leaves as it is.
    """
    found, lost = [], False
    mine: set[str] = set()
    for job in plan["jobs"]:
        path = robot.ledger.path(job["namespace"], job["name"])
        mine |= {path, path + files.COPY}
        try:
            record, problem = robot.ledger.load(job)
            remedy = "it is restored from its copy"
        except formats.Damaged as error:
            record, problem, lost = _presumed(job), error, True
            remedy = "it is rebuilt from the plan"
        if problem:
            found.append(f"{problem.what}; {remedy}")
            (robot.ledger.save if keep else robot.ledger.presume)(record)
    for other in robot.ledger.read()[1]:
        if isinstance(other, formats.Damaged) and other.path not in mine:
            found.append(f"{other.what}; the next run of its job restores it")
    return found + (_unclaimed(robot, plan) if lost else [])


def _presumed(job: JobPlan) -> JobRecord:
    """The record of a job of which nothing is known but its plan: data that is there is kept, also when the switch is rolled back."""
    groups: dict[str, GroupRecord] = {}
    for group in job["groups"]:
        data = [r["path"] for r in group["resources"] if r.get("data") and os.path.lexists(r["path"])]
        # What has a content is made anew, and may hold what no ledger is to have.
        kept = [r for r in reversed(group["resources"]) if "content" not in r and (r.get("path") in data or kinds.of(r).outlives(r, data))]
        if data:
            groups[group["id"]] = {
                "name": group["name"],
                "release": "",
                "committed": 0,
                "resources": [],
                "leftovers": kept,
                "started": {},
                "needs": [],
                "ports": [],
                "secrets": None,
            }
    return {"namespace": job["namespace"], "name": job["name"], "state": "partial", "plan": "", "groups": groups, "robot": ""}


def _unclaimed(robot: Robot, plan: RobotPlan) -> list[str]:
    """What is ours by its name, and belongs to no job that the plan or the ledger knows."""
    places = [kinds.place(resource) for job in plan["jobs"] for group in job["groups"] for resource in group["resources"]]
    places += [kinds.place(r) for record in robot.ledger.read()[0] for group in record["groups"].values() for r in known(group)]
    found = [path for root in ROOTS for path in _others(root, places)]
    if not found:
        return []
    what = "belongs to no job in this robot's ledger; deploy the job it belonged to and remove that job, or delete it by hand"
    return [f"{', '.join(found)}: {what}"]


def units_of_no_job(records: t.Iterable[JobRecord]) -> list[str]:
    """The names of units that are ours by their names, and belong to none of these jobs, which are all that the ledger knows."""
    places = [kinds.place(r) for record in records for group in record["groups"].values() for r in known(group)]
    found = [os.path.basename(path) for path in _others(f"{UNIT_DIRECTORY}/k8s4r-", places)]
    claimed = {os.path.basename(place) for place in places}
    # Beside the file of a unit there may be directories of links and of additions.
    return [name for name in found if not (name.endswith((".wants", ".d")) and name.rpartition(".")[0] in {*claimed, *found})]


def _others(root: str, places: t.Iterable[str]) -> list[str]:
    """What is there of a root, and at none of these places, nor around them."""
    directory, _slash, start = root.rpartition("/")
    claimed = {place[len(directory) + 1 :].partition("/")[0] for place in places if place.startswith(root)}
    names = (name for name in files.names(directory) if name.startswith(start))
    return [f"{directory}/{name}" for name in names if name not in claimed and not own.is_own(name)]
