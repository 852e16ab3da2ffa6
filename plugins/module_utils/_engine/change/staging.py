# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Preparing a release: is the plan sound, does it fit on this robot, would it work, and what would change."""

from __future__ import annotations

import json

from ..judge import choice, conflicts, damage, handover, room, validate, verify
from ..judge.fetching import Fetching
from ..mesh import identity, known, node
from ..plan import digests
from ..pods import addresses
from ..pods.across import told
from ..resources import kinds
from ..say.errors import Refusal
from ..state import garbage, ledger
from ..state import manifest as manifests
from ..state.journal import under_way
from ..state.lock import Lock
from ..state.scrub import Scrubber, of_release
from ..system import capabilities, own
from ..system.observe import read
from . import boot_unit, difference, summary, survey
from .difference import Contents
from .perform import Performer, silence
from .steps.between import between, emptied
from .steps.step import FROM_COMMIT, UNTIL_COMMIT, in_turn

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ..state.journal import Journal
    from ..state.ledger import JobState
    from ..state.manifest import PrepareRequest
    from ..state.robot import Robot
    from .perform import Progress
    from .steps.step import Step

    class Following(t.TypedDict):
        """A file that follows what other robots have: of which group, what it follows, and its content now; of one that is secret, the
        addresses that it knows, in the same form.
        """

        group: str
        follows: str
        before: str

    class _Prepared(t.TypedDict):
        """``staged``: the switch can begin. ``recorded``: the robot was as the plan wants it, and its ledger has that now.
        ``lacking``: nothing is staged before what is missing has been installed. ``planned``: a check leaves nothing behind.
        """

        status: t.Literal["staged", "recorded", "lacking", "planned"]
        steps: list[str]  # empty if a switch would change nothing
        diff: list[difference.Difference]  # empty unless it was asked for
        missing: list[str]
        needed: list[str]  # what the groups need that the robot has of these jobs, as a need names it
        before: list[JobState]  # of each job of the plan, in its order
        summary: list[summary.Change]
        goes: t.Mapping[str, survey.Going]  # by the ids of groups
        follows: t.Mapping[str, Following]  # by the paths of files that are there and change
        holds: list[str]  # the names of the groups that the robot has of these jobs
        notices: list[str]  # Ansible shows them as warnings

    class Prepared(_Prepared, total=False):
        release: str  # what is staged
        mesh: known.Known  # of `recorded`, what the groups of this robot serve and call now

    class Stale(t.TypedDict):
        """The plan is for a robot that has other ports free."""

        status: t.Literal["stale"]
        capabilities: dict[str, str]
        ports: choice.Numbers


def stage(robot: Robot, request: PrepareRequest, release: str, progress: Progress = silence) -> Prepared | Stale:
    """The answer to ``prepare`` with a plan, which is staged as this release."""
    _refuse_unknown(robot, request)
    robot.make()
    with Lock(robot.runtime, request["who"], "prepare", own.worker("prepare", release)):
        # Not before: during another run's switch, the engine that may have to take it back is its own.
        boot_unit.ensure(robot)
        capabilities.keep_systemd_version(robot.runtime)
        garbage.supersede(robot, request["who"], request["jobs"])
        garbage.collect(robot)
        notices = damage.repair(robot, request["plan"], keep=True)
        fetching = _fetching(robot, request)
        staging = Staging(robot, fetching, release, notices)
        stale = _stale(robot, staging)
        if stale:
            return stale
        prepared = staging.judge()
        if prepared["missing"]:
            return {**prepared, "status": "lacking"}
        if fetching.open:
            fetching.fetch(progress)
            staging = Staging(robot, fetching, release, notices)
            prepared = staging.judge()
        if not prepared["steps"] and not staging.needs_other_entries():
            staging.record()
            fetching.settle()
            return {**prepared, "status": "recorded", "mesh": known.of(robot)}
        staging.keep(progress)
        fetching.settle()
        return {**prepared, "status": "staged", "release": release}


def check(robot: Robot, request: PrepareRequest) -> Prepared | Stale:
    """The same in check mode, which leaves nothing on the robot."""
    _refuse_unknown(robot, request)
    notices = damage.repair(robot, request["plan"], keep=False)
    staging = Staging(robot, _fetching(robot, request), "check", notices)
    return _stale(robot, staging) or staging.judge()


