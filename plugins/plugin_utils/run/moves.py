# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Instances that move from one robot to another: what a robot gives up goes only after the robots that it moves to have it."""

from __future__ import annotations

import typing as t

from .followers import Following, instances
from .followers import callers as callers_of
from .outcome import SETTLED

Data = t.Mapping[str, t.Any]
# As `compile` returns it: {"namespace/job/group": {robot: [index, ...]}}.
Placed = t.Mapping[str, t.Mapping[str, t.Sequence[int]]]


# Why a run does not come to a robot.
OFF, FAILED, ASIDE = "is off", "has failed", "is not in this run"
# Why a robot that it has come to may not have what it was to take over.
LOST, SILENT = "no longer has it, because another run took it away", "could not say whether it still has it"


class Move(t.TypedDict):
    """What of a group goes from a robot only when other robots are ready: the group's name; by instance, the robot that is to run it;
    by robot, the group of the same job that is new there, where the robot's own group ends, or has no tasks; the robots that call it at
    endpoints which they have to forget first; and of those that are to run it, which this run does not come to and why: then it stays.
    """

    group: str
    to: dict[int, str]
    after: dict[str, str]
    callers: list[str]
    absent: dict[str, str]


def destinations(moving: t.Mapping[str, t.Mapping[str, Move]]) -> set[str]:
    """The robots that are to take something over; `moving` is what moves, by robot and by the group's id."""
    return {name for found in moving.values() for move in found.values() for name in (*move["to"].values(), *move["after"])}


def moves(
    robot: str,
    answers: t.Mapping[str, Data],
    placed: Placed,
    following: Following | None = None,
    everywhere: t.Container[str] = (),
    absent: t.Mapping[str, str] | None = None,
) -> dict[str, Move]:
    """By the group's id, what must not go from a robot yet. `answers` are those of all robots to `prepare`; `following` are the files
    with endpoints that callers are told of first. `everywhere` are the groups of system jobs: each of their robots has an r0 of its own,
    which waits for no robot that had one before. `absent` are the robots that the run does not come to, each with the reason.

    A group that ends waits for what its job has new on other robots: it may have been renamed. Where the job has something new on the
    same robot, the robot itself lets neither go without the other (handover.py).
    """
    found: dict[str, Move] = {}
    for id, going in answers[robot].get("goes", {}).items():
        name = going["name"]
        homes: dict[int, list[str]] = {}
        for other, held in placed.get(name, {}).items():
            for index in held if other != robot else ():
                homes.setdefault(index, []).append(other)
        to = {index: homes[index][0] for index in instances(going["units"]) if len(homes.get(index, ())) == 1}
        if name in everywhere:
            to = {index: other for index, other in to.items() if _may_gain(other, name, answers)}
        after: dict[str, str] = {}
        if going["whole"] and name not in placed:
            after = _new_elsewhere(robot, _job(name), answers)
        elif going["whole"] and going["units"] and not instances(going["units"]):
            # It has no tasks, but perhaps an ingress: nothing tells which of its instances was here. Where the run has none that is new, it
            # may be on a robot that the run does not come to.
            others = [other for other in placed[name] if other != robot]
            new = [other for other in others if other in answers and _may_gain(other, name, answers)]
            homes_of_it = new or [other for other in others if other not in answers]
            after = {} if name in everywhere and len(others) > 1 else dict.fromkeys(homes_of_it, name)
        callers = callers_of(robot, going, following or {})
        if to or after or callers:
            without = {other: why for other, why in (absent or {}).items() if other in to.values() or other in after}
            found[id] = {"group": name, "to": to, "after": after, "callers": callers, "absent": without}
    return found


def _may_gain(robot: str, group: str, answers: t.Mapping[str, Data]) -> bool:
    """Whether a group may be new on a robot: of one that the run does not come to, nobody knows."""
    return robot not in answers or any(change["does"] == "new" and change["group"] == group for change in answers[robot].get("summary", ()))


def _new_elsewhere(robot: str, job: str, answers: t.Mapping[str, Data]) -> dict[str, str]:
    """By robot, a group of the job of which something is new there; none if something is new on this robot, too."""
    new = {
        other: change["group"]
        for other, answer in answers.items()
        for change in answer.get("summary", ())
        if change["does"] == "new" and _job(change["group"]) == job
    }
    return {} if robot in new else new


def _job(group: str) -> str:
    """Namespace and name of the job of a group."""
    return group.rpartition("/")[0]


def waiting(
    moving: t.Mapping[str, Move],
    ended: t.Callable[[str], str],
    told: t.Callable[[str, str], str] = lambda _robot, _group: SETTLED[0],
    lost: t.Callable[[str, str], str] = lambda _robot, _group: "",
) -> dict[str, str]:
    """By the group's id, why what moves away from a robot must stay for now; groups that can go are left out.

    `ended(robot)` is the status with which the run ended on a robot, empty where it has none, and `told(robot, group)` the one with which
    its callers of a group were told of new endpoints. `lost(robot, group)`: why a robot on which it ended well may no longer have the
    group, or nothing.
    """
    found = {}
    for id, move in moving.items():
        homes = [(name, f"is to take over r{index}", move["group"]) for index, name in sorted(move["to"].items())]
        homes += [(name, f"is to take over{_by(group, move)}", group) for name, group in sorted(move["after"].items())]
        gone = {name: reason for name, _what, group in homes if ended(name) in SETTLED and (reason := lost(name, group))}
        late = [(name, what) for name, what, _group in homes if name in gone or ended(name) not in SETTLED]
        why = {**move["absent"], **gone}
        untold = [name for name in move["callers"] if told(name, move["group"]) not in SETTLED]
        if late or untold:
            found[id] = f"{move['group']} is kept here because {_why(late, untold, why)}"
    return found


def _by(group: str, move: Move) -> str:
    """By which group a robot takes over, where that is another one."""
    return "" if group == move["group"] else f" with {group}"


def _why(late: t.Sequence[tuple[str, str]], untold: t.Sequence[str], known: t.Mapping[str, str]) -> str:
    """Which robots are not ready, and what to do. `late` are those that are to take over, with what. `known` is why a robot is not ready;
    on one without a reason, the run has failed.
    """
    off, aside = ([name for name, _what in late if known.get(name) == why] for why in (OFF, ASIDE))
    failed = [name for name, _what in late if known.get(name, FAILED) == FAILED]
    reasons = [
        f"the run failed on {name}, which {what}" if name in failed else f"{name}, which {what}, {known[name]}" for name, what in late
    ]
    reasons += [f"{name}, which calls it, does not have its new endpoints yet" for name in untold]
    fix = f"fix {_each(failed)} and " if failed else ""
    when = f" when {_each(off)} {'is' if len(set(off)) == 1 else 'are'} on" if off else ""
    return f"{', and '.join(reasons)}; {fix}run again{f' with {_each(aside)}' if aside else ''}{when}"


def _each(names: t.Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(names))
