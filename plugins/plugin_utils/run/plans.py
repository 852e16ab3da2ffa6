# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of each robot of a run, and the digests by which a robot knows that it already has it."""

from __future__ import annotations

import typing as t

from ...module_utils._engine import plan
from ...module_utils._engine.plan import digests, releases
from ..compile.mesh import outside, peers
from ..compile.network import across, choice
from ..compile.robot import CompiledRobot, compile_robot
from ..compile.site.site import Rendering, as_written
from ..fleet.placement import Placement
from ..fleet.robots import Fleet, Robot
from ..job.errors import JobErrors, Problem, together
from ..job.model.job import Job
from .parts import in_parts

Data = t.Mapping[str, t.Any]


class Sealing(t.Protocol):
    """What the controller's key does."""

    def digest(self, value: t.Any) -> str:
        """A keyed digest of a JSON value, which tells nothing of the value."""

    def seal(self, value: t.Any) -> str:
        """A JSON value as a text that may be printed, because only this controller can read it."""


class SealedPlan(t.NamedTuple):
    """A robot's plan as it goes from `compile` to `prepare`.

    `jobs` is what the robot is asked first: each job's namespace, name and digest, and whether it is `empty`, which means
    that the robot is to have nothing of it. `sealed` is {"plan": ..., "entries": ..., "tells": ...}, with the registration entries, and
    the files of other jobs' groups there that are to change; `tells` are the names of these groups.
    """

    jobs: list[dict[str, t.Any]]
    sealed: str
    tells: tuple[str, ...] = ()


class Remembered(t.NamedTuple):
    """What the controller knows beside the inventory: which ports a robot has named, and by robot, what it said that its groups serve and
    call, and of their pods. `unheard`: robots that never did. `anyone`: any service of a task that is looked up may be somewhere.
    """

    named: choice.Named = choice.nothing_named
    said: outside.Said = {}
    unheard: t.Container[str] = ()
    anyone: bool = False


NOTHING = Remembered()


def deployment(
    jobs: t.Sequence[Job],
    fleet: Fleet,
    placement: Placement,
    reached: t.Container[str],
    sealing: Sealing,
    remembered: Remembered = NOTHING,
    render: Rendering = as_written,
) -> tuple[dict[str, SealedPlan], list[str]]:
    """The plans of the robots that the run reaches, by robot, and warnings. `render` renders templates.

    Every robot of the fleet is compiled, so that every error is found before any robot is asked anything: raises `JobErrors`.
    """
    known = _known(jobs, fleet, placement, remembered)
    others = outside.callers(known, jobs, fleet, remembered.said, reached)

    def seal(robot: str, compiled: CompiledRobot) -> SealedPlan | None:
        return sealed_plan(compiled, sealing, others.tells.get(robot, ())) if robot in reached else None

    plans, warnings = _of_all(jobs, fleet, placement, remembered, known, render, seal)
    warnings.update(dict.fromkeys(others.warnings))
    return plans, [str(warning) for warning in together(warnings)]


def check(
    jobs: t.Sequence[Job], fleet: Fleet, placement: Placement, render: Rendering = as_written, remembered: Remembered = NOTHING
) -> list[str]:
    """What a deployment would warn of, on all robots; raises `JobErrors` as it would."""
    known = _known(jobs, fleet, placement, remembered)
    _plans, warnings = _of_all(jobs, fleet, placement, remembered, known, render, lambda _robot, _compiled: None)
    return [str(warning) for warning in together(warnings)]


def _known(jobs: t.Sequence[Job], fleet: Fleet, placement: Placement, remembered: Remembered) -> peers.KnownServices:
    return outside.with_others(
        peers.known_services(jobs, fleet, placement, remembered.named), jobs, fleet, remembered.said, remembered.anyone
    )


class _Part(t.NamedTuple):
    """What becomes of some of the robots."""

    plans: dict[str, SealedPlan]
    errors: dict[Problem, None]
    warnings: dict[Problem, None]


