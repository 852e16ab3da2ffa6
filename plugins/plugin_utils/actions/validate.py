# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check job files without a robot and without an inventory."""

from __future__ import annotations

import typing as t

from ..job.errors import JobErrors
from ..run.action import Action, ActionProblem, Result, Variables
from ..run.job_files import JobFiles
from ..run.sources import NO_JOB


class ActionModule(Action):
    ARGUMENTS: t.ClassVar[dict[str, t.Any]] = {"job": {"type": "raw"}, "lookups": {"type": "bool", "default": False}}
    PROBLEMS: t.ClassVar[tuple[type[Exception], ...]] = (*Action.PROBLEMS, JobErrors)

    def act(self, arguments: Variables, variables: Variables) -> Result:
        jobs, warnings = JobFiles(self._loader, self._templar, variables, arguments["lookups"]).read(arguments["job"])
        if not jobs:
            raise ActionProblem(NO_JOB)
        lines = [f"{job.path}: {job.namespace}/{job.name} is valid" for job in jobs]
        for line in lines:
            self._display.display(line)
        return {"jobs": [f"{job.namespace}/{job.name}" for job in jobs], "msg": "\n".join(lines), "warnings": warnings}
