# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One round trip to a robot: it is unchanged, or the new release is staged and what a switch would do is known."""

from __future__ import annotations

import pathlib
import typing as t

from ..fleet.catalogue import GROUP
from ..home import key
from ..home.capabilities import Capabilities, OddCapabilities
from ..home.mesh import Mesh
from ..home.ports import Ports
from ..run.action import BEGAN, SLOWEST, ActionProblem, Result, RobotAction, Variables, registered
from ..run.followers import hosts
from ..run.outcome import READY, TELLS, notices
from ..run.plans import attempt, other_identities
from ..supply.beside import needed
from ..supply.refused import Refused
from ..transport.exec import RobotProblem

if t.TYPE_CHECKING:
    from ..supply.supply import Supply

# Checking and staging a plan takes seconds; a robot that needs minutes has another problem.
PATIENCE = 600
# In check mode a plan is checked while its call waits, so that nothing of it stays on the robot: on a slow one for a minute.
CHECKING = 110


class ActionModule(RobotAction):
    ARGUMENTS: t.ClassVar[dict[str, t.Any]] = {
        "compiled": {"type": "str", "default": "k8s4r_compiled"},
        "moved": {"type": "bool", "default": False},
    }

    def act(self, arguments: Variables, variables: Variables) -> Result:
        try:
            return self._prepare(arguments, variables)
        except (RobotProblem, OddCapabilities) as problem:
            # Reported as a refusal, so that `collect` names the problems of all robots together.
            return {"status": "refused", "errors": [str(problem)]}
        except Refused as refused:
            return {"status": "refused", "errors": refused.errors}

    def _prepare(self, arguments: Variables, variables: Variables) -> Result:
        run, robot = registered(variables, arguments["compiled"], "compile"), str(variables["inventory_hostname"])
        if robot in run["unprobed"]:
            return self._learn(robot, self.demand({"op": "probe"}, variables))
        if run["unprobed"]:
            return {"status": "waiting"}
        mine = run["robots"].get(robot)
        if mine is None and robot not in variables["groups"].get(GROUP, ()):
            # A machine of the SPIRE server, which the run may have to provision.
            return {"status": "unchanged", "skipped": True}
        if mine is None:
            raise ActionProblem(f"{robot} has no plan: it was not a host of the play that ran k8s4r.robot.compile")
        request = _request(run, mine, check=bool(self._task.check_mode), diff=bool(self._task.diff))
        tells: list[str] = []
        if "mesh" in mine and not arguments["moved"]:
            # This run itself has changed it by then, and told who was to be told.
            request["mesh"], tells = mine["mesh"], mine["tells"]
        answer = self.call(request, variables)
        if answer["status"] == "stale":
            return self._learn(robot, answer)
        warnings = _warnings(robot, answer)
        if answer["status"] == "unchanged" and not run["verify_entries"] and not tells:
            return {
                "status": "unchanged",
                **({"has": answer["has"]} if "has" in answer else {}),
                **({"warnings": warnings} if warnings else {}),
            }
        compiled = key.controller_key().unseal(mine["plan"])
        if answer["status"] == "plan-needed":
            answer = self._answer_to_plan(request, compiled["plan"], mine["downloads"] != "robot", variables)
        else:
            answer = self._ended(answer, variables)
        if answer["status"] == "stale":
            return self._learn(robot, answer)
        warnings += _warnings(robot, answer)
        if "mesh" in answer:
            Mesh(key.home()).learn(robot, answer.pop("mesh"))
        before = answer.pop("before", [])
        entries_differ = other_identities(mine["jobs"], before)
        if tells and answer["status"] in (*READY, "unchanged"):
            told = self._told({"op": "tell", "files": compiled["tells"], "who": run["who"]}, variables)
            if told["status"] != "ok":
                return told
            entries_differ = entries_differ and answer["status"] != "unchanged"
            answer = _with_told(answer, told, compiled["tells"])
        # Nothing has changed yet: the task `switch` reports the change, in check mode too. It does not run for a robot that
        # would first be provisioned, so in check mode such a robot's changes are reported here.
        last = bool(self._task.check_mode and answer.get("missing"))
        return {
            **answer,
            "warnings": warnings,
            "changed": last and bool(answer["steps"]),
            "entries": compiled["entries"],
            "entries_differ": entries_differ,
            "endpoints": _endpoints(compiled["plan"]),
        }

    def _answer_to_plan(self, request: Result, plan: t.Any, everything: bool, variables: Variables) -> Result:
        """What the robot says of its plan, and before it what was done for it here. `everything`: it downloads nothing itself."""
        supply = self._supply(request["refresh"], variables, everything) if everything or needed(plan) else None
        sent = self._supplied(plan, supply, variables) if supply else plan
        asked = {**request, "plan": sent, "robot": str(variables["inventory_hostname"]), "attempt": attempt()}
        answer = self._ended(self.call(asked, variables, CHECKING if request["check"] else 0), variables)
        if supply and answer["status"] == "refused":
            supply.forget()
        if supply and supply.said and "summary" in answer:
            answer["summary"] = [*({"group": "", "unit": "", "does": text, "why": []} for text in supply.said), *answer["summary"]]
        return answer

    def _ended(self, answer: Result, variables: Variables) -> Result:
        """The answer of a robot that works on its own, when it has finished."""

        def show(progress: str) -> None:
            self._display.display(f"{variables['inventory_hostname']}: {progress}")

        return self.until_done(answer, variables, PATIENCE, show, patient=True)

    def _told(self, request: Result, variables: Variables) -> Result:
        """What would change where groups of other jobs are told; `tell` is the request that does it."""
        answer = self.call({**request, "check": True, "diff": self._task.diff}, variables)
        if answer["status"] != "ok":
            return {"status": "refused", "errors": answer["errors"]}
        unsaid = [file["path"] for file in request["files"] if file["path"] not in answer["follows"]]
        if unsaid:
            return {"status": "refused", "errors": [f"the robot does not say what it has at {', '.join(unsaid)}; run again"]}
        files = [{**file, "was": answer["follows"][file["path"]]["before"]} for file in request["files"]]
        return {**answer, "tell": {**request, "files": files}}

    def _supply(self, refresh: bool, variables: Variables, everything: bool) -> Supply:
        """For a robot that downloads nothing itself, or is to get a file of the controller's."""
        # Other robots do not wait for all that speaks HTTP.
        from ..supply.supply import Supply

        cache = self._templar.template(variables.get("base_controller_cache") or "")
        return Supply(pathlib.Path(cache) if cache else None, BEGAN, refresh, self._display.display, everything)

    def _supplied(self, plan: t.Any, supply: Supply, variables: Variables) -> t.Any:
        """The plan, when the robot has all that it needs for it."""

        def call(request: Result, part: bytes, slowest: float | None) -> int:
            answer = self.ask_again(request, variables, part, slowest or SLOWEST)
            if answer["status"] != "ok":
                raise RobotProblem("; ".join(answer["errors"]))
            return int(answer["at"])

        return supply.known(plan) if self._task.check_mode else supply.send(plan, str(variables["inventory_hostname"]), call)

    def _learn(self, robot: str, answer: Variables) -> Result:
        """Remember what the robot reported of itself: the complete fleet is then placed and compiled again."""
        Capabilities(key.home()).write(robot, answer["capabilities"])
        if "mesh" in answer:
            Mesh(key.home()).learn(robot, answer["mesh"])
        if answer.get("ports"):
            Ports(key.home()).learn(robot, answer["ports"])
        return {"status": "stale"}


