# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Switching to a staged release: group by group, each committed or rolled back completely.

The journal (state/journal.py) is there from before the first touch until the result is known.
"""

from __future__ import annotations

import time

from ..judge import conflicts
from ..resources import kinds
from ..say.answers import failed
from ..say.errors import Refusal
from ..say.texts import harmless
from ..state import formats, garbage, ledger
from ..state import manifest as manifests
from ..state.journal import FINAL
from ..state.lock import Lock
from ..state.results import Result
from ..state.scrub import of_release
from ..system import ports, systemd
from . import boot_unit, health, survey
from .perform import Performer

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ..plan import Resource
    from ..state.journal import Entry, Journal, Phase
    from ..state.ledger import GroupRecord, Named
    from ..state.manifest import Manifest, ManifestGroup, ManifestJob
    from ..state.robot import Robot
    from .perform import Progress
    from .steps import Step

    class Switched(t.TypedDict):
        status: t.Literal["committed", "rolled-back", "failed"]
        release: str
        changes: list[str]  # what was done, in order
        groups: dict[str, Phase]
        units: dict[str, str]  # what each unit that should run does now
        notices: list[str]  # warnings
        restored: list[str]  # the names of the groups whose last good release runs again
        errors: list[str]


def run(robot: Robot, release: str, progress: Progress, performer: type[Performer] = Performer) -> None:
    """Switch, and leave the result. Called again after it was killed, it continues from where the journal has it."""
    manifest = robot.manifest(release)
    if manifest is None:
        raise Refusal([f"release {release} is no longer staged on this robot; run again"])
    with Lock(robot.runtime, manifest["who"], f"switch to release {release}"):
        journal = robot.journal()
        if journal is None or journal["release"] != release:
            _still_valid(robot, manifest)
            # An older engine could not roll back at boot what this one records.
            boot_unit.ensure(robot)
            if journal:
                go_back(robot, journal, progress)
            journal = {"release": release, "began": time.time(), "groups": {}, "changes": []}
            robot.write_journal(journal)
        switch = Switch(robot, manifest, journal, progress, performer)
        for job, group in manifests.groups(manifest):
            switch.group(job, group)
        end(robot, manifest, journal)


def _still_valid(robot: Robot, manifest: Manifest) -> None:
    """Between prepare and switch another run may have been here."""
    text = "{}/{}: another run changed this job on this robot after this run had prepared it; run again"
    jobs = [job for job in manifest["jobs"] if manifests.base(robot.ledger.of(job)) != job["base"]]
    problems = [text.format(job["namespace"], job["name"]) for job in jobs] + conflicts.errors(robot, manifest)
    if problems:
        raise Refusal(problems)


def go_back(robot: Robot, journal: Journal, progress: Progress, boot: bool = False) -> None:
    """After an interrupted switch: roll back every group that it had not finished, and leave its result."""
    manifest = robot.manifest(journal["release"])
    if manifest is None:
        # Nothing was touched before both were written, and the manifest is the first to be written, the last to go.
        robot.end_journal()
        return
    switch = Switch(robot, manifest, journal, progress)
    for job, group in manifests.groups(manifest):
        entry: Entry = journal["groups"].get(group["id"], {"phase": "rolled-back", "errors": []})
        if entry["phase"] not in FINAL:
            text = f"{group['name']}: the switch was interrupted; the last good release was restored"
            entry = switch.back(job, group, entry["errors"] or [text], boot)
        journal["groups"][group["id"]] = entry
    end(robot, manifest, journal)


class Switch:
    """Takes groups forward, and back where one does not come up."""

    def __init__(
        self, robot: Robot, manifest: Manifest, journal: Journal, progress: Progress, performer: type[Performer] = Performer
    ) -> None:
        self.robot = robot
        self.manifest = manifest
        self.journal = journal
        self.progress = progress
        self.performer = performer

    def group(self, job: Named, group: ManifestGroup) -> None:
        """Bring one group to its new release, or back to its last good one."""
        entry: Entry = self.journal["groups"].get(group["id"], {"phase": "forward", "errors": []})
        if entry["phase"] == "forward":
            self._enter(group, {"phase": "forward", "errors": []})
            entry = self._forward(job, group)
        if entry["phase"] == "back":
            self._enter(group, entry)
            entry = self.back(job, group, entry["errors"])
        self._enter(group, entry)

    def _enter(self, group: ManifestGroup, entry: Entry) -> None:
        if self.journal["groups"].get(group["id"]) != entry:
            self.journal["groups"][group["id"]] = entry
            self.robot.write_journal(self.journal)

    def _forward(self, job: Named, group: ManifestGroup) -> Entry:
        committed = False
        try:
            record = self.robot.ledger.group(job, group["id"])
            committed = record is not None and record["release"] == self.manifest["release"]
            performer = self.performer(self.robot, self.manifest["release"], job, group, self.progress)
            for step in survey.plan_steps(self.robot, group["resources"], record, keep_data=self.manifest["keep_data"]):
                if step["text"]:
                    self.journal["changes"].append(step["text"])
                performer.perform(step)
                committed = committed or step["do"] == "commit"
        except Exception as error:
            # Whatever it was, the group must end complete: after the commit, leftovers only wait for their removal.
            return {"phase": "failed" if committed else "back", "errors": self._shown(explain(group, error))}
        return {"phase": "committed", "errors": []}

    def back(self, job: Named, group: ManifestGroup, errors: list[str], boot: bool = False) -> Entry:
        """Make a group what the ledger has of it: the last good release, or nothing.

        Killed after the commit, the last good release is the new one, and only its leftovers are still to be removed.
        """
        record = self.robot.ledger.group(job, group["id"])
        committed = record["release"] == self.manifest["release"] if record else not group["resources"]
        target = manifests.last_good(group["id"], record) if record else manifests.nothing(group["id"], group["name"])
        phase: Phase = "committed" if committed else "rolled-back"
        errors = [] if committed else list(errors)
        try:
            performer = self.performer(self.robot, self.manifest["release"], job, target, self.progress, record)
            for step in self._steps_back(target, record, group["resources"], committed):
                if boot and step["do"] == "healthy":
                    # Units wait for the boot to come to them, and the boot waits for us.
                    continue
                try:
                    performer.perform(step)
                except health.Unhealthy as unhealthy:
                    phase = "failed"
                    either = f"{group['name']}: the last good release does not start either"
                    errors += [f"{either}: {text}" for text in self._shown(unhealthy.errors)]
        except Exception as error:
            texts = self._shown(failed(error)["errors"])
            return {"phase": "stuck", "errors": errors + [f"{group['name']}: rolling back failed: {text}" for text in texts]}
        return {"phase": phase, "errors": errors}

    def _steps_back(self, target: ManifestGroup, record: GroupRecord | None, tried: t.Sequence[Resource], committed: bool) -> list[Step]:
        return survey.plan_steps(
            self.robot,
            target["resources"],
            record,
            others=tried,
            keep_data=committed and self.manifest["keep_data"],
            spare_leftovers=not committed,
        )

    def _shown(self, texts: list[str]) -> list[str]:
        """Error texts that may quote program output: secrets are removed first, then control characters and long lines."""
        return [harmless(text) for text in of_release(self.robot, self.manifest)(texts)]


def explain(group: ManifestGroup, error: Exception) -> list[str]:
    """What went wrong, in words for a person."""
    texts = error.errors if isinstance(error, health.Unhealthy) else failed(error)["errors"]
    return [f"{group['name']}: {text}" for text in texts]


def end(robot: Robot, manifest: Manifest, journal: Journal) -> None:
    """Write down what was reached, and leave the result."""
    entries = journal["groups"]
    for job in manifest["jobs"]:
        reached = {entries[group["id"]]["phase"] for group in job["groups"]}
        if reached <= {"committed"}:
            robot.ledger.stand(job, ledger.whole(job["digest"]))
        elif reached == {"rolled-back"}:
            robot.ledger.stand(job, job["before"])
    scrub = of_release(robot, manifest)
    result: Switched = {
        "status": _status({entry["phase"] for entry in entries.values()}),
        "release": manifest["release"],
        "changes": scrub(journal["changes"]),
        "groups": {group["id"]: entries[group["id"]]["phase"] for _job, group in manifests.groups(manifest)},
        "units": _units(robot, manifest),
        "notices": _without_listener(robot, manifest),
        "restored": [group["name"] for job, group in manifests.groups(manifest) if _is_back(robot, job, group, entries)],
        "errors": scrub([text for entry in entries.values() for text in entry["errors"]]),
    }
    Result(robot, manifest["release"], "switch").end(result)
    clear(robot, manifest["release"])


def _is_back(robot: Robot, job: ManifestJob, group: ManifestGroup, entries: t.Mapping[str, Entry]) -> bool:
    """Whether a group's last good release runs again, where there was one."""
    return entries[group["id"]]["phase"] == "rolled-back" and robot.ledger.group(job, group["id"]) is not None


