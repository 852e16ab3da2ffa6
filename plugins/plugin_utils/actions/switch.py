# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carry out what `prepare` staged: the robot works on its own, and this action watches until it has finished."""

from __future__ import annotations

import typing as t

from ..run.action import ActionProblem, Result, RobotAction, Variables, registered
from ..run.moves import waiting
from ..run.outcome import READY, failure, notices, success


class ActionModule(RobotAction):
    ARGUMENTS: t.ClassVar[dict[str, t.Any]] = {
        "wait": {"type": "int", "default": 3600},
        "prepared": {"type": "str", "default": "k8s4r_prepared"},
        "collected": {"type": "str", "default": "k8s4r_collected"},
        "switched": {"type": "str", "default": "k8s4r_switched"},
        "moved": {"type": "bool", "default": False},
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
        moving = variables.get(arguments["collected"], {}).get("moves", {}).get(robot, {})
        stays = dict.fromkeys(moving, "")
        if arguments["moved"]:
            # A robot that this play has lost may still have the results of an earlier one.
            here = variables["ansible_play_hosts"]
            stays = waiting(moving, lambda other: _ended(variables["hostvars"].raw_get(other), arguments) if other in here else "")
        staying = {"stays": sorted(moving[id]["group"] for id in stays)}
        reasons = [f"{robot}: {why}" for why in stays.values() if why]
        if arguments["moved"] and moving.keys() == stays.keys():
            return {"changed": False, "status": "stays", **staying, **promised, "warnings": reasons}
        answer = self.call({"op": "switch", "release": prepared["release"], "spare": sorted(stays)}, variables)

        def show(progress: str) -> None:
            self._display.display(f"{robot}: {progress}")

        answer = self.until_done(answer, variables, arguments["wait"], show)
        if answer["status"] != "committed":
            # What was done on the way has been undone: the message, which Ansible prints whole, is for what went wrong.
            ended: Result = {name: answer[name] for name in ("status", "release", "restored", "undone", "committed") if name in answer}
            return {**ended, "failed": True, "changed": answer["status"] != "refused", "msg": failure(robot, answer)}
        self._display.v(success(robot, answer))
        warnings = notices(robot, answer) + reasons
        answer.pop("notices", None)
        return {**answer, **promised, **staying, "warnings": warnings, "changed": bool(answer.get("changes")), "diff": prepared["diff"]}


def _ended(known: Variables, arguments: Variables) -> str:
    """The status with which the run ended on a robot whose variables these are."""
    answer: Variables = known.get(arguments["switched"]) or known.get(arguments["prepared"]) or {}
    return str(answer.get("status", ""))
