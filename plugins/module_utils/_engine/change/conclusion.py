# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The end of a switch: what was reached, in the ledger and as the result; then nothing is under way any more."""

from __future__ import annotations

import sys

from ..checks import units as check_units
from ..consul import agent
from ..dns import units as dns_units
from ..logs import units as log_units
from ..mesh import known
from ..pods import names as pod_names
from ..pods import units as wall_units
from ..resources import kinds
from ..say.answers import failed
from ..state import garbage, ledger
from ..state import manifest as manifests
from ..state.journal import FINAL, referred_to
from ..state.results import Result
from ..state.scrub import of_release
from ..system import ports, systemd

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ..state.journal import Entry, Journal, Phase
    from ..state.manifest import Manifest, ManifestGroup, ManifestJob
    from ..state.robot import Robot

    class Switched(t.TypedDict):
        status: t.Literal["committed", "rolled-back", "failed"]
        release: str
        changes: list[str]  # what was done, in order
        groups: dict[str, Phase]
        units: dict[str, str]  # what each unit that should run does now
        notices: list[str]  # Ansible shows them as warnings
        restored: list[str]  # the names of the groups whose last good release runs again
        undone: list[str]  # and of those that went back to nothing, since they had none
        committed: list[str]  # and of those that are as the new release has them, though others may not be
        errors: list[str]
        mesh: known.Known  # what the groups of this robot serve and call now
        rest: str  # the release that is staged with the files that were held; empty where there are none


def conclude(robot: Robot, manifest: Manifest, journal: Journal) -> None:
    """Write down what was reached, and leave the result."""
    entries = journal["groups"]
    # Of what is left of an earlier release, the job may be at another one by now.
    for job in manifest["jobs"] if "about" not in journal else ():
        reached = {entries[group["id"]]["phase"] for group in job["groups"]}
        if reached <= {"committed"} and not _held(job, journal):
            robot.ledger.set_state(job, ledger.whole(job["digest"]), manifest.get("robot", ""))
        elif reached <= {"rolled-back", "stays"}:
            robot.ledger.set_state(job, job["before"])
    scrub = of_release(robot, manifest)
    back = [(group["name"], robot.ledger.group(job, group["id"])) for job, group in _in_phase(manifest, entries, "rolled-back")]
    status = _status({entry["phase"] for entry in entries.values()})
    held = status == "committed" and any(_held(job, journal) for job in manifest["jobs"])
    unsettled = settle_networks()
    result: Switched = {
        "status": status,
        "release": manifest["release"],
        "changes": scrub(journal["changes"]),
        "groups": {group["id"]: entries[group["id"]]["phase"] for _job, group in manifests.groups(manifest)},
        "units": _units(robot, manifest),
        "notices": [*scrub(journal.get("notices", [])), *_without_listener(robot, manifest), *unsettled, *_behind(journal)],
        "restored": [name for name, record in back if record],
        "undone": [name for name, record in back if not record],
        "committed": [group["name"] for _job, group in _in_phase(manifest, entries, "committed") if group["resources"]],
        "errors": scrub([text for entry in entries.values() for text in entry["errors"]]),
        "mesh": known.of(robot),
        "rest": _stage_rest(robot, manifest) if held else "",
    }
    Result(robot, manifest["release"], "switch").end(result)
    clear(robot, manifest["release"])


def settle(robot: Robot) -> None:
    """Have those of the engine's own units, the networks' apart, that what is on the robot needs, and no others."""
    log_units.remove_unneeded(robot)
    check_units.settle()


def settle_networks() -> list[str]:
    """The same of walls, names and registrations, which follow the files that are there; what fails, as texts."""
    try:
        # Names of pods that go on may have changed.
        pod_names.refresh()
        failed = []
    except OSError as error:
        failed = [f"the pods' hosts and resolv.conf could not be updated: {error}"]
    return [*failed, *wall_units.settle(), *dns_units.settle(), *agent.settle()]


def _in_phase(manifest: Manifest, entries: t.Mapping[str, Entry], phase: Phase) -> list[tuple[ManifestJob, ManifestGroup]]:
    """The groups of a release that ended in a phase, each with its job."""
    return [(job, group) for job, group in manifests.groups(manifest) if entries[group["id"]]["phase"] == phase]


def _held(job: ManifestJob, journal: Journal) -> bool:
    """Whether files of a job wait for their turn."""
    held = journal.get("hold", ())
    return bool(held) and any(resource.get("path") in held for group in job["groups"] for resource in group["resources"])


def _stage_rest(robot: Robot, manifest: Manifest) -> str:
    """The same once more, for the files that were held: nothing has to be prepared again for them."""
    release = f"{manifest['release']}-rest"
    jobs: list[ManifestJob] = []
    for job in manifest["jobs"]:
        record = robot.ledger.of(job)
        jobs.append({**job, "before": ledger.state_of(record), "base": manifests.base(record)})
    robot.keep_manifest({**manifest, "release": release, "jobs": jobs})
    Result(robot, release, "prepare").end({"status": "staged", "release": release})
    return release


def _behind(journal: Journal) -> list[str]:
    """Of each group that an earlier switch could not roll back, or not write down: why, as the last of its errors says."""
    return [
        f"{text}; what is left of this earlier release is tried again by the next run and at boot"
        for each in journal.get("behind", ())
        for entry in each["groups"].values()
        for text in entry["errors"][-1:]
    ]


def _without_listener(robot: Robot, manifest: Manifest) -> list[str]:
    """Ports that stay without a listener although every unit is up."""
    wanted = [port for group in robot.ledger.groups(manifest["jobs"]) for port in group["ports"]]
    text = "{}: nothing is listening on port {} of {} yet"
    return [text.format(port["where"], port["port"], port["address"]) for port in ports.without_listener(wanted)]


def _status(phases: set[Phase]) -> t.Literal["committed", "rolled-back", "failed"]:
    if phases <= {"committed", "stays"}:
        return "committed"
    if phases <= {"committed", "rolled-back", "stays"}:
        return "rolled-back"
    return "failed"


def clear(robot: Robot, release: str) -> None:
    """After the result: nothing is under way, and nothing staged. Where that fails, the next run does it: the result stands."""
    try:
        _clear(robot, release)
    except Exception as error:
        why = "; ".join(failed(error)["errors"])
        sys.stderr.write(f"not all that release {release} left could be cleared away; the next run does it: {why}\n")


def _clear(robot: Robot, release: str) -> None:
    journal = robot.journal()
    if journal and journal["release"] == release:
        if any(entry["phase"] not in FINAL for entry in journal["groups"].values()):
            return
        robot.end_journal()
        for overtaken in set(journal.get("overtaken", ())) - set(referred_to(robot.journal())):
            robot.forget_manifest(overtaken)
    robot.forget_manifest(release)
    garbage.collect(robot)
    settle(robot)


def _units(robot: Robot, manifest: Manifest) -> dict[str, str]:
    """What each unit that should run does now, or that it has done what it should do once."""
    units = [unit for group in robot.ledger.groups(manifest["jobs"]) for unit in kinds.that_run(group["resources"])]
    done = {unit["name"] for unit in units if kinds.of(unit).finished(unit)}
    shown = systemd.show([unit["name"] for unit in units])
    return {name: "done" if name in done else f"{values.get('ActiveState')} ({values.get('SubState')})" for name, values in shown.items()}
