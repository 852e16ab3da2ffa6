# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Switching to a staged release: group by group, each committed or taken back as a whole.

The journal (``pending``) is there from before the first touch until the result is known::

    {"release", "began", "groups": {id: {"phase", "errors": [...]}},
     "changes": [...]}

The phases: ``forward`` and ``back`` are under way, ``committed`` and ``rolled-back`` are whole; ``failed`` is whole too,
but a unit of the last good release does not run or something is left over; ``stuck`` is not: the way back failed, and
the journal stays for the next run to try again.
"""

from __future__ import annotations

import time

from ..judge import conflicts
from ..resources import kinds
from ..say.answers import failed
from ..say.errors import Refusal
from ..say.texts import harmless
from ..state import garbage, jsonfile
from ..state import manifest as manifests
from ..state.lock import Lock
from ..state.scrub import of_release
from ..system import ports, systemd
from . import health, survey
from .perform import Performer

WHOLE = ("committed", "rolled-back", "failed")


def run(robot, release, progress, performer=Performer):
    """Switch; the result. Called again after it was killed, it goes on from where the journal says it was."""
    manifest = jsonfile.load(robot.manifest_path(release))
    if manifest is None:
        raise Refusal([f"release {release} is not staged on this robot any more: run again"])
    with Lock(robot.runtime, manifest["who"], f"switch to release {release}"):
        journal = robot.journal()
        if journal is None or journal["release"] != release:
            _still_valid(robot, manifest)
            if journal:
                go_back(robot, journal, progress)
            journal = {"release": release, "began": time.time(), "groups": {}, "changes": []}
            robot.write_journal(journal)
        switch = Switch(robot, manifest, journal, progress, performer)
        for job, group in manifests.groups(manifest):
            switch.group(job, group)
        return end(robot, manifest, journal)


def _still_valid(robot, manifest):
    """Between prepare and switch another run may have been here."""
    problems = []
    for job in manifest["jobs"]:
        if manifests.base(robot.ledger.of(job)) != job["base"]:
            text = "{}/{}: another run has changed this job on this robot since this one was prepared: run again"
            problems.append(text.format(job["namespace"], job["name"]))
    problems += conflicts.errors(robot, manifest)
    if problems:
        raise Refusal(problems)


def go_back(robot, journal, progress, boot=False):
    """After a switch that was cut off: take every group that it had not finished back, and write its result."""
    manifest = jsonfile.load(robot.manifest_path(journal["release"]))
    if manifest is None:
        # Nothing was touched before both were written, and the manifest is the first to be written, the last to go.
        robot.end_journal()
        return
    switch = Switch(robot, manifest, journal, progress)
    for job, group in manifests.groups(manifest):
        entry = journal["groups"].get(group["id"], {"phase": "rolled-back", "errors": []})
        if entry["phase"] not in WHOLE:
            text = "{}: the switch was interrupted; gone back to the last good release".format(group["name"])
            entry = switch.back(job, group, entry["errors"] or [text], boot)
        journal["groups"][group["id"]] = entry
    end(robot, manifest, journal)


class Switch:
    """Takes groups forward, and back where one does not come up."""

    def __init__(self, robot, manifest, journal, progress, performer=Performer):
        self.robot = robot
        self.manifest = manifest
        self.journal = journal
        self.progress = progress
        self.performer = performer

    def group(self, job, group):
        """Bring one group to its new release, or back to its last good one."""
        entry = self.journal["groups"].get(group["id"], {"phase": "forward", "errors": []})
        if entry["phase"] == "forward":
            self._enter(group, "forward", [])
            entry = self._forward(job, group)
        if entry["phase"] == "back":
            self._enter(group, **entry)
            entry = self.back(job, group, entry["errors"])
        self._enter(group, **entry)

    def _enter(self, group, phase, errors):
        if self.journal["groups"].get(group["id"]) != {"phase": phase, "errors": errors}:
            self.journal["groups"][group["id"]] = {"phase": phase, "errors": errors}
            self.robot.write_journal(self.journal)

    def _forward(self, job, group):
        committed = False
        try:
            record = self._record(job, group)
            committed = record is not None and record["release"] == self.manifest["release"]
            performer = self.performer(self.robot, self.manifest["release"], job, group, self.progress)
            for step in survey.plan_steps(self.robot, group["resources"], record, keep_data=self.manifest["keep_data"]):
                if step["text"]:
                    self.journal["changes"].append(step["text"])
                performer.perform(step)
                committed = committed or step["do"] == "commit"
        except Exception as error:
            # Whatever it was, the group must end whole: behind the commit what is left over is only removed later.
            return {"phase": "failed" if committed else "back", "errors": self._shown(explain(group, error))}
        return {"phase": "committed", "errors": []}

    def back(self, job, group, errors, boot=False):
        """Make a group what the ledger says of it: the last good release, or nothing.

        Killed behind the commit, the last good release is the new one, and only its leftovers are still to go.
        """
        record = self._record(job, group)
        committed = record["release"] == self.manifest["release"] if record else not group["resources"]
        target = dict(record, id=group["id"]) if record else _nothing(group)
        phase = "committed" if committed else "rolled-back"
        errors = [] if committed else list(errors)
        try:
            performer = self.performer(self.robot, self.manifest["release"], job, target, self.progress)
            for step in survey.plan_steps(
                self.robot,
                target["resources"],
                record,
                others=group["resources"],
                keep_data=committed and self.manifest["keep_data"],
                spare_leftovers=not committed,
            ):
                if boot and step["do"] == "healthy":
                    # Units wait for the boot to come to them, and the boot waits for us.
                    continue
                try:
                    performer.perform(step)
                except health.Unhealthy as unhealthy:
                    phase = "failed"
                    errors += [f"and the last good release does not come up either: {text}" for text in self._shown(unhealthy.errors)]
        except Exception as error:
            return {
                "phase": "stuck",
                "errors": errors + [f"and the way back failed: {text}" for text in self._shown(explain(group, error))],
            }
        return {"phase": phase, "errors": errors}

    def _shown(self, texts):
        """Texts in which programs may have their say: secrets go first, as the programs wrote them, and before anything is cut."""
        return [harmless(text) for text in of_release(self.robot, self.manifest)(texts)]

    def _record(self, job, group):
        return self.robot.ledger.group(job, group["id"])


def _nothing(group):
    """What a group is where it has no last good release."""
    return {"id": group["id"], "name": group["name"], "resources": [], "needs": [], "ports": [], "secrets": None}


def explain(group, error):
    """What went wrong, in words for a person."""
    texts = error.errors if isinstance(error, health.Unhealthy) else failed(error)["errors"]
    return [f"{group['name']}: {text}" for text in texts]


def end(robot, manifest, journal):
    """Write down what was reached; the result."""
    entries = journal["groups"]
    for job in manifest["jobs"]:
        reached = {entries[group["id"]]["phase"] for group in job["groups"]}
        if reached <= {"committed"}:
            _stands_for(robot, job, job["digest"])
        elif reached == {"rolled-back"}:
            _stands_for(robot, job, job["before"])
    scrub = of_release(robot, manifest)
    result = {
        "status": _status({entry["phase"] for entry in entries.values()}),
        "release": manifest["release"],
        "changes": scrub(journal["changes"]),
        "groups": {group["id"]: entries[group["id"]]["phase"] for _job, group in manifests.groups(manifest)},
        "units": _units(robot, manifest),
        "notices": _unheard(robot, manifest),
        "restored": [group["name"] for job, group in manifests.groups(manifest) if _is_back(robot, job, group, entries)],
        "errors": scrub([text for entry in entries.values() for text in entry["errors"]]),
    }
    jsonfile.save(robot.result_path(manifest["release"]), dict(result, op="switch"))
    clear(robot, manifest["release"])
    return result


def _is_back(robot, job, group, entries):
    """Whether a group's last good release runs again, where there was one."""
    return entries[group["id"]]["phase"] == "rolled-back" and robot.ledger.group(job, group["id"]) is not None