def _of_all(
    jobs: t.Sequence[Job],
    fleet: Fleet,
    placement: Placement,
    remembered: Remembered,
    known: peers.KnownServices,
    render: Rendering,
    seal: t.Callable[[str, CompiledRobot], SealedPlan | None],
) -> tuple[dict[str, SealedPlan], dict[Problem, None]]:
    """The plans that `seal` makes of compiled robots, and warnings. Raises `JobErrors` if any robot has errors."""
    named = remembered.named
    beyond = across.known(jobs, fleet, placement, named, remembered.said, remembered.unheard)
    groups = [group for job in jobs for group in job.task_groups if group.network]
    chosen = any(group.are_pods or any(port.static is None for port in group.network.ports) for group in groups if group.network)

    def compiled(robots: t.Sequence[Robot]) -> _Part:
        """One robot after the other: a thousand plans that are not sealed would not be small."""
        part = _Part({}, {}, {})
        for robot in robots:
            try:
                found = compile_robot(jobs, fleet, placement, robot.name, known, named(robot.name) if chosen else {}, render, beyond)
            except JobErrors as problems:
                part.errors.update(dict.fromkeys(problems.errors))
                continue
            part.warnings.update(dict.fromkeys(found.warnings))
            plan = seal(robot.name, found)
            if plan:
                part.plans[robot.name] = plan
        return part

    parts = in_parts(compiled, fleet.robots)
    errors = {problem: None for part in parts for problem in part.errors}
    warnings = {problem: None for part in parts for problem in part.warnings}
    if errors:
        raise JobErrors(together(errors), together(warnings))
    return {robot: plan for part in parts for robot, plan in part.plans.items()}, warnings


def removal(jobs: t.Sequence[tuple[str, str]], reached: t.Iterable[str], sealing: Sealing) -> dict[str, SealedPlan]:
    """The plans that remove jobs (namespace, name): the same for every robot, with nothing in them."""
    nothing = CompiledRobot(plan=plan.robot([plan.job(*job, []) for job in jobs]), entries=(), warnings=())
    return dict.fromkeys(reached, sealed_plan(nothing, sealing))


def sealed_plan(compiled: CompiledRobot, sealing: Sealing, tells: t.Sequence[outside.Tell] = ()) -> SealedPlan:
    """What `prepare` needs of a compiled robot. The digest of a job has a part for its registration entries, so that those of an
    unchanged robot need not be looked at, and the SPIRE server is not asked when only other things changed.
    """
    jobs = [
        {
            "namespace": job["namespace"],
            "name": job["name"],
            "digest": digests.of_both(sealing.digest(_without_places(job)), _digest_of_entries(compiled, job, sealing)),
            "empty": not job["groups"],
        }
        for job in compiled.plan["jobs"]
    ]
    told = [tell._asdict() for tell in tells]
    return SealedPlan(
        jobs,
        sealing.seal({"plan": compiled.plan, "entries": list(compiled.entries), "tells": told}),
        tuple(dict.fromkeys(tell.group for tell in tells)),
    )


def _digest_of_entries(compiled: CompiledRobot, job: Data, sealing: Sealing) -> str:
    """Empty for a job without registration entries."""
    entries = _entries_of(compiled.entries, job["namespace"], job["name"])
    return sealing.digest(entries) if entries else ""


def other_identities(jobs: t.Sequence[Data], before: t.Sequence[Data]) -> bool:
    """Whether a robot may need other registration entries for `jobs` than the SPIRE server has.

    `before` is how much of each job the robot had, in the same order, and the digest of its plan.
    """
    if len(jobs) != len(before):
        return True
    return any(digests.of_entries(job["digest"]) != _had_entries(had) for job, had in zip(jobs, before, strict=True))


def _had_entries(before: Data) -> str | None:
    """None where nobody knows: the robot had a part of the job, or has a digest that an older version made."""
    if before["state"] == "empty":
        return ""
    return digests.of_entries(before["plan"]) if digests.AND_ENTRIES in before["plan"] else None


def _without_places(job: Data) -> Data:
    """A job plan without the places in the job file that its messages name: where a file lies changes nothing on a robot."""

    def bare(members: t.Iterable[Data]) -> list[Data]:
        return [{key: value for key, value in member.items() if key != "where"} for member in members]

    named = ("ports", "programs", "expects")
    groups = [{**group, **{name: bare(group[name]) for name in named}} for group in job["groups"]]
    return {**job, "groups": groups}


def _entries_of(entries: t.Sequence[Data], namespace: str, job: str) -> list[Data]:
    """A job's registration entries, by the identities that they give out."""
    return [entry for entry in entries if f"/ns/{namespace}/job/{job}/group/" in entry["spiffe_id"]]


def attempt() -> str:
    """A name for what a robot makes of a plan. ssh may send it again (`retries`): both are one attempt."""
    return releases.new()
