# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The groups of a release that go together: all to the new release, or all back to their last good ones.

Nothing is noted as the robot's, and no data are removed, before all of them run.
"""

from __future__ import annotations

from ..judge import handover, room
from ..plan import REGISTERED, RESTART_COUNTS, STARTED_AT_BOOT
from ..pods import units as wall_units
from ..resources import kinds
from ..say.answers import failed
from ..say.errors import CommandFailed, NotHad
from ..say.texts import harmless
from ..state import ledger
from ..state import manifest as manifests
from ..state.journal import FINAL
from ..state.scrub import of_release
from ..system import files, systemd
from . import survey
from .health.wait import Unhealthy
from .perform import Performer
from .steps.step import FROM_COMMIT, RESUMED, UNTIL_COMMIT, in_turn

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ..judge.handover import Member, Members
    from ..plan import Port, Resource
    from ..state.journal import Journal, Phase
    from ..state.ledger import GroupRecord, JobName
    from ..state.manifest import Manifest, ManifestGroup
    from ..state.robot import Robot
    from .perform import Progress
    from .steps.step import Step, Turns

    # The performer of each group, and the steps of all of them in turn, each with its group's number.
    Work = t.Tuple[t.Sequence[Performer], t.Sequence[t.Tuple[int, Step]]]
    Errors = t.Mapping[str, t.List[str]]


class Switch:
    """Brings groups to a release, or back where one of them does not come up."""

    def __init__(
        self, robot: Robot, manifest: Manifest, journal: Journal, progress: Progress, performer: type[Performer] = Performer
    ) -> None:
        self.robot = robot
        self.manifest = manifest
        self.journal = journal
        self.progress = progress
        self.performer = performer
        # What may be there of the groups from releases that were stuck on their way back, by the groups' ids.
        self.overtaken: dict[str, list[Resource]] = {}
        for release in journal.get("overtaken", ()):
            earlier = robot.manifest(release)
            for _job, group in manifests.groups(earlier) if earlier else ():
                self.overtaken.setdefault(group["id"], []).extend(group["resources"])

    def apply(self, members: Members) -> None:
        """Bring groups that go together to the new release, or all of them back. Continues from where the journal has them."""
        if self._under_way(members, "commit"):
            self._finish(members, RESUMED)
        elif self._under_way(members, "forward", None):
            self._enter(members, "forward")
            self._forward(members)
            if self._under_way(members, "commit"):
                self._finish(members, FROM_COMMIT)
        if self._under_way(members, "back"):
            self._roll_back(members)

    def recover(self, members: Members, boot: bool = False) -> None:
        """End what was interrupted: what is written down in part is finished, everything else goes back."""
        self._forget_half_written(members)
        committed = [member for member in members if self._is_committed(member)]
        begun = [member for member in members if member not in committed and self._phase(member) in ("forward", "back", "stuck")]
        if committed:
            self._finish(committed, RESUMED)
        if begun:
            # Those that it had not come to go back with the others, which changes nothing about them.
            self._roll_back([member for member in members if member not in committed and self._phase(member) not in FINAL], boot)
        for member in members:
            if self._phase(member) is None:
                self._enter([member], "rolled-back")

    def _forward(self, members: Members) -> None:
        at = members[0][1]
        try:
            performers, todo = self._work(members, UNTIL_COMMIT)
            for number, step in todo:
                at = members[number][1]
                self._perform(performers[number], step)
        except Exception as error:
            # Whatever it was, the groups must end complete: that is written down before anything else can fail.
            self._enter(members, "back", {at["id"]: self._shown(_explained(at, error))})
            self._errors(at).extend(self._shown(room.explained(self.robot, error)))
        else:
            # From here on there is no way back.
            self._enter(members, "commit")

    def _finish(self, members: Members, turns: Turns) -> None:
        """Write down what runs now; then remove what nothing needs any more. What cannot be written down now, is later."""
        errors: dict[str, list[str]] = {}
        phases: dict[str, Phase] = {group["id"]: "committed" for _job, group in members}
        unwritten = False
        performers, todo = self._work(members, turns)
        for number, step in todo:
            group = members[number][1]
            if errors and step["do"] not in ("stop", "commit"):
                # Leftovers only wait for their removal, and the next run sees them.
                break
            try:
                self._perform(performers[number], step)
            except Exception as error:
                phases[group["id"]] = "failed"
                texts = self._shown(_explained(group, error))
                if step["do"] == "commit":
                    unwritten = True
                    later = "the next run and each boot try again"
                    texts = [f"{text}; the new release runs, but this is not written down yet: {later}" for text in texts]
                errors.setdefault(group["id"], []).extend(texts)
        if unwritten:
            # No record has all that is here. So the journal stays, and all that is written down with the others is, once more.
            phases = dict.fromkeys(phases, "commit")
        self._end(phases, errors)

    def _roll_back(self, members: Members, boot: bool = False) -> None:
        """Make each group what the ledger has of it: its last good release, or nothing."""
        errors = {group["id"]: list(self._errors(group)) for _job, group in members}
        phases: dict[str, Phase] = {group["id"]: "rolled-back" for _job, group in members}
        over: set[str] = set()
        self._enter(members, "back", errors)
        performers, todo = self._work_back(members)
        for number, step in todo:
            job, group = members[number]
            if group["id"] in over or (boot and step["do"] == "healthy"):
                # At boot, units wait for the boot to come to them, and the boot waits for us.
                continue
            try:
                performers[number].perform(step)
            except Unhealthy as unhealthy:
                if phases[group["id"]] != "stuck":
                    phases[group["id"]] = "failed"
                either = f"{group['name']}: the last good release does not start either"
                if step["do"] == "refresh":
                    either = f"{group['name']}: not all files of the last good release are back"
                errors[group["id"]] += [f"{either}: {text}" for text in self._shown(unhealthy.errors)]
            except Exception as error:
                if isinstance(error, NotHad):
                    if not error.answered and not self._touches(job, group, step["resource"]):
                        # Nobody answers, and nobody has to: the switch has left it as it was.
                        continue
                    # What does not need it comes back all the same. What does starts anew when it is tried again.
                    performers[number].lacks.add(kinds.place(step["resource"]))
                else:
                    over.add(group["id"])
                phases[group["id"]] = "stuck"
                texts = [f"{group['name']}: rolling back failed: {text}" for text in self._shown(failed(error)["errors"])]
                # It may have failed so before.
                errors[group["id"]] += [text for text in texts if text not in errors[group["id"]]]
        self._end(phases, errors)

    def _work(self, members: Members, turns: Turns) -> Work:
        """The steps of some turns to the new release."""
        halted = handover.listening(members, self.robot.ledger) if turns is UNTIL_COMMIT else []
        performers, found = [], []
        for job, group in members:
            record = self.robot.ledger.group(job, group["id"])
            target = self._target(group, record)
            performers.append(self.performer(self.robot, self.manifest["release"], job, target, self.progress))
            spared = self._spared(group, record)
            keep_data, others = self.manifest["keep_data"], self.overtaken.get(group["id"], [])
            down = [*halted, *self._ousted(group, record)] if turns is UNTIL_COMMIT else []
            todo = survey.plan_steps(self.robot, target["resources"], record, others, keep_data, down, spared)
            if turns is RESUMED:
                todo = [*self._stopped_again(group, record), *todo]
            found.append(todo)
        return performers, in_turn(found, turns)

    def _work_back(self, members: Members) -> Work:
        """All steps back to the last good releases."""
        halted = handover.listening(members, self.robot.ledger)
        performers, found = [], []
        for job, group in members:
            record = self.robot.ledger.group(job, group["id"])
            target = manifests.last_good(group["id"], record) if record else manifests.nothing(group["id"], group["name"])
            performers.append(self.performer(self.robot, self.manifest["release"], job, target, self.progress, record))
            # What was left over before stays so.
            spared = record["leftovers"] if record else ()
            tried = self._tried(group, record)
            found.append(survey.plan_steps(self.robot, target["resources"], record, others=tried, halted=halted, spared=spared))
        return performers, in_turn(found, UNTIL_COMMIT + FROM_COMMIT)

    def _touches(self, job: JobName, group: ManifestGroup, resource: Resource) -> bool:
        """Whether the release that is tried, or one before it that was stuck, has something else at the place of this one."""
        tried = self._tried(group, self.robot.ledger.group(job, group["id"]))
        here = [other for other in tried if kinds.place(other) == kinds.place(resource)]
        return any(kinds.expected(other) != kinds.expected(resource) for other in here)

    def _forget_half_written(self, members: Members) -> None:
        """What was to be replaced may be as it should be, so that no step comes by what was to replace it."""
        for job, group in members:
            record = self.robot.ledger.group(job, group["id"])
            for resource in [*group["resources"], *(ledger.known(record) if record else ())]:
                try:
                    files.forget_half_written(kinds.place(resource))
                except (OSError, CommandFailed):
                    # To go back matters more than to tidy up.
                    continue

    def _tried(self, group: ManifestGroup, record: GroupRecord | None) -> list[Resource]:
        """What may be there of the group from this switch, and from others that were stuck on their way back."""
        return [*self._target(group, record)["resources"], *self.overtaken.get(group["id"], [])]

    def _target(self, group: ManifestGroup, record: GroupRecord | None) -> ManifestGroup:
        """The group as this switch makes it, with what stays for now."""
        if record and group["resources"] and group["id"] in self.journal["spare"]:
            group = survey.with_what_stays(group, record, self._taken_from(group, record))
        return survey.with_what_is_held(group, record, self.journal.get("hold", ())) if record else group

    def _ousted(self, group: ManifestGroup, record: GroupRecord | None) -> list[str]:
        """Units of the group that stay in their files alone: another instance, perhaps of the same group, has their port from now on."""
        if not record or group["id"] not in self.journal["spare"]:
            return []
        return survey.ousted(group, record, self._taken_from(group, record)) if group["resources"] else kinds.units(ledger.known(record))

    def _stopped_again(self, group: ManifestGroup, record: GroupRecord | None) -> list[Step]:
        """A boot may have begun to start these."""
        ousted = [] if group["resources"] else self._ousted(group, record)
        there = systemd.known(set(ousted))
        units = [name for name in reversed(ousted) if name in there]
        return [{"do": "stop", "text": "", "units": units}] if units else []

    def _spared(self, group: ManifestGroup, record: GroupRecord | None) -> list[Resource]:
        """What stays of the group, although it does not want it any more. Of one that does not run on (`handover.staying`), no boot starts
        anything either, and Consul has nothing.
        """
        if not record or group["id"] not in self.journal["spare"]:
            return []
        stays = ledger.known(record)
        goes = (f"{STARTED_AT_BOOT}/", f"{REGISTERED}/")
        return stays if group["resources"] else [each for each in stays if not kinds.place(each).startswith(goes)]

    def _taken_from(self, group: ManifestGroup, record: GroupRecord) -> list[Port]:
        """The ports of the release that nothing of the group may keep. Two pods of a group may: the robot's port leads to one."""
        pods = wall_units.has_pods(record["resources"])
        return [port for _job, other in manifests.groups(self.manifest) if not (pods and other is group) for port in other["ports"]]

    def _perform(self, performer: Performer, step: Step) -> None:
        if step["text"]:
            self.journal["changes"].append(step["text"])
        performer.perform(step)
        if performer.notices:
            self.journal.setdefault("notices", []).extend(performer.notices)
            performer.notices = []

    def _phase(self, member: Member) -> Phase | None:
        """None: the switch has not come to this group."""
        entry = self.journal["groups"].get(member[1]["id"])
        return entry["phase"] if entry else None

    def _errors(self, group: ManifestGroup) -> list[str]:
        entry = self.journal["groups"].get(group["id"])
        return entry["errors"] if entry else []

    def _under_way(self, members: Members, *phases: Phase | None) -> bool:
        return any(self._phase(member) in phases for member in members)

    def _enter(self, members: Members, phase: Phase, errors: Errors | None = None) -> None:
        """Groups that go together come to a phase together: in one write."""
        self._end({group["id"]: phase for _job, group in members}, errors or {})

    def _end(self, phases: t.Mapping[str, Phase], errors: Errors) -> None:
        for id, phase in phases.items():
            self.journal["groups"][id] = {"phase": phase, "errors": errors.get(id, [])}
        self.robot.write_journal(self.journal)

    def _is_committed(self, member: Member) -> bool:
        """Whether the way back is closed. Older engines did not write so in the journal before the ledger had it."""
        job, group = member
        if self._phase(member) == "commit":
            return True
        record = self.robot.ledger.group(job, group["id"])
        written = record["release"] == self.manifest["release"] if record else not group["resources"]
        return written and self._phase(member) in ("forward", "back")

    def _shown(self, texts: list[str]) -> list[str]:
        """Error texts that may quote program output: secrets are removed first, then control characters and long lines."""
        return [harmless(text) for text in of_release(self.robot, self.manifest)(texts)]


def keep_up(robot: Robot, record: GroupRecord) -> list[str]:
    """Start what is down of a group that stays here as a whole until other robots are ready; what was started. What does not come up is no
    concern of the switch: that may be why it is to run elsewhere.
    """
    units = kinds.that_run(record["resources"])
    down = survey.dead(record, systemd.show([unit["name"] for unit in units]), robot.runtime)
    for name in down:
        files.remove(f"{robot.runtime}/{RESTART_COUNTS}/{name}")
    if down:
        systemd.reset_failed([*down])
        try:
            systemd.start([*down])
        except CommandFailed:
            # A file of it is missing: `status` shows what that comes to.
            return []
    return [f"start {name} ({why})" for name, why in down.items()]


def _explained(group: ManifestGroup, error: Exception) -> list[str]:
    """What went wrong, in words for a person."""
    texts = error.errors if isinstance(error, Unhealthy) else failed(error)["errors"]
    return [f"{group['name']}: {text}" for text in texts]
