# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All that a group has, should have, or once had, as it is now: the steps are decided from it."""

from __future__ import annotations

import time

from .. import plan
from ..judge import silent
from ..resources import kinds
from ..state import manifest as manifests
from ..state.ledger import known
from ..system import endings, files, ports, systemd
from ..system.observe import Observer
from .health import report
from .steps.between import between
from .steps.situation import Situation, holdings, stops

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ..plan import Port, Resource
    from ..state.ledger import GroupRecord
    from ..state.manifest import Manifest, ManifestGroup
    from ..state.robot import Robot
    from .steps.step import Step

    class Going(t.TypedDict):
        """Of a group's units, those that go from this robot. ``whole``: all of the group goes."""

        name: str
        whole: bool
        units: list[str]  # as people call them
        data: int  # bytes on the disk that go with them
        kept: int  # and that stay, because this run keeps data


# Seconds: for so long a program that ends is waited for, and looked at so often.
ENDING, INTERVAL = 5.0, 0.1


def plan_steps(
    robot: Robot,
    wanted: t.Sequence[Resource],
    record: GroupRecord | None,
    others: t.Iterable[Resource] = (),
    keep_data: bool = False,
    halted: t.Sequence[str] = (),
    spared: t.Sequence[Resource] = (),
) -> list[Step]:
    """The steps from what is to what is wanted: `look` with what `between` makes of it."""
    return between(look(robot, wanted, record, others), robot.digest, keep_data, halted, spared)


def look(robot: Robot, wanted: t.Sequence[Resource], record: GroupRecord | None, others: t.Iterable[Resource] = ()) -> Situation:
    """What there is of what a group shall have, and of what it had.

    ``record``: the group's record in the ledger. ``others``: further resources that may be there, those of a release
    that did not get through.
    """
    others = list(others)
    old = merge(known(record), others)
    everything = merge(wanted, old)
    observer = Observer(robot.digest)
    seen = {kinds.place(resource): kinds.actual(resource, observer) for resource in everything}
    absent = {name for resource in everything if seen[kinds.place(resource)] is None for name in kinds.units([resource])}
    there = systemd.known(absent)
    names = [name for name in kinds.units(everything) if name not in absent or name in there]
    shown = _shown(names, {unit["name"] for unit in kinds.that_run(everything) if unit.get("done")})
    return Situation(
        wanted,
        old,
        seen=seen,
        units=shown,
        finished={unit["name"] for unit in kinds.that_run(wanted) if kinds.of(unit).finished(unit)},
        started=record["started"] if record else {},
        silent=_unheard(record, shown) if record else {},
        dead=dead(record, shown, robot.runtime) if record else {},
        # On the way back, a unit may be of the release that did not get through.
        held=holdings([*known(record), *others]),
        stops=stops([*known(record), *others]),
    )


def _shown(names: t.Sequence[str], to_their_end: t.Container[str]) -> systemd.Shown:
    """What systemd says of units; of those that run `to_their_end` once none is about to end, for it has not written that down yet."""
    deadline = time.monotonic() + ENDING
    while True:
        shown = systemd.show(names)
        ending = [name for name, values in shown.items() if values.get("ActiveState") == "deactivating" and name in to_their_end]
        if not ending or time.monotonic() >= deadline:
            return shown
        time.sleep(INTERVAL)


def _unheard(record: GroupRecord, shown: systemd.Shown) -> dict[str, str]:
    """The units that run and must start again all the same, each with why."""
    resources = record["resources"]
    unlogged = {name: f"{lost} of its log is missing" for name, lost in silent.unlogged(resources, shown).items()}
    return {**unlogged, **silent.units(record["ports"], shown), **silent.inside(resources)}


def dead(record: GroupRecord, shown: systemd.Shown, runtime: str) -> dict[str, str]:
    """Of the units that should run and do not: since when, and of what they ended."""
    found = {}
    for unit in kinds.that_run(record["resources"]):
        values = shown.get(unit["name"], {})
        if kinds.of(unit).restarts(unit) and not systemd.up(values) and not kinds.of(unit).finished(unit):
            ended = endings.when(values)
            since = f"down since {endings.wall(ended)}" if ended else "down"
            found[unit["name"]] = f"{since}: {report.ended(unit, values, runtime)}"
    return found


def idle(groups: t.Iterable[GroupRecord]) -> list[str]:
    """The engine's own units that these groups need and that are down, each with since when and why, for a person."""
    return down(kinds.served_by(resource for group in groups for resource in group["resources"]))


def down(names: t.Sequence[str]) -> list[str]:
    """Those of some units that are down, each with since when and why, for a person."""
    found = []
    for name, values in systemd.show(names).items():
        if not systemd.up(values):
            ended = endings.when(values)
            since = f" since {endings.wall(ended)}" if ended else ""
            found.append(f"{name} (down{since}: {_why_idle(values)})")
    return found


def failing(groups: t.Iterable[GroupRecord]) -> list[str]:
    """What timers start again and again for these groups and whose last run failed, each with when and why, for a person."""
    served = kinds.served_by(resource for group in groups for resource in group["resources"])
    timers, found = [unit for unit in served if unit.endswith(".timer")], []
    for name, values in systemd.show([f"{timer.partition('.')[0]}.service" for timer in timers]).items():
        if values.get("ActiveState") == "failed":
            ended = endings.when(values)
            at = f" at {endings.wall(ended)}" if ended else ""
            found.append(f"{name} (its last run failed{at}: {endings.words(values)}); see journalctl -u {name}")
    return found


