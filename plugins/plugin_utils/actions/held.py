# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask a robot, right before identities are deleted, which units of the run's jobs it has: another run may have deployed meanwhile."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleConnectionFailure

from ..run.action import Result, RobotAction, Variables, registered
from ..transport.exec import RobotProblem

SILENT = (
    "{}: cannot say what it has now ({}); its identities that are no longer needed stay registered, until a deployment with "
    "-e verify_entries=true"
)


class ActionModule(RobotAction):
    ARGUMENTS: t.ClassVar[dict[str, t.Any]] = {"compiled": {"type": "str", "default": "k8s4r_compiled"}}

    def act(self, arguments: Variables, variables: Variables) -> Result:
        run, robot = registered(variables, arguments["compiled"], "compile"), str(variables["inventory_hostname"])
        mine = run["robots"].get(robot)
        if self._task.check_mode or mine is None:
            # In check mode a robot still has what it would give up.
            return {"changed": False}
        jobs = [{"namespace": job["namespace"], "name": job["name"]} for job in mine["jobs"]]
        try:
            answer = self.ask_again({"op": "held", "jobs": jobs}, variables)
        except (AnsibleConnectionFailure, RobotProblem) as problem:
            answer = {"status": "failed", "errors": [str(problem)]}
        if answer["status"] != "ok":
            reason = " ".join(" ".join(answer["errors"]).split())
            return {"changed": False, "warnings": [SILENT.format(robot, reason)]}
        return {"changed": False, "units": answer["units"]}
