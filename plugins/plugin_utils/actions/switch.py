# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carry out what `prepare` staged: the robot works on its own, and this action watches until it has finished."""

from __future__ import annotations

import functools
import typing as t

from ..home import key
from ..home.mesh import Mesh
from ..run.action import ActionProblem, Result, RobotAction, Variables, registered
from ..run.followers import unready
from ..run.moves import waiting
from ..run.outcome import READY, TELLS, failure, notices, success


class ActionModule(RobotAction):
    ARGUMENTS: t.ClassVar[dict[str, t.Any]] = {
        "wait": {"type": "int", "default": 3600},
        "prepared": {"type": "str", "default": "k8s4r_prepared"},
        "collected": {"type": "str", "default": "k8s4r_collected"},
        "switched": {"type": "str", "default": "k8s4r_switched"},
        "followed": {"type": "str", "default": "k8s4r_followed"},
        "moved": {"type": "bool", "default": False},
        "follow": {"type": "bool", "default": False},
    }

    def act(self, arguments: Variables, variables: Variables) -> Result:
        prepared, robot = registered(variables, arguments["prepared"], "prepare"), str(variables["inventory_hostname"])
        if prepared["status"] == "unchanged":
            return {"changed": False, "status": "unchanged"}
        if prepared["status"] not in READY:
            raise ActionProblem(failure(robot, prepared))
        promised = {"endpoints": prepared["endpoints"]}
        if self._task.check_mode:
            foretold = {"changes": prepared["steps"], "diff": prepared["diff"]}
            return {"changed": bool(prepared["steps"]), "status": "planned", **foretold, **promised}
        if prepared["status"] == "recorded":
            return {"changed": False, "status": "committed", **promised}
        collected = variables.get(arguments["collected"], {})
        moving = collected.get("moves", {}).get(robot, {})
        files = collected.get("followers", {}).get(robot, {})
        stays = dict.fromkeys(moving, "")

        def ended(other: str, name: str = "switched") -> str:
            # A robot that this play has lost may still have the results of an earlier one.
            here = other in variables["ansible_play_hosts"]
            return _ended(variables["hostvars"].raw_get(other), arguments, name) if here else ""

        if arguments["follow"]:
            return self._follow(variables, arguments, files, sorted(stays), ended)
        if prepared["status"] == TELLS:
            return {"changed": False, "status": "unchanged", **promised}
        if arguments["moved"]:
            stays = waiting(moving, ended, functools.partial(ended, name="followed"))
        staying = {"stays": sorted(moving[id]["group"] for id in stays)}
        reasons = [f"{robot}: {why}" for why in stays.values() if why]
        if arguments["moved"] and moving.keys() == stays.keys():
            return {"changed": False, "status": "stays", **staying, **promised, "warnings": reasons}
        # What callers were not told in their turn, they are not told in this one either.
        hold = variables.get(arguments["followed"], {}).get("untold", []) if arguments["moved"] else sorted(files.keys() - _paths(prepared))
        answer = self.call({"op": "switch", "release": prepared["release"], "spare": sorted(stays), "hold": hold}, variables)
        answer = self._done(answer, variables, arguments)
        if answer.get("failed"):
            return answer
        answer["warnings"] += reasons
        return {**answer, **promised, **staying, "diff": prepared["diff"]}

    def _done(self, answer: Result, variables: Variables, arguments: Variables) -> Result:
        """The result of a switch that has begun, when it has ended."""
        robot = str(variables["inventory_hostname"])

        def show(progress: str) -> None:
            self._display.display(f"{robot}: {progress}")

        answer = self.until_done(answer, variables, arguments["wait"], show)
        if answer["status"] != "committed":
            # What was done on the way has been undone: the message, which Ansible prints whole, is for what went wrong.
            ended: Result = {name: answer[name] for name in ("status", "release", "restored", "undone", "committed") if name in answer}
            return {**ended, "failed": True, "changed": answer["status"] != "refused", "msg": failure(robot, answer)}
        self._display.v(success(robot, answer))
        if "mesh" in answer:
            Mesh(key.home()).learn(robot, answer.pop("mesh"))
        warnings = notices(robot, answer)
        answer.pop("notices", None)
        return {**answer, "warnings": warnings, "changed": bool(answer.get("changes"))}

    def _follow(
        self, variables: Variables, arguments: Variables, files: Variables, spare: list[str], ended: t.Callable[[str], str]
    ) -> Result:
        """The turn of the files that the first switch has held, and of those of groups of other jobs."""
        robot, prepared = str(variables["inventory_hostname"]), variables[arguments["prepared"]]
        release, others = variables.get(arguments["switched"], {}).get("rest"), _paths(prepared)
        late = {path: why for path, why in unready(files, ended).items() if release or path in others}
        tells = [file for file in prepared["tell"]["files"] if file["path"] not in late] if others else []
        told = self._tell({**prepared["tell"], "files": tells}, variables) if tells else None
        if told and told.get("failed"):
            return told
        rest = None
        if release and late.keys() <= others:
            rest = self._done(self.call({"op": "switch", "release": release, "spare": spare}, variables), variables, arguments)
            if rest.get("failed"):
                return rest
        done = _together([each for each in (told, rest) if each])
        if not late:
            return done
        reasons = [f"{robot}: {why}" for why in dict.fromkeys(late.values())]
        return {**done, "status": "stays", "untold": sorted(late.keys() - others), "warnings": [*done["warnings"], *reasons]}

    def _tell(self, request: Result, variables: Variables) -> Result:
        """Groups of other jobs on the robot hear where services are."""
        robot = str(variables["inventory_hostname"])
        answer = self.ask_again(request, variables)
        if answer["status"] != "ok":
            return {"failed": True, "changed": False, "status": answer["status"], "msg": failure(robot, answer)}
        Mesh(key.home()).learn(robot, answer["mesh"])
        said = notices(robot, answer)
        return {"changed": True, "status": "committed", "changes": answer["changes"], "warnings": said}


def _together(ended: t.Sequence[Result]) -> Result:
    """The result of what was done in one turn, if anything was."""
    result: Result = {"changed": False, "status": "unchanged", "warnings": []}
    for each in ended:
        warnings, changes = [*result["warnings"], *each["warnings"]], [*result.get("changes", ()), *each.get("changes", ())]
        result = {**result, **each, "changed": result["changed"] or each["changed"], "changes": changes, "warnings": warnings}
    return result


def _paths(prepared: Variables) -> set[str]:
    """The files of groups of other jobs that are to change."""
    return {file["path"] for file in prepared["tell"]["files"]} if "tell" in prepared else set()


def _ended(known: Variables, arguments: Variables, name: str) -> str:
    """The status with which the run, or the turn of this name, ended on a robot whose variables these are."""
    answer: Variables = known.get(arguments[name]) or known.get(arguments["prepared"]) or {}
    return str(answer.get("status", ""))