def _request(run: Variables, mine: Variables, check: bool, diff: bool) -> Result:
    """The question whether a robot has all that it should; the plan is sent only if it has not."""
    return {
        "op": "prepare",
        "jobs": mine["jobs"],
        "assumptions": mine["assumptions"],
        "check": check,
        "diff": diff,
        "keep_data": run["keep_data"],
        "refresh": run["refresh"],
        "who": run["who"],
        **({"name_jobs": True} if run.get("state") == "absent" else {}),
    }


def _warnings(robot: str, answer: Result) -> list[str]:
    """What an answer notices, taken out of it."""
    said = notices(robot, answer)
    answer.pop("notices", None)
    return said


def _with_told(answer: Result, told: Variables, files: t.Sequence[Variables]) -> Result:
    """The answer of a robot on which groups of other jobs are told, too; where nothing else changes, that is its status. ``files``: what
    they are told.
    """
    nowhere = {file["path"] for file in files if not hosts(file["content"])}

    def news(path: str, service: str) -> str:
        return f"{service} runs nowhere now" if path in nowhere else f"where {service} is now"

    said = [
        {"group": file["group"], "unit": "", "does": "is told", "why": [news(path, file["follows"].removeprefix("default/"))]}
        for path, file in told["follows"].items()
    ]
    once = [each for number, each in enumerate(said) if each not in said[:number]]
    return {
        **answer,
        "status": TELLS if answer["status"] == "unchanged" else answer["status"],
        "steps": [*answer.get("steps", ()), *told["changes"]],
        "diff": [*answer.get("diff", ()), *told["diff"]],
        "summary": [*answer.get("summary", ()), *once],
        "follows": {**answer.get("follows", {}), **told["follows"]},
        "tell": told["tell"],
    }


def _endpoints(plan: Variables) -> list[dict[str, t.Any]]:
    """Where the groups' proxies and tasks listen, and where in the job file that is written."""
    groups = [group for job in plan["jobs"] for group in job["groups"]]
    told = ("address", "port", "protocol", "called", "where")
    return [{"group": group["name"], **{name: port[name] for name in told if name in port}} for group in groups for port in group["ports"]]