def _fetching(robot: Robot, request: PrepareRequest) -> Fetching:
    """What can be said of what comes from elsewhere before the network is asked. If some cannot be had, what else is wrong is said too,
    as far as that does not depend on it.
    """
    try:
        return Fetching(robot, request)
    except Refusal as refusal:
        groups = [group for job in request["plan"]["jobs"] for group in job["groups"]]
        scrub = Scrubber(secret for group in groups for secret in group.get("secrets", []))
        others = verify.units(groups) + verify.lacking(groups) + verify.checks(groups)
        raise Refusal([*refusal.errors, *scrub(others)]) from None


def _stale(robot: Robot, staging: Staging) -> Stale | None:
    """Whether ports have other numbers here than the plan has."""
    numbers = choice.others(robot, staging.manifest, staging.contents)
    return {"status": "stale", "capabilities": capabilities.probe(robot.runtime), "ports": numbers} if numbers else None


def _refuse_unknown(robot: Robot, request: PrepareRequest) -> None:
    """Nothing is touched where the plan, or what is on the robot, is not of a kind that this engine knows."""
    problems = validate.errors(request["plan"], request["jobs"]) or damage.barriers(robot)
    if problems:
        raise Refusal(problems)


class Staging:
    """One plan made a release: judged, planned, and left on the robot for the switch."""

    def __init__(self, robot: Robot, fetching: Fetching, release: str, notices: list[str]) -> None:
        request = fetching.request
        self.robot = robot
        self.request = request
        self.fetched: list[summary.Change] = [*fetching.said]
        self.release = release
        self.notices = notices
        self.groups = [group for job in request["plan"]["jobs"] for group in job["groups"]]
        self.contents: dict[str, bytes] = {}
        self.interrupted = under_way(robot.journal())
        begun = [manifest for manifest in map(robot.manifest, self.interrupted) if manifest]
        self.manifest = manifests.build(request, release, robot.ledger, self._content, begun)
        for job, group in manifests.groups(self.manifest):
            record = robot.ledger.group(job, group["id"])
            left = emptied(group["resources"], ledger.known(record))
            group["resources"] += [manifests.staged(resource, self._content) for resource in left]
        self.scrub = of_release(robot, self.manifest, [secret for group in self.groups for secret in group.get("secrets", [])])
        self.changes: list[summary.Change] = []
        self.planned = self._plan()
        self.idle = survey.idle_here(robot, self.manifest)

    def judge(self) -> Prepared:
        """Refuse what would not work; else what would change."""
        todo = [step for _performer, step in self.planned]
        self._refuse_what_is_wrong(todo)
        interrupted = self.robot.journal()
        return {
            "status": "planned",
            "steps": self.scrub(_texts(todo, interrupted, self.idle)),
            "diff": self.scrub(self._difference(todo)) if self.request.get("diff") else [],
            "missing": verify.missing(self.groups),
            "needed": sorted({need["what"] for group in self.robot.ledger.groups(self.manifest["jobs"]) for need in group["needs"]}),
            "before": [job["before"] for job in self.manifest["jobs"]],
            "summary": self.scrub(summary.of_robot(interrupted, self.idle) + self.fetched + self.changes),
            "goes": self._going(),
            "follows": self._following(),
            "holds": sorted(group["name"] for group in self.robot.ledger.groups(self.manifest["jobs"])),
            "notices": self.request.get("mended", [])
            + self.notices
            + self._other_names()
            + (node.expiring() if any(map(identity.needed, self.groups)) else [])
            + told.unreached(self.manifest, self.contents.__getitem__),
        }

    def keep(self, progress: Progress) -> None:
        """Leave the release for the switch: contents first, then the manifest that names them."""
        self._store()
        for _performer, step in self.planned:
            if step["do"] == "make":
                kinds.of(step["resource"]).stage(step["resource"], self.robot, progress)
        self.robot.keep_manifest(self.manifest)

    def record(self) -> None:
        """All is as it should be, only the ledger does not have it: another controller's digest, or another description."""
        self._store()
        for performer, step in self.planned:
            performer.perform(step)
        for job in self.manifest["jobs"]:
            self.robot.ledger.set_state(job, ledger.whole(job["digest"]), self.manifest["robot"])

    def needs_other_entries(self) -> bool:
        """Whether jobs need other registration entries than before. Who notes that the robot has a job is not asked again for these, so it
        is noted by the switch, which follows once they are there.
        """
        jobs = self.manifest["jobs"]
        return any(digests.of_entries(job["digest"]) != digests.of_entries(job["before"]["plan"]) for job in jobs)

    def _content(self, content: bytes) -> str:
        digest = self.robot.digest(content)
        self.contents[digest] = content
        return digest

    def _refuse_what_is_wrong(self, todo: t.Sequence[Step]) -> None:
        changes = [(step["do"], step["resource"], step["now"]) for step in todo if step["do"] in ("make", "remove", "discard")]
        problems = conflicts.errors(self.robot, self.manifest)
        problems += addresses.errors(self.manifest, self.contents.__getitem__)
        problems += room.errors(self.robot, self.contents, changes)
        made = [step["resource"] for step in todo if step["do"] == "make"]
        problems += [text for resource in made for text in kinds.of(resource).obstacles(resource, self.robot)]
        problems += verify.units(self.groups) + verify.lacking(self.groups) + verify.checks(self.groups)
        if problems:
            raise Refusal(self.scrub(problems))

    def _plan(self) -> list[tuple[Performer, Step]]:
        """All steps in their order, as the switch will take them, each with what would carry it out; `changes` says what they do."""
        planned = []
        for members in handover.bundles(self.manifest, self.robot.ledger):
            halted = handover.listening(members, self.robot.ledger)
            found = [self._steps(member, halted) for member in members]
            performers = [Performer(self.robot, self.release, job, group, silence) for job, group in members]
            planned += [(performers[number], step) for number, step in in_turn(found, UNTIL_COMMIT + FROM_COMMIT)]
        return planned

    def _steps(self, member: handover.Member, halted: t.Sequence[str]) -> list[Step]:
        job, group = member
        situation = survey.look(self.robot, group["resources"], self.robot.ledger.group(job, group["id"]))
        found = between(situation, self.robot.digest, self.manifest["keep_data"], halted)
        self.changes += summary.of_group(group["id"], group["name"], situation, found, Contents(self.contents), whole=not self.interrupted)
        return found

    def _going(self) -> dict[str, survey.Going]:
        """What goes from this robot, by the ids of the groups that it belongs to."""
        records = [(group, self.robot.ledger.group(job, group["id"])) for job, group in manifests.groups(self.manifest)]
        going = {group["id"]: survey.going(group, record, self.manifest["keep_data"]) for group, record in records}
        return {id: found for id, found in going.items() if found}

    def _following(self) -> dict[str, Following]:
        """What `hold` of a switch may be about."""
        found: dict[str, Following] = {}
        for performer, step in self.planned:
            resource = step.get("resource", {})
            if step["do"] == "make" and resource.get("follows") and step["now"]:
                group = performer.group
                before = (
                    self._known(performer, resource["path"])
                    if resource.get("secret")
                    else read(resource["path"]).decode("utf-8", "replace")
                )
                found[resource["path"]] = {"group": group["name"], "follows": resource["follows"], "before": before}
        return found

    def _known(self, performer: Performer, path: str) -> str:
        """The addresses that a secret file has, as the ledger has it: its content must not leave this robot."""
        record = self.robot.ledger.group(performer.job, performer.group["id"])
        known = [resource.get("knows", []) for resource in (record["resources"] if record else []) if resource.get("path") == path]
        return json.dumps([{"address": address} for addresses in known for address in addresses])

    def _other_names(self) -> list[str]:
        """A machine with two names in one inventory: each of them undoes what was deployed to the other."""
        mine = self.manifest["robot"]
        others = sorted({self.robot.ledger.of(job).get("robot", "") for job in self.manifest["jobs"]} - {mine, ""})
        text = (
            f"this machine was called {{}} when the job was last deployed to it, and is called {mine} now: "
            "a machine must have only one name in an inventory"
        )
        return [text.format(name) for name in others] if mine else []

    def _store(self) -> None:
        for content in self.contents.values():
            self.robot.store.put(content)

    def _difference(self, todo: t.Iterable[Step]) -> list[difference.Difference]:
        groups = self.robot.ledger.groups(self.manifest["jobs"])
        known = {kinds.place(resource): resource for group in groups for resource in ledger.known(group)}
        return difference.of_steps(todo, Contents(self.contents), known)


def _texts(todo: t.Iterable[Step], interrupted: Journal | None, idle: t.Iterable[str]) -> list[str]:
    """The steps for a person. First what serves all groups and is ``idle`` is started, and an interrupted switch ended."""
    texts = [f"start {unit}" for unit in idle]
    texts += summary.mends(interrupted)
    return texts + [step["text"] for step in todo if step["text"]]
