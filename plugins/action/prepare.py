# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One round trip to a robot: unchanged, or what a switch would do, staged beside what runs."""

from __future__ import annotations

import functools
import typing as t

from ..plugin_utils.compile.robot import CompiledRobot
from ..plugin_utils.job.errors import JobErrors
from ..plugin_utils.run import parcel
from ..plugin_utils.run.library import Library
from ..plugin_utils.run.outcome import notices
from ..plugin_utils.run.slices import compile_one, requests
from ..plugin_utils.transport import key
from ..plugin_utils.transport.action import Fault, RobotAction, registered
from ..plugin_utils.transport.capabilities import Capabilities
from ..plugin_utils.transport.exec import RobotProblem

Variables = t.Mapping[str, t.Any]
# Checking and staging a plan takes seconds; a robot that needs minutes has another problem.
PATIENCE = 600


class ActionModule(RobotAction):
    ARGUMENTS: t.ClassVar[dict[str, t.Any]] = {
        "keep_data": {"type": "bool", "default": False},
        "with_entries": {"type": "bool", "default": False},
    }
    FAULTS: t.ClassVar[tuple[type[Exception], ...]] = (*RobotAction.FAULTS, JobErrors)

    def act(self, arguments: Variables, variables: Variables) -> dict[str, t.Any]:
        try:
            return self._prepare(arguments, variables)
        except RobotProblem as problem:
            # Reported as a refusal, so that `collect` names the problems of all robots together.
            return {"status": "refused", "errors": [str(problem)]}

    def _prepare(self, arguments: Variables, variables: Variables) -> dict[str, t.Any]:
        run, robot = registered(variables, "k8s4r_compiled"), str(variables["inventory_hostname"])
        if robot in run["unprobed"]:
            return self._learn(robot, self.demand({"op": "probe"}, variables))
        if run["unprobed"]:
            return {"status": "waiting"}
        mine = run["robots"].get(robot)
        if mine is None:
            raise Fault(f"{robot} is not in the inventory group `robots`")
        request = {
            "op": "prepare",
            "jobs": mine["jobs"],
            "assumptions": mine["assumptions"],
            "check": self._task.check_mode,
            "diff": self._task.diff,
            "keep_data": arguments["keep_data"],
            "who": run["who"],
        }
        answer = self.call(request, variables)
        if answer["status"] == "stale":
            return self._learn(robot, answer)
        told = notices(robot, answer)
        answer.pop("notices", None)
        if answer["status"] == "unchanged" and not arguments["with_entries"]:
            return {"status": "unchanged", **({"warnings": told} if told else {})}
        compiled = self._compile(run, robot, variables)
        if answer["status"] == "plan-needed":
            answer = self.call({**request, "plan": compiled.plan}, variables)
        answer = self.until_done(answer, variables, PATIENCE)
        # A robot is changed by the switch, which tells of it in a check too; but in a check no switch follows on a bare robot.
        last = bool(self._task.check_mode and answer.get("missing"))
        return {
            **answer,
            "warnings": told,
            "changed": last and answer.get("differs", False),
            "diff": answer.get("difference", []) if last else [],
            "entries": list(compiled.entries),
            "endpoints": _endpoints(compiled),
        }

    def _learn(self, robot: str, answer: Variables) -> dict[str, t.Any]:
        """The robot told what it is: the whole fleet is placed and compiled again with it."""
        Capabilities(key.home()).write(robot, answer["capabilities"])
        return {"status": "stale"}

    def _compile(self, run: Variables, robot: str, variables: Variables) -> CompiledRobot:
        secret = key.controller_key()
        opened = parcel.from_data(key.unseal(secret, run["texts"]), key.unseal(secret, run["robots"][robot]["share"]))
        jobs, _warnings = Library(self._loader, self._templar, variables).jobs(opened.sources)
        compiled = compile_one(jobs, opened, robot)
        if requests(compiled, functools.partial(key.digest, secret)) != run["robots"][robot]["jobs"]:
            raise Fault(f"the plan of {robot} came out differently a second time; this is a mistake in k8s4r.robot, please report it")
        return compiled


def _endpoints(compiled: CompiledRobot) -> list[dict[str, t.Any]]:
    """Where the groups' proxies listen, and where the job file says so."""
    groups = [group for job in compiled.plan["jobs"] for group in job["groups"]]
    return [{"group": group["name"], **port} for group in groups for port in group["ports"]]
