# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One group of a release: to the new release, or back to the last good one."""

from __future__ import annotations

from ..say.answers import failed
from ..say.texts import harmless
from ..state import manifest as manifests
from ..state.scrub import of_release
from . import health, survey
from .perform import Performer

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ..plan import Resource
    from ..state.journal import Entry, Journal, Phase
    from ..state.ledger import GroupRecord, JobName
    from ..state.manifest import Manifest, ManifestGroup
    from ..state.robot import Robot
    from .perform import Progress
    from .steps import Step


class Switch:
    """Brings groups to a release, or back where one does not start."""

    def __init__(
        self, robot: Robot, manifest: Manifest, journal: Journal, progress: Progress, performer: type[Performer] = Performer
    ) -> None:
        self.robot = robot
        self.manifest = manifest
        self.journal = journal
        self.progress = progress
        self.performer = performer

    def apply(self, job: JobName, group: ManifestGroup) -> None:
        """Bring one group to its new release, or back to its last good one."""
        entry: Entry = self.journal["groups"].get(group["id"], {"phase": "forward", "errors": []})
        if entry["phase"] == "forward":
            self._enter(group, {"phase": "forward", "errors": []})
            entry = self._forward(job, group)
        if entry["phase"] == "back":
            self._enter(group, entry)
            entry = self.roll_back(job, group, entry["errors"])
        self._enter(group, entry)

    def _enter(self, group: ManifestGroup, entry: Entry) -> None:
        if self.journal["groups"].get(group["id"]) != entry:
            self.journal["groups"][group["id"]] = entry
            self.robot.write_journal(self.journal)

    def _forward(self, job: JobName, group: ManifestGroup) -> Entry:
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
            return {"phase": "failed" if committed else "back", "errors": self._shown(_explained(group, error))}
        return {"phase": "committed", "errors": []}

    def roll_back(self, job: JobName, group: ManifestGroup, errors: list[str], boot: bool = False) -> Entry:
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


def _explained(group: ManifestGroup, error: Exception) -> list[str]:
    """What went wrong, in words for a person."""
    texts = error.errors if isinstance(error, health.Unhealthy) else failed(error)["errors"]
    return [f"{group['name']}: {text}" for text in texts]