def _unheard(robot, manifest):
    """Ports that stay without a listener although every unit is up."""
    wanted = [port for group in robot.ledger.groups(manifest["jobs"]) for port in group["ports"]]
    text = "{}: nobody listens on port {} of {} yet"
    return [text.format(port["where"], port["port"], port["address"]) for port in ports.without_listener(wanted)]


def _status(phases):
    if phases <= {"committed"}:
        return "committed"
    if phases <= {"committed", "rolled-back"}:
        return "rolled-back"
    return "failed"


def _stands_for(robot, job, digest):
    record = robot.ledger.of(job)
    robot.ledger.save(dict(record, digest=digest))


def clear(robot, release):
    """Behind the result: nothing is under way any more, and nothing staged."""
    journal = robot.journal()
    if journal and journal["release"] == release:
        if any(entry["phase"] == "stuck" for entry in journal["groups"].values()):
            return
        robot.end_journal()
    jsonfile.remove(robot.manifest_path(release))
    garbage.collect(robot)


def _units(robot, manifest):
    """What each unit that should run does now."""
    names = [unit["name"] for group in robot.ledger.groups(manifest["jobs"]) for unit in kinds.that_run(group["resources"])]
    return {name: "{} ({})".format(values.get("ActiveState"), values.get("SubState")) for name, values in systemd.show(names).items()}
