# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run changes, before it does: one line for each thing, for a person. Robots of which the same is said share a line."""

from __future__ import annotations

import typing as t

from ..job.errors import few, listed, nearest
from ..run.followers import instances
from ..run.moves import Move

Data = t.Mapping[str, t.Any]

# So many names are written out; of the rest, how many there are.
MOST = 6
_UNITS = (("KiB", 2**10), ("MiB", 2**20), ("GiB", 2**30), ("TiB", 2**40))


class Said(t.TypedDict):
    """One line. `text` is as it is printed, without the robots."""

    robots: list[str]
    text: str


def summary(
    answers: t.Mapping[str, Data],
    moving: t.Mapping[str, t.Mapping[str, Move]],
    lost: t.Sequence[str],
    servers: t.Sequence[str] = (),
    aside: t.Sequence[str] = (),
    jobs: t.Iterable[str] = (),
    failed: t.Container[str] = (),
) -> list[Said]:
    """Everything that changes, in the order of the groups; `moving` is what `moves` found of each robot.

    `answers` are those of `prepare`; robots that could not be reached, or have `failed`, are `lost`; `servers` are the machines that get
    the SPIRE server first, if they have none. `aside` are the robots that this run was not to touch: what has moved to or from one of them
    may run twice, or nowhere. `jobs` are all of the run, `namespace/job`: of several, each line names its own.
    """
    groups = {change["group"] for answer in answers.values() for change in (*_changes(answer), *_going(answer))}
    shown = _short(groups - {""}, jobs)
    robots: dict[str, list[str]] = {}
    for name, answer in sorted(answers.items()):
        for text in _of_robot(name, answer, moving.get(name, {}), shown):
            robots.setdefault(text, []).append(name)
    for name in lost:
        robots.setdefault("failed, as said above; run again" if name in failed else "off, run again", []).append(name)
    if aside and robots:
        robots[f"not in this run (--limit), left as {'it is' if len(aside) == 1 else 'they are'}"] = list(aside)
    if servers:
        robots["the SPIRE server is installed or started first if it does not run"] = list(servers)
    return [{"robots": names, "text": text} for text, names in robots.items()]


def nothing_to_remove(robots: str, jobs: t.Sequence[str], there: t.Sequence[str]) -> str:
    """That none of the `robots`, in words, has any of these jobs, `namespace/job`, with one that was probably meant, or with all that are
    `there`.
    """
    meant = dict.fromkeys(job for name in jobs for job in _like(name, there))
    others = f"did you mean {listed(meant)}?" if meant else f"there are: {few(there, MOST)}" if there else "they have no job at all"
    return f"No robot {robots} has any of these jobs: {few(jobs, MOST)}; {others}"


def _like(job: str, there: t.Iterable[str]) -> list[str]:
    """The jobs of the same name in other namespaces, or else one with nearly the same name."""
    names = {other: other.partition("/")[2] for other in there}
    name = job.partition("/")[2]
    close = nearest(name, names.values())
    return [other for other, its in names.items() if its == name] or [other for other, its in names.items() if its == close]


def line(said: Said) -> str:
    return f"{few(said['robots'], MOST)}: {said['text']}"


def size(number: float) -> str:
    """An amount of data on a disk: 11.4 MiB."""
    unit, factor = next((unit for unit in _UNITS if number < 1000 * unit[1]), _UNITS[-1])
    return f"{number / factor:.1f} {unit}"


def _changes(answer: Data) -> t.Sequence[Data]:
    found: t.Sequence[Data] = answer.get("summary", ())
    return found


def _going(answer: Data) -> list[Data]:
    return [{**going, "group": going["name"], "id": id} for id, going in answer.get("goes", {}).items()]


def _of_robot(robot: str, answer: Data, moving: t.Mapping[str, Move], shown: t.Mapping[str, str]) -> t.Iterator[str]:
    missing = sorted(set(answer.get("missing", ())))
    if missing:
        yield f"{few(missing, MOST)} {'is' if len(missing) == 1 else 'are'} installed or started first"
    for change in _changes(answer):
        what = f"{shown.get(change['group'], '')} {change['unit']}".strip()
        why = f" ({few(change['why'], MOST)})" if change["why"] else ""
        yield f"{what}: {change['does']}{why}" if what else change["does"]
    for going in _going(answer):
        yield from _that_goes(robot, going, moving.get(going["id"]), shown[going["group"]])


def _that_goes(robot: str, going: Data, move: Move | None, group: str) -> t.Iterator[str]:
    data = f", with {size(going['data'])} of data" if going["data"] else ""
    kept = f"; its {size(going['kept'])} of data stay until a run without keep_data=true" if going["kept"] else ""
    to = move["to"] if move else {}
    left = [unit for unit in going["units"] if not set(instances([unit])) & to.keys()]
    if move and move["absent"]:
        names = [] if going["whole"] else [*(f"r{index}" for index in sorted(to)), *left]
        because = ", ".join(f"{other} {why}" for other, why in sorted(move["absent"].items()))
        yield f"{group} {few(names, MOST)}".rstrip() + f": {'stay' if len(names) > 1 else 'stays'} on {robot}, because {because}"
        return
    # Where no instances are named, all of the group moves.
    onto = sorted(other for other, new in move["after"].items() if new == move["group"]) if move else []
    moves = [(group, few(onto, MOST))] if onto else [(f"{group} r{index}", other) for index, other in sorted(to.items())]
    for called, other in moves:
        whole = going["whole"] and len(moves) == 1
        lost = f"; its {size(going['data'])} of data on {robot} are deleted" if data else kept
        yield f"{group if whole else called}: moves away from {robot} to {other}{lost}"
        data = kept = ""
    if not going["units"]:
        yield f"{group}: {size(going['data'])} of kept data is deleted"
    elif going["whole"] and not moves:
        yield f"{group}: goes{data}{kept}"
    elif left and not going["whole"]:
        yield f"{group} {few(left, MOST)}: {'goes' if len(left) == 1 else 'go'}{data}{kept}"


def _short(groups: t.Iterable[str], jobs: t.Iterable[str]) -> dict[str, str]:
    """What the lines call each group, `namespace/job/group`: without what all groups and `jobs` have in common."""
    parts = {group: group.split("/") for group in groups}
    named = {tuple(names[:2]) for names in (*parts.values(), *(job.split("/") for job in jobs))}
    kept = 1 if len(named) < 2 else 2 if len({names[0] for names in named}) < 2 else 3
    return {group: "/".join(names[-kept:]) for group, names in parts.items()}
