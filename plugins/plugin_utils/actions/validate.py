# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check job files without a robot; where there is an inventory, also what its robots would get of them."""

from __future__ import annotations

import typing as t

from ..fleet.catalogue import GROUP
from ..home import key
from ..home.mesh import Mesh
from ..job.errors import JobErrors, few
from ..job.model.job import Job
from ..run import anywhere, placing, plans
from ..run.action import Action, ActionProblem, Result, Variables
from ..run.job_files.reading import JobFiles
from ..run.sources import NO_JOB
from ..show import preview, summary

UNASKED = "it is not known yet what {} can do; to ask: ansible-playbook -i <inventory> k8s4r.robot.capabilities"


class ActionModule(Action):
    ARGUMENTS: t.ClassVar[dict[str, t.Any]] = {"job": {"type": "raw"}, "lookups": {"type": "bool", "default": False}}
    PROBLEMS: t.ClassVar[tuple[type[Exception], ...]] = (*Action.PROBLEMS, JobErrors)

    def act(self, arguments: Variables, variables: Variables) -> Result:
        files = JobFiles(self._loader, self._templar, variables, arguments["lookups"])
        jobs, warnings = files.read(arguments["job"])
        if not jobs:
            raise ActionProblem(NO_JOB)
        jobs, doubts = files.with_certificates(jobs)
        warnings += doubts
        lines = [f"{job.path}: {job.namespace}/{job.name} is valid" for job in jobs]
        placement: dict[str, t.Any] = {}
        if variables["groups"].get(GROUP):
            placement, more, found = self._preview(jobs, variables, files)
            lines += more
            warnings += found
        else:
            warnings += anywhere.check(jobs, files.renderer(()))
        for line in lines:
            self._display.display(line)
        names = [f"{job.namespace}/{job.name}" for job in jobs]
        return {"jobs": names, "placement": placement, "msg": "\n".join(lines), "warnings": warnings}

    def _preview(self, jobs: t.Sequence[Job], variables: Variables, files: JobFiles) -> tuple[dict[str, t.Any], list[str], list[str]]:
        """Where the instances belong; lines that say so; and warnings. Raises `JobErrors` for what a robot cannot do."""
        # Of a robot that is known, templates are rendered as a deployment would.
        probed, render = placing.probed(variables), files.renderer(variables["groups"][GROUP])
        fleet = placing.fleet(variables, probed, self._templar)
        unasked = sorted(robot.name for robot in fleet.robots if robot.name not in probed)
        unknown = [UNASKED.format(few(unasked, summary.MOST))] if unasked else []
        try:
            placement = placing.placed(jobs, fleet)
            mesh = Mesh(key.home())
            remembered = plans.Remembered(said={robot.name: mesh.read(robot.name) for robot in fleet.robots})
            warnings = plans.check(jobs, fleet, placement, render, remembered) + unknown
        except JobErrors as errors:
            if not unasked:
                raise
            # What is wrong wherever it runs is an error all the same, and what the inventory alone decides.
            anywhere.check(jobs, render)
            anywhere.check_in(fleet, unasked, jobs, files.renderer(()))
            # What the robots say of themselves may make good what is missing.
            return {}, [], [*map(str, errors.errors), *unknown]
        instances = {"/".join(group): dict(held) for group, held in placement.instances.items()}
        return instances, preview.overview(placement, fleet, bool(self._display.verbosity)), warnings
