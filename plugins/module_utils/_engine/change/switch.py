# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Switching to a staged release: groups that go together are all committed, or all rolled back.

The journal (state/journal.py) is there from before the first touch until the result is known.
"""

from __future__ import annotations

import time

from ..checks import units as check_units
from ..consul import agent
from ..dns import units as dns_units
from ..judge import choice, conflicts, handover
from ..logs import units as log_units
from ..pods import addresses
from ..pods import units as wall_units
from ..say.errors import CommandFailed, Refusal
from ..state import manifest as manifests
from ..state.journal import referred_to, staying
from ..state.lock import Lock
from ..system import own
from . import boot_unit, conclusion, recovery, summary, survey
from .groups import Switch, keep_up
from .perform import Performer

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ..state.journal import Journal
    from ..state.manifest import Manifest
    from ..state.robot import Robot
    from .perform import Progress

# Seconds, for another run that has something prepared on this robot.
PATIENCE = 120.0


def run(
    robot: Robot,
    release: str,
    progress: Progress,
    performer: type[Performer] = Performer,
    spare: t.Sequence[str] = (),
    hold: t.Sequence[str] = (),
) -> None:
    """Switch, and leave the result. Called again after it was killed, it continues from where the journal has it.

    ``spare``: ids of groups of which nothing goes yet, because what they run here is to run on another robot first.
    ``hold``: paths of files that stay as they are, where they are there already, because other robots have to be ready first. What is
    left to be done is staged as a release of its own (conclusion.py).
    """
    manifest = robot.manifest(release)
    if manifest is None:
        raise Refusal([f"release {release} is no longer staged on this robot; run again"])
    # Its run has begun on other robots by now, and is not to fail half way for another one that only prepares.
    with Lock(robot.runtime, manifest["who"], f"switch to release {release}", own.worker("switch", release), PATIENCE):
        journal = robot.journal()
        if journal is None or journal["release"] != release:
            journal = _begin(robot, manifest, journal, spare, hold, progress)
        # From here on, whatever happens, the end of the switch has what is committed registered.
        agent.withdraw(_registrations_gone(robot, manifest, journal))
        switch = Switch(robot, manifest, journal, progress, performer)
        for members in handover.bundles(manifest, robot.ledger, journal["spare"], staying(journal)):
            switch.apply(members)
        conclusion.conclude(robot, manifest, journal)


def _begin(
    robot: Robot, manifest: Manifest, interrupted: Journal | None, spare: t.Sequence[str], hold: t.Sequence[str], progress: Progress
) -> Journal:
    """The journal of a switch that begins, after all that comes before its first touch."""
    _refuse_if_overtaken(robot, manifest)
    changes = [f"start {unit}" for unit in survey.idle_here(robot, manifest)]
    # An older engine could not roll back at boot what this one records.
    boot_unit.ensure(robot)
    if interrupted:
        changes += summary.mends(interrupted)
        recovery.roll_back(robot, progress)
    stuck = robot.journal()
    # After that, which takes along what nobody needs then.
    _ensure_units(robot, manifest)
    stays = handover.staying(manifest, robot.ledger, spare)
    members = [(job, group) for job, group in manifests.groups(manifest) if group["id"] in stays]
    for record in [robot.ledger.group(job, group["id"]) for job, group in members]:
        changes += keep_up(robot, record) if record else []
    journal: Journal = {
        "release": manifest["release"],
        "began": time.time(),
        "groups": {group["id"]: {"phase": "stays", "errors": []} for _job, group in members},
        "changes": changes,
        "spare": list(spare),
        "hold": list(hold),
    }
    behind, overtaken = recovery.left_over(stuck, manifest)
    if behind:
        journal["behind"] = behind
    if overtaken:
        journal["overtaken"] = overtaken
    robot.write_journal(journal)
    for over in set(referred_to(stuck)) - set(referred_to(journal)):
        robot.forget_manifest(over)
    return journal


def _ensure_units(robot: Robot, manifest: Manifest) -> None:
    """Have those of the engine's own units that the release needs. Where one cannot be had, those are gone again that nobody else needs."""
    wanted = [resource for _job, group in manifests.groups(manifest) for resource in group["resources"]]
    try:
        if log_units.needed(wanted):
            log_units.ensure(robot)
        check_units.ensure(robot, wanted)
        wall_units.ensure(robot, wanted)
        dns_units.ensure(robot, wanted)
    except (Refusal, CommandFailed, OSError):
        conclusion.settle_networks()
        conclusion.settle(robot)
        raise


def _registrations_gone(robot: Robot, manifest: Manifest, journal: Journal) -> set[str]:
    """What Consul has of these groups and they do not want any more, but for those of which something runs on all the same."""
    groups = list(manifests.groups(manifest))
    wanted = [resource for _job, group in groups for resource in group["resources"]]
    goes_on = staying(journal).union(group["id"] for _job, group in groups if group["resources"] and group["id"] in journal["spare"])
    records = [robot.ledger.group(job, group["id"]) for job, group in groups if group["id"] not in goes_on]
    held = [resource for record in records if record for resource in record["resources"]]
    return agent.registrations(held) - agent.registrations(wanted)


def _refuse_if_overtaken(robot: Robot, manifest: Manifest) -> None:
    """Between prepare and switch another run may have been here."""
    text = "{}/{}: another run changed this job on this robot after this run had prepared it; run again"
    jobs = [job for job in manifest["jobs"] if manifests.base(robot.ledger.of(job)) != job["base"]]
    problems = [text.format(job["namespace"], job["name"]) for job in jobs]
    problems += _taken_meanwhile(robot, manifest) or conflicts.errors(robot, manifest)
    if problems:
        raise Refusal(problems)


def _taken_meanwhile(robot: Robot, manifest: Manifest) -> list[str]:
    """One text for each port whose number was chosen, and which somebody has taken since."""
    _addresses, differ = addresses.choose(robot, manifest, robot.store.read)
    if differ:
        return ["another run gave addresses to pods after this run had prepared this robot; run again"]
    numbers, _differ = choice.of_ports(robot, manifest)
    text = "{}: port {} was taken after this run had prepared this robot; run again"
    return [
        text.format(port["where"], port["port"])
        for _job, group in manifests.groups(manifest)
        for port in group["ports"]
        if port.get("chosen") and numbers[group["id"]][port["called"]] != port["port"]
    ]