def _without_listener(robot: Robot, manifest: Manifest) -> list[str]:
    """Ports that stay without a listener although every unit is up."""
    wanted = [port for group in robot.ledger.groups(manifest["jobs"]) for port in group["ports"]]
    text = "{}: nothing is listening on port {} of {} yet"
    return [text.format(port["where"], port["port"], port["address"]) for port in ports.without_listener(wanted)]


def _status(phases: set[Phase]) -> t.Literal["committed", "rolled-back", "failed"]:
    if phases <= {"committed"}:
        return "committed"
    if phases <= {"committed", "rolled-back"}:
        return "rolled-back"
    return "failed"


def clear(robot: Robot, release: str) -> None:
    """After the result: nothing is under way any more, and nothing staged."""
    journal = robot.journal()
    if journal and journal["release"] == release:
        if any(entry["phase"] == "stuck" for entry in journal["groups"].values()):
            return
        robot.end_journal()
    formats.remove(robot.manifest_path(release))
    garbage.collect(robot)


def _units(robot: Robot, manifest: Manifest) -> dict[str, str]:
    """What each unit that should run does now."""
    names = [unit["name"] for group in robot.ledger.groups(manifest["jobs"]) for unit in kinds.that_run(group["resources"])]
    return {name: f"{values.get('ActiveState')} ({values.get('SubState')})" for name, values in systemd.show(names).items()}