def _why_idle(values: systemd.Properties) -> str:
    if values.get("LoadState") == "not-found":
        return "its file is not there"
    # They end by themselves only with a failure.
    return "it was stopped" if values.get("Result") == "success" else endings.words(values, True)


def idle_here(robot: Robot, manifest: Manifest) -> list[str]:
    """The same for the groups of a release that the robot has already, and keeps."""
    kept = [robot.ledger.group(job, group["id"]) for job, group in manifests.groups(manifest) if group["resources"]]
    return idle(record for record in kept if record)


def with_what_stays(group: ManifestGroup, record: GroupRecord, taken: t.Sequence[Port]) -> ManifestGroup:
    """A group, with what it does not want any more and what has to stay here for now, as its record has it.

    Its target's file does not have these units: they hang on it by links beside that. What was left over before is no part of this, and
    neither is a unit whose port is ``taken``, which the release gives to something else here: it is stopped for that (`ousted`).
    """
    names = set(kinds.units(group["resources"]))
    unwanted, lost, kept = _not_wanted(group, record, taken)
    stays: list[Resource] = [{**resource, "leaving": True} for resource in unwanted if not any(_is_of(port, [resource]) for port in lost)]
    hung = [unit["name"] for unit in kinds.that_run(stays) if unit["name"] not in names]
    for target in [unit for unit in group["resources"] if kinds.of(unit).starts_the_others(unit)] if hung else ():
        directory = f"{kinds.place(target)}.wants"
        links = [plan.directory(directory), *(plan.link(f"{directory}/{name}", f"../{name}") for name in hung)]
        stays = merge(stays, [{**link, "leaving": True} for link in links])
    return {**group, "resources": merge(group["resources"], stays), "ports": [*group["ports"], *kept]}


def ousted(group: ManifestGroup, record: GroupRecord, taken: t.Sequence[Port]) -> list[str]:
    """The units that would have to stay here for now, and cannot: their port is ``taken``."""
    unwanted, lost, _kept = _not_wanted(group, record, taken)
    return [unit["name"] for unit in kinds.to_tell_of(unwanted) if any(_is_of(port, [unit]) for port in lost)]


def _not_wanted(group: ManifestGroup, record: GroupRecord, taken: t.Sequence[Port]) -> tuple[list[Resource], list[Port], list[Port]]:
    """Of what the ledger has of a group, the resources that the group does not want any more, and their ports: those that are ``taken``,
    and the others.
    """
    wanted = {kinds.place(resource) for resource in group["resources"]}
    unwanted = [resource for resource in record["resources"] if kinds.place(resource) not in wanted]
    theirs = [port for port in record["ports"] if _is_of(port, unwanted) and not _is_of(port, group["resources"])]
    lost = [port for port in theirs if any(ports.meet(port, other) for other in taken)]
    return unwanted, lost, [port for port in theirs if port not in lost]


def _is_of(port: Port, resources: t.Iterable[Resource]) -> bool:
    """Whether a port is one of these units', or of the instance to which one of them belongs."""
    instance = port.get("called", "").partition(" ")[0]
    units = kinds.to_tell_of(resources)
    return any(port.get("unit") == unit["name"] or (instance and instance == unit.get("called", "").partition(" ")[0]) for unit in units)


def with_what_is_held(group: ManifestGroup, record: GroupRecord, held: t.Container[str]) -> ManifestGroup:
    """A group, with files at some paths as they were committed. One that was not there yet is not held."""
    files_held = [resource for resource in record["resources"] if "digest" in resource and resource.get("path") in held]
    before = {kinds.place(resource): resource for resource in files_held}
    return {**group, "resources": [before.get(kinds.place(resource), resource) for resource in group["resources"]]} if before else group


def going(group: ManifestGroup, record: GroupRecord | None, keep_data: bool) -> Going | None:
    """What of a group goes from this robot; None where nothing does that runs, is run by a schedule, or was written by its tasks."""
    wanted = {kinds.place(resource) for resource in group["resources"]}
    unwanted = [resource for resource in known(record) if kinds.place(resource) not in wanted]
    units = kinds.to_tell_of(unwanted)
    data = [resource["path"] for resource in unwanted if resource.get("data")]
    outermost = [path for path in data if not any(path.startswith(other + "/") for other in data)]
    size = sum(files.size(path) for path in outermost)
    if not units and (keep_data or not size):
        return None
    return {
        "name": group["name"],
        "whole": not group["resources"],
        "units": [name for unit in units for name in [unit.get("called")] if name],
        "data": 0 if keep_data else size,
        "kept": size if keep_data else 0,
    }


def merge(first: t.Iterable[Resource], second: t.Iterable[Resource]) -> list[Resource]:
    """Resources of two lists, one for each place; the first list's win."""
    found = list(first)
    places = {kinds.place(resource) for resource in found}
    return found + [resource for resource in second if kinds.place(resource) not in places]
