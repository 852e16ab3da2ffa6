# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Preparing a release: is the plan sound, does it fit on this robot, would it work, and what would change."""

from __future__ import annotations

from ..judge import conflicts, validate, verify
from ..resources import kinds
from ..say.errors import Refusal
from ..state import garbage, install, jsonfile
from ..state import manifest as manifests
from ..state.lock import Lock
from ..state.scrub import of_release
from ..system import capabilities
from . import difference, steps, survey
from .perform import Performer, silence


def stage(robot, request, release):
    """The answer to ``prepare`` with a plan. ``release`` None: check mode, which leaves nothing on the robot."""
    problems = validate.errors(request["plan"], request["jobs"])
    if problems:
        raise Refusal(problems)
    if release is None:
        return Staging(robot, request, None).run()
    robot.make()
    install.ensure(robot)
    capabilities.keep_systemd_version(robot.runtime)
    with Lock(robot.runtime, request["who"], "prepare"):
        garbage.collect(robot)
        return Staging(robot, request, release).run()


class Staging:
    """One plan made a release: judged, planned and, unless it is only checked, left on the robot for the switch."""

    def __init__(self, robot, request, release):
        self.robot = robot
        self.request = request
        self.release = release
        self.groups = [group for job in request["plan"]["jobs"] for group in job["groups"]]
        self.contents = {}
        self.manifest = manifests.build(request["plan"], request, release, robot.ledger, self._content)
        self.scrub = of_release(robot, self.manifest, [secret for group in self.groups for secret in group.get("secrets", [])])

    def run(self):
        """The answer to ``prepare``."""
        self._refuse_what_is_wrong()
        planned = self._plan()
        todo = [step for _job, _group, found in planned for step in found]
        interrupted = self.robot.journal()
        changed = bool(interrupted) or not steps.idle(todo)
        missing = verify.missing(self.groups)
        if self.release and not missing:
            if changed:
                self._keep()
            else:
                self._write_down(planned)
        return {
            "status": "prepared",
            "release": self.release if changed and not missing else None,
            "changed": changed,
            "steps": self.scrub(_texts(todo, interrupted)),
            "diff": self.scrub(self._difference(todo)) if self.request.get("diff") else [],
            "missing": missing,
        }

    def _content(self, content):
        digest = self.robot.digest(content)
        self.contents[digest] = content
        return digest

    def _refuse_what_is_wrong(self):
        resources = [resource for _job, group in manifests.groups(self.manifest) for resource in group["resources"]]
        problems = conflicts.errors(self.robot, self.manifest)
        problems += conflicts.space(self.robot, self.contents, resources)
        problems += verify.units(self.groups) + verify.programs(self.groups) + verify.checks(self.groups)
        if problems:
            raise Refusal(self.scrub(problems))

    def _plan(self):
        """Every (job, group, steps) of the release."""
        planned = []
        for job, group in manifests.groups(self.manifest):
            record = self.robot.ledger.group(job, group["id"])
            found = survey.plan_steps(self.robot, group["resources"], record, keep_data=self.manifest["keep_data"])
            planned.append((job, group, found))
        return planned

    def _keep(self):
        """Contents first, then the manifest that names them."""
        self._store()
        jsonfile.save(self.robot.manifest_path(self.release), self.manifest)

    def _write_down(self, planned):
        """All is as it should be, only the ledger does not say so: another controller's digest, or another description."""
        self._store()
        for job, group, found in planned:
            performer = Performer(self.robot, self.release, job, group, silence)
            for step in found:
                performer.perform(step)
        for job in self.manifest["jobs"]:
            self.robot.ledger.save(dict(self.robot.ledger.of(job), digest=job["digest"]))

    def _store(self):
        for content in self.contents.values():
            self.robot.store.put(content)

    def _difference(self, todo):
        groups = [group for _job, group in manifests.groups(self.manifest)] + self.robot.ledger.groups(self.manifest["jobs"])
        resources = [resource for group in groups for resource in group["resources"] + group.get("leftovers", [])]
        secret = {kinds.place(resource) for resource in resources if resource.get("secret")}
        return difference.of_steps(todo, self.contents, secret)


def _texts(todo, interrupted):
    """The steps for a person; going back from an interrupted switch is the first."""
    texts = ["go back from release {}, whose switch was interrupted".format(interrupted["release"])] if interrupted else []
    return texts + [step["text"] for step in todo if step["text"]]
