# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one robot shall hold of a run's jobs, and the digests by which it says that it already does."""

from __future__ import annotations

import typing as t

from ...module_utils._engine import plan
from ..compile.mesh import peers
from ..compile.robot import CompiledRobot, compile_robot
from ..job.errors import JobErrors, Problem
from ..job.model.job import Job
from .parcel import Parcel

Digest = t.Callable[[t.Any], str]


class Slices(t.NamedTuple):
    """The jobs of each robot as `prepare` asks for them (no plan, no secret), the peers' identities that each robot's
    compilation found, and what people should know.
    """

    robots: dict[str, list[dict[str, t.Any]]]
    peers: dict[str, t.Mapping[str, str]]
    warnings: tuple[str, ...]


def compile_fleet(jobs: t.Sequence[Job], parcel: Parcel, digest: Digest) -> Slices:
    """Compile every robot, so that every error of every robot is found before any of them is asked anything."""
    directory = peers.known_services(jobs, parcel.fleet, parcel.placement)
    robots: dict[str, list[dict[str, t.Any]]] = {}
    found: dict[str, t.Mapping[str, str]] = {}
    errors: dict[Problem, None] = {}
    warnings: dict[Problem, None] = {}
    for robot in parcel.fleet.robots:
        try:
            compiled = compile_one(jobs, parcel, robot.name, directory)
        except JobErrors as problems:
            errors.update(dict.fromkeys(problems.errors))
            continue
        warnings.update(dict.fromkeys(compiled.warnings))
        robots[robot.name] = requests(compiled, digest)
        found[robot.name] = compiled.peers
    if errors:
        raise JobErrors(errors, warnings)
    return Slices(robots, found, tuple(map(str, warnings)))


def compile_one(jobs: t.Sequence[Job], parcel: Parcel, robot: str, directory: peers.Directory | None = None) -> CompiledRobot:
    """The plan of one robot; jobs to be removed are empty job plans."""
    if parcel.removed:
        return CompiledRobot(plan=plan.robot([plan.job(*job, []) for job in parcel.removed]), entries=(), peers={}, warnings=())
    return compile_robot(jobs, parcel.fleet, parcel.placement, robot, directory)


def requests(compiled: CompiledRobot, digest: Digest) -> list[dict[str, t.Any]]:
    """Each job of a plan by name and digest. The registration entries are part of the digest, so that an unchanged
    robot's entries need not be looked at.
    """
    return [
        {
            "namespace": job["namespace"],
            "name": job["name"],
            "digest": digest([_without_places(job), entries_of(compiled.entries, job["namespace"], job["name"])]),
            "empty": not job["groups"],
        }
        for job in compiled.plan["jobs"]
    ]


def _without_places(job: dict[str, t.Any]) -> dict[str, t.Any]:
    """Where the job file lies, and what stands at which place of it, changes nothing on a robot."""

    def bare(members: t.Iterable[dict[str, t.Any]]) -> list[dict[str, t.Any]]:
        return [{key: value for key, value in member.items() if key != "where"} for member in members]

    groups = [{**group, "ports": bare(group["ports"]), "programs": bare(group["programs"])} for group in job["groups"]]
    return {**job, "groups": groups}


def entries_of(entries: t.Sequence[dict[str, t.Any]], namespace: str, job: str) -> list[dict[str, t.Any]]:
    """A job's registration entries, by the identities that they give out."""
    return [entry for entry in entries if f"/ns/{namespace}/job/{job}/group/" in entry["spiffe_id"]]
