# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiles the jobs of a run for one robot: its plan, its registration entries and its warnings."""

from __future__ import annotations

import dataclasses
import typing as t

from ...module_utils._engine import plan
from ..fleet.placement import Placement
from ..fleet.robots import Fleet
from ..job.errors import JobErrors, Problem
from ..job.model.job import Job
from . import fitness
from .group import compile_group
from .mesh import peers
from .mesh.identity import Entry
from .network import across, choice, pods, ports
from .site.site import Rendering, Site, as_written, sites_of

if t.TYPE_CHECKING:
    from ...module_utils._engine.plan import JobPlan, RobotPlan

# Pods of different robots do not reach each other.
_NOTHING = across.Across()


class CompiledRobot(t.NamedTuple):
    """`plan` is what the wire format (`_engine/plan/`) describes; `entries` are for the SPIRE server; `warnings` are for people."""

    plan: RobotPlan
    entries: tuple[Entry, ...]
    warnings: tuple[Problem, ...]


def compile_robot(
    jobs: t.Sequence[Job],
    fleet: Fleet,
    placement: Placement,
    name: str,
    known: peers.KnownServices,
    held: choice.Held | None = None,
    render: Rendering = as_written,
    beyond: across.Across = _NOTHING,
) -> CompiledRobot:
    """Compile what the robot `name` gets of the jobs. A job of which it gets nothing becomes an empty job plan.

    `known` is `peers.known_services` of the same run, computed once for all robots, and `beyond` is its `across.known`; `held` are
    numbers of ports, and addresses of pods, that this robot has named. `render` renders templates. Raises `JobErrors`.
    """
    placed = sites_of(jobs, fleet, placement, fleet.robot(name), render, known.offered)
    sites, failed = _with_ports(placed, held or {})
    sites, unplaced = _with_pods(sites, held or {})
    plans: list[JobPlan] = []
    entries: list[Entry] = []
    # The instances of a group often share an error or a warning: each is reported once.
    errors: dict[Problem, None] = dict.fromkeys(
        (*failed, *unplaced, *(error for site in sites for error in across.errors(site, placement, beyond)))
    )
    warnings: dict[Problem, None] = {}
    for job in jobs:
        groups = []
        for site in sites:
            if site.job is job:
                compiled = compile_group(site, known, beyond)
                groups.append(compiled.plan)
                entries += compiled.entries
                lacks = tuple(fitness.warnings(site))
                errors |= dict.fromkeys((*compiled.errors, *fitness.errors(site), *(lacks if job.strict else ())))
                warnings |= dict.fromkeys((*compiled.warnings, *(() if job.strict else lacks)))
        plans.append(plan.job(job.namespace, job.name, groups))
    errors |= dict.fromkeys(ports.conflicts(sites))
    if errors:
        raise JobErrors(errors)
    return CompiledRobot(plan.robot(plans), tuple(entries), tuple(warnings))


def _with_ports(sites: list[Site], held: choice.Held) -> tuple[list[Site], t.Sequence[Problem]]:
    """The same with the ports of their instances, and errors."""
    if not any(site.declared_ports for site in sites):
        return sites, ()
    chosen = choice.choose(sites, held)
    return [dataclasses.replace(site, ports=tuple(chosen.ports[site.id])) for site in sites], chosen.errors


def _with_pods(sites: list[Site], held: choice.Held) -> tuple[list[Site], t.Sequence[Problem]]:
    """The same with the pods that their instances are, and errors."""
    if not any(site.are_pods for site in sites):
        return sites, ()
    chosen = pods.choose(sites, held)
    return [dataclasses.replace(site, pods=chosen.pods.get(site.id, ())) for site in sites], chosen.errors
