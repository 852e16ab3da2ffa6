# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carry out what `prepare` staged: the robot works on its own, and this action watches until it has finished.

A switch has up to three turns, each on all robots before the next: what is new begins; then callers are told where services are now;
then what moved to other robots is given up.
"""

from __future__ import annotations

import typing as t

from ..home import key
from ..home.capabilities import OddCapabilities
from ..home.mesh import Mesh
from ..run.action import ActionProblem, Result, RobotAction, Variables, registered
from ..run.followers import keeps, unready
from ..run.moves import LOST, SILENT, waiting
from ..run.outcome import READY, SETTLED, STAYS, TELLS, failure, notices, success

if t.TYPE_CHECKING:
    from ..run.followers import Follower
    from ..run.moves import Move


class ActionModule(RobotAction):
    ARGUMENTS: t.ClassVar[dict[str, t.Any]] = {
        "wait": {"type": "int", "default": 3600},
        "prepared": {"type": "str", "default": "k8s4r_prepared"},
        "collected": {"type": "str", "default": "k8s4r_collected"},
        "switched": {"type": "str", "default": "k8s4r_switched"},
        "followed": {"type": "str", "default": "k8s4r_followed"},
        "turn": {"type": "str", "default": "begin", "choices": ["begin", "follow", "give_up"]},
    }

    def act(self, arguments: Variables, variables: Variables) -> Result:
        turn = _Turn(arguments, variables)
        prepared = turn.prepared
        if prepared["status"] == "unchanged":
            return {"changed": False, "status": "unchanged"}
        if prepared["status"] not in READY:
            raise ActionProblem(failure(turn.robot, prepared))
        promised = {"endpoints": prepared["endpoints"]}
        if self._task.check_mode:
            foretold = {"changes": prepared["steps"], "diff": prepared["diff"]}
            return {"changed": bool(prepared["steps"]), "status": "planned", **foretold, **promised}
        if arguments["turn"] == "follow":
            return self._follow(turn)
        if prepared["status"] == "recorded":
            return {"changed": False, "status": "committed", **promised}
        if prepared["status"] == TELLS:
            return {"changed": False, "status": "unchanged", **promised}
        result = self._give_up(turn) if arguments["turn"] == "give_up" else self._begin(turn)
        return result if result.get("failed") else {**result, **promised}

    def _begin(self, turn: _Turn) -> Result:
        """The first turn. What moves to other robots stays, and so do files with endpoints that other robots have to be ready for."""
        hold = sorted(turn.followers.keys() - turn.paths_of_others)
        return self._switch(turn, spare=turn.moving, hold=hold)

    def _follow(self, turn: _Turn) -> Result:
        """The turn of the files that the first one has held, and of those of groups of other jobs."""
        release, others = turn.registered("switched").get("rest"), turn.paths_of_others
        late = {path: why for path, why in unready(turn.followers, turn.ended).items() if release or path in others}
        done: list[Result] = []
        tells = [file for file in turn.prepared["tell"]["files"] if file["path"] not in late] if others else []
        if tells:
            done.append(self._tell({**turn.prepared["tell"], "files": tells}, turn))
        mine = turn.followers.keys() - others
        if release and not mine <= late.keys() and not _failed(done):
            # Each of the others waits for its own robots alone, and one of them may be off for days.
            request = {"op": "switch", "release": release, "spare": sorted(turn.moving), "hold": sorted(mine & late.keys())}
            done.append(self._done(self.call(request, turn.variables), turn))
        if _failed(done):
            return done[-1]
        result = _together(done)
        if not late:
            return result
        reasons = turn.warnings(dict.fromkeys(late.values()))
        return {**result, "status": STAYS, "untold": sorted(late), "warnings": [*result["warnings"], *reasons]}

    def _give_up(self, turn: _Turn) -> Result:
        """The last turn: what other robots run now goes. What callers were not told in their turn, they are not told in this one either."""
        stays = waiting(turn.moving, turn.ended, turn.told, turn.lost)
        reasons = turn.warnings(why for why in stays.values() if why)
        if turn.moving.keys() == stays.keys():
            return {"changed": False, "status": STAYS, "stays": turn.groups(stays), "warnings": reasons}
        answer = self._switch(turn, spare=stays, hold=turn.registered("followed").get("untold", []))
        return answer if answer.get("failed") else {**answer, "warnings": [*answer["warnings"], *reasons]}

    def _switch(self, turn: _Turn, spare: t.Collection[str], hold: list[str]) -> Result:
        """Have the robot switch to what it prepared, but for groups, by their ids, and files, by their paths."""
        request = {"op": "switch", "release": turn.prepared["release"], "spare": sorted(spare), "hold": hold}
        answer = self._done(self.call(request, turn.variables), turn)
        return answer if answer.get("failed") else {**answer, "stays": turn.groups(spare), "diff": turn.prepared["diff"]}

    def _done(self, answer: Result, turn: _Turn) -> Result:
        """The result of a switch that has begun, when it has ended."""

        def show(progress: str) -> None:
            self._display.display(f"{turn.robot}: {progress}")

        answer = self.until_done(answer, turn.variables, turn.arguments["wait"], show)
        if answer["status"] != "committed":
            # What was done on the way has been undone: the message, which Ansible prints whole, is for what went wrong.
            ended: Result = {name: answer[name] for name in ("status", "release", "restored", "undone", "committed") if name in answer}
            return {**ended, "failed": True, "changed": answer["status"] != "refused", "msg": failure(turn.robot, answer)}
        self._display.v(success(turn.robot, answer))
        warnings = [*(_learned(turn.robot, answer.pop("mesh")) if "mesh" in answer else ()), *notices(turn.robot, answer)]
        answer.pop("notices", None)
        return {**answer, "warnings": warnings, "changed": bool(answer.get("changes"))}

    def _tell(self, request: Result, turn: _Turn) -> Result:
        """Groups of other jobs on the robot hear where services are."""
        answer = self.ask_again(request, turn.variables)
        if answer["status"] != "ok":
            return {"failed": True, "changed": False, "status": answer["status"], "msg": failure(turn.robot, answer)}
        said = [*_learned(turn.robot, answer["mesh"]), *notices(turn.robot, answer)]
        return {"changed": True, "status": "committed", "changes": answer["changes"], "warnings": said}


class _Turn:
    """What a turn of a robot knows: what earlier actions of the run found for it, and how their turns ended on other robots."""

    def __init__(self, arguments: Variables, variables: Variables) -> None:
        self.arguments = arguments
        self.variables = variables
        self.robot = str(variables["inventory_hostname"])
        self.prepared = registered(variables, arguments["prepared"], "prepare")

    @property
    def moving(self) -> dict[str, Move]:
        """By a group's id, what of it moves to other robots."""
        return self._collected("moves")

    @property
    def followers(self) -> dict[str, Follower]:
        """By their paths, the files that wait for other robots."""
        return self._collected("followers")

    @property
    def paths_of_others(self) -> set[str]:
        """The files of groups of other jobs that are to change."""
        return {file["path"] for file in self.prepared["tell"]["files"]} if "tell" in self.prepared else set()

    def registered(self, argument: str) -> Variables:
        """The result of an earlier turn; empty where there was none."""
        found: Variables = self.variables.get(self.arguments[argument], {})
        return found

    def ended(self, other: str) -> str:
        """The status with which the run ended on another robot, empty where it has none."""
        return self._ended(other, "switched")

    def told(self, other: str, group: str) -> str:
        """The same of the turn in which callers of a group are told of new endpoints, whether or not those of other groups were."""
        status = self._ended(other, "followed")
        if status != STAYS:
            return status
        files, untold = self._collected("followers", other), self._of(other)[self.arguments["followed"]]["untold"]
        return status if keeps(files, untold, group) else SETTLED[0]

    def lost(self, other: str, group: str) -> str:
        """Why a robot that was asked again may no longer have a group: it would have to start it anew, or another run is at work there."""
        answer: Variables = self._of(other).get(self.arguments["prepared"]) or {}
        if answer.get("status") not in (*READY, "unchanged"):
            return SILENT
        return LOST if any(change["does"] == "new" and change["group"] == group for change in answer.get("summary", ())) else ""

    def groups(self, ids: t.Iterable[str]) -> list[str]:
        """The names of groups that move."""
        return sorted(self.moving[id]["group"] for id in ids)

    def warnings(self, reasons: t.Iterable[str]) -> list[str]:
        """Why something is not done yet, for a person."""
        return [f"{self.robot}: {why}" for why in reasons]

    def _collected(self, what: str, robot: str = "") -> dict[str, t.Any]:
        found: dict[str, t.Any] = self.registered("collected").get(what, {}).get(robot or self.robot, {})
        return found

    def _of(self, other: str) -> Variables:
        """The results that another robot has."""
        found: Variables = self.variables["hostvars"].raw_get(other)
        return found

    def _ended(self, other: str, turn: str) -> str:
        if other not in self.variables["ansible_play_hosts"]:
            # This play has lost the robot, which may still have the results of an earlier one.
            return ""
        known = self._of(other)
        answer: Variables = known.get(self.arguments[turn]) or known.get(self.arguments["prepared"]) or {}
        return str(answer.get("status", ""))


def _learned(robot: str, mesh: t.Any) -> list[str]:
    """Remember what a robot has said now that it has switched. To fail here would be to say that it has not."""
    try:
        Mesh(key.home()).learn(robot, mesh)
    except (key.KeyProblem, OddCapabilities) as problem:
        return [f"{robot}: {problem}"]
    return []


def _failed(done: t.Sequence[Result]) -> bool:
    return any(each.get("failed") for each in done)


def _together(ended: t.Sequence[Result]) -> Result:
    """The result of what was done in one turn, if anything was."""
    result: Result = {"changed": False, "status": "unchanged", "warnings": []}
    for each in ended:
        warnings, changes = [*result["warnings"], *each["warnings"]], [*result.get("changes", ()), *each.get("changes", ())]
        result = {**result, **each, "changed": result["changed"] or each["changed"], "changes": changes, "warnings": warnings}
    return result
