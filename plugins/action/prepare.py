# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One round trip to a robot: unchanged, or what a switch would do, staged beside what runs."""

from __future__ import annotations

import typing as t

from ..plugin_utils.run.outcome import notices
from ..plugin_utils.transport import key
from ..plugin_utils.transport.action import Fault, Result, RobotAction, Variables, registered
from ..plugin_utils.transport.capabilities import Capabilities
from ..plugin_utils.transport.exec import RobotProblem

# Checking and staging a plan takes seconds; a robot that needs minutes has another problem.
PATIENCE = 600


class ActionModule(RobotAction):
    ARGUMENTS: t.ClassVar[dict[str, t.Any]] = {
        "compiled": {"type": "str", "default": "k8s4r_compiled"},
    }

    def act(self, arguments: Variables, variables: Variables) -> Result:
        try:
            return self._prepare(arguments, variables)
        except RobotProblem as problem:
            # Reported as a refusal, so that `collect` names the problems of all robots together.
            return {"status": "refused", "errors": [str(problem)]}

    def _prepare(self, arguments: Variables, variables: Variables) -> Result:
        run, robot = registered(variables, arguments["compiled"], "compile"), str(variables["inventory_hostname"])
        if robot in run["unprobed"]:
            return self._learn(robot, self.demand({"op": "probe"}, variables))
        if run["unprobed"]:
            return {"status": "waiting"}
        mine = run["robots"].get(robot)
        if mine is None:
            raise Fault(f"{robot} has no plan: it is not in the inventory group `robots`, or was not in the play that compiled")
        request = {
            "op": "prepare",
            "jobs": mine["jobs"],
            "assumptions": mine["assumptions"],
            "check": self._task.check_mode,
            "diff": self._task.diff,
            "keep_data": run["keep_data"],
            "who": run["who"],
        }
        answer = self.call(request, variables)
        if answer["status"] == "stale":
            return self._learn(robot, answer)
        told = notices(robot, answer)
        answer.pop("notices", None)
        if answer["status"] == "unchanged" and not run["with_entries"]:
            return {"status": "unchanged", **({"warnings": told} if told else {})}
        compiled = key.controller_key().unseal(mine["plan"])
        if answer["status"] == "plan-needed":
            answer = self.call({**request, "plan": compiled["plan"]}, variables)
        answer = self.until_done(answer, variables, PATIENCE)
        # Nothing has changed yet: the task `switch` reports the change, in check mode too. It does not run for a robot that
        # would first be provisioned, so in check mode such a robot's changes are reported here.
        last = bool(self._task.check_mode and answer.get("missing"))
        return {
            **answer,
            "warnings": told,
            "changed": last and answer.get("differs", False),
            "diff": answer.get("difference", []) if last else [],
            "entries": compiled["entries"],
            "endpoints": _endpoints(compiled["plan"]),
        }

    def _learn(self, robot: str, answer: Variables) -> Result:
        """The robot said what it is: the whole fleet is placed and compiled again with this knowledge."""
        Capabilities(key.home()).write(robot, answer["capabilities"])
        return {"status": "stale"}


def _endpoints(plan: Variables) -> list[dict[str, t.Any]]:
    """Where the groups' proxies listen, and where the job file says so."""
    groups = [group for job in plan["jobs"] for group in job["groups"]]
    return [{"group": group["name"], **port} for group in groups for port in group["ports"]]
