# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the robots run as one table for a person: a line for each group that is well, and more only where something is wrong."""

from __future__ import annotations

import typing as t

from ..job.addresses import LOOPBACK_HOSTS, plain
from ..job.errors import did_you_mean, few

Data = t.Mapping[str, t.Any]
# Robot, group or unit, state, for how long, CPU, memory, restarts, and what else there is to say.
Cells = tuple[str, str, str, str, str, str, str, str]
Rest = tuple[str, str, str, str, str, str, str]
# A robot that gave no answer, or none that tells what it runs, has one of these as its status, and a `msg` that says why.
OFF, WRONG = "off", "wrong"

# As the engine has it for a run that changes nothing: by then, a unit has been up for longer than it takes to fail.
OFTEN, RECENTLY = 3, 60
# So many jobs are named to who asks for one that there is not.
MOST = 6

# What the job does not want on a robot any more, and what has to stay there until another robot is ready.
LEAVING = "is to move away"

HEADER: Cells = ("robot", "group", "state", "for", "cpu", "memory", "restarts", "")
_UNITS = ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s"))


def overview(answers: t.Mapping[str, Data], job: str = "", problems: bool = False) -> list[str]:
    """The table. `answers` are what the robots answered, by their names.

    `job`: only the jobs of this name, with all of their units. `problems`: only what is wrong.
    """
    rows: list[Cells] = []
    wrong = groups = 0
    for robot, answer in sorted(answers.items()):
        mine = _of_robot(robot, answer, job, problems)
        rows += mine.rows
        wrong += mine.wrong
        groups += mine.groups
    lines = aligned([HEADER, *rows]) if rows else []
    if job and not groups:
        return [*lines, unknown(job, answers)]
    return [*lines, _sum(len(answers), groups, wrong)]


def unknown(job: str, answers: t.Mapping[str, Data]) -> str:
    """That no robot has a job of this name, with one of nearly this name, or else with those that there are."""
    known = [found["name"] for answer in answers.values() for found in answer.get("jobs", ())]
    if not any("jobs" in answer for answer in answers.values()):
        return f"no robot has answered, so it is not known whether any has a job named {job}"
    others = did_you_mean(job, known) or (f"there are: {few(sorted(set(known)), MOST)}" if known else "they have no job at all")
    return f"no robot that answered has a job named {job}; {others}"


class _Part(t.NamedTuple):
    """The rows of a robot; how many groups it has, and how many things are wrong with it and them."""

    rows: list[Cells]
    groups: int
    wrong: int


def _of_robot(robot: str, answer: Data, job: str, problems: bool) -> _Part:
    if "jobs" not in answer:
        # What Ansible itself could not reach has no status.
        state = str(answer.get("status", OFF)).upper()
        return _Part([(robot, *_line("", state, note=" ".join(str(answer.get("msg", "")).split())))], 0, 1)
    notes = [*_interrupted(answer), *answer["idle"], *map(str, answer["unread"]), *_unclaimed(answer)]
    # What it is to wait for is said to a run that is refused, and no concern of this one.
    busy = [str(answer["busy"]).partition(";")[0]] if answer.get("busy") else []
    rows: list[Cells] = [("", *_line("", state, note=note)) for state, said in (("busy", busy), ("WRONG", notes)) for note in said]
    wrong, groups = len(notes), 0
    for found in answer["jobs"]:
        for group in found["groups"].values() if job in ("", found["name"]) else ():
            well = _is_well(group)
            groups += 1
            wrong += not well
            if not (well and problems):
                rows += _group(group, detailed=bool(job))
    if not (rows or job or problems):
        rows.append(("", *_line("-", "", note="runs no task group")))
    return _Part([(robot, *rows[0][1:]), *rows[1:]] if rows else [], groups, wrong)


def _line(name: str, state: str, after: str = "", usage: Data | None = None, restarts: int = 0, note: str = "") -> Rest:
    """A line, but for its robot."""
    return name, state, after, *_usage(usage), str(restarts or ""), note


def _interrupted(answer: Data) -> t.Iterator[str]:
    if answer.get("interrupted"):
        yield f"the switch to release {answer['interrupted']} was interrupted; the next run or boot finishes it or rolls it back"


def _unclaimed(answer: Data) -> t.Iterator[str]:
    if answer.get("unclaimed"):
        remedy = "deploy the job that they belonged to, and remove it if it is not wanted, or stop and delete them by hand"
        yield f"units of no known job: {few(answer['unclaimed'], MOST)}; {remedy}"


def _is_well(group: Data) -> bool:
    return not any(group.get(wrong) for wrong in ("lacks", "silent", "gone", "unidentified")) and all(
        map(_does_well, group["units"].values())
    )


def _does_well(values: Data) -> bool:
    return bool(values["well"]) and not _is_restless(values)


def _is_restless(values: Data) -> bool:
    """Whether a unit restarts again and again. It is up or down as it is asked a little earlier or later."""
    lately = values["well"] and values["seconds"] is not None and values["seconds"] < RECENTLY
    return bool((values["restarts"] or 0) >= OFTEN and (lately or _is_between(values)) and not values["done"])


def _is_between(values: Data) -> bool:
    """Whether a unit waits for its next start."""
    return (values["state"], values["sub"]) == ("activating", "auto-restart")


def _group(group: Data, detailed: bool) -> t.Iterator[Cells]:
    name = str(group["name"]).removeprefix("default/")
    # A target only starts the others; it is worth a line when it is down.
    units = {unit: values for unit, values in sorted(group["units"].items()) if values["called"] or not _does_well(values)}
    if not units:
        kept = group["kept"]
        note = f"data kept: {_directories(kept)}" if kept else ""
        yield "", *_line(name, "removed" if kept else "-", note=note)
        return
    restarts = sum(values["restarts"] or 0 for values in units.values())
    yield "", *_line(name, _state(units), _latest(units), group["usage"], restarts, "; ".join(_notes(group)))
    addresses = {f"r{pod['instance']}": str(pod["address"]) for pod in group.get("pods", ())}
    for unit, values in units.items():
        if detailed or values.get("leaving") or not _does_well(values):
            yield _unit(unit, values, addresses, detailed)
    for port in group["ports"] if detailed else ():
        if plain(port["address"]) not in LOOPBACK_HOSTS:
            # Of a proxy's, the place in the job file tells which it is.
            called = port.get("called") or port.get("where", "").rpartition(".network.")[2]
            yield "", *_line(f"  {called}", "port", note=at(port))


def _state(units: t.Mapping[str, Data]) -> str:
    unwell = [values for values in units.values() if not _does_well(values)]
    if unwell:
        failing = sum(map(_is_failing, unwell))
        down = len(unwell) - failing
        parts = [f"{down} OF {len(units)} DOWN" if down else "", f"{failing} OF {len(units)} FAILING" if failing else ""]
        return ", ".join(filter(None, parts))
    # What starts the tasks of a schedule is none of them.
    units = {unit: values for unit, values in units.items() if values["called"] not in _OF_A_SCHEDULE}
    done, waiting = sum(map(_is_done, units.values())), sum(map(_is_waiting, units.values()))
    up = len(units) - done - waiting
    return ", ".join(f"{number} {word}" for number, word in ((up, "up"), (waiting, "waiting"), (done, "done")) if number)


def _is_waiting(values: Data) -> bool:
    """Whether it runs at the times of a schedule, and not now; or when the others have ended."""
    return bool(values["run"] == "none" and values["well"] and values["state"] == "inactive" and not values["done"]) or _is_last(values)


def _is_last(values: Data) -> bool:
    """Whether it is a last hook, whose turn has not come."""
    return bool(values.get("last")) and values["sub"] == "exited"


def _is_done(values: Data) -> bool:
    """Whether a task, or a hook, has done what it should do once."""
    return bool(values["done"]) or ((values["state"], values["sub"]) == ("active", "exited") and not _is_last(values))


def _is_failing(values: Data) -> bool:
    """Whether it is a unit that runs, and is not well all the same."""
    return _is_restless(values) or any(check["status"] == "critical" for check in values.get("checks", ()))


def _latest(units: t.Mapping[str, Data]) -> str:
    """How long nothing has started or ended."""
    known = [values["seconds"] for values in units.values() if values["seconds"] is not None]
    return duration(min(known)) if known else ""


def _notes(group: Data) -> t.Iterator[str]:
    for port in group["silent"]:
        yield f"{at(port)} NOT LISTENING"
    for need in group["lacks"]:
        yield f"MISSING {need['path']} ({need['what']})"
    if group.get("unidentified"):
        yield f"NO IDENTITY: {few(group['unidentified'], 3)}; deploy its job with -e verify_entries=true"
    if group.get("gone"):
        yield f"MISSING {few(group['gone'], 1)}; deploy its job again"
    for values in group["units"].values():
        if values.get("next"):
            yield f"runs next at {values['next']}"
    if group["kept"]:
        yield f"keeps {_directories(group['kept'])}"


def at(port: Data) -> str:
    """An address and a port, for a person: 192.0.2.1:53/udp."""
    host = f"[{port['address']}]" if ":" in port["address"] else port["address"]
    return f"{host}:{port['port']}{'/udp' if port.get('protocol') == 'udp' else ''}"


def _word(values: Data) -> str:
    """What a unit does, in a word or two."""
    if _is_restless(values):
        return "failing"
    if _is_waiting(values):
        return "waits"
    if _is_done(values):
        return "done"
    state = values["state"]
    word = _WORDS.get((state, values["sub"])) or _OF_STATES.get(state, state) or "not loaded"
    # Of a schedule, what waits for its tasks is at work as long as it starts.
    if (word, values["called"]) == ("starting", "run"):
        word = "up"
    return "failing" if word == "up" and _is_failing(values) else word


def _unit(unit: str, values: Data, addresses: t.Mapping[str, str], detailed: bool) -> Cells:
    after = "" if values["seconds"] is None else duration(values["seconds"])
    checks = [
        f"{check['name']} is {check['status']}: {check['said'] or 'not run yet'}"
        for check in values.get("checks", ())
        if detailed or check["status"] != "passing"
    ]
    again, how = _again(values) if _is_restless(values) else ("", values["how"])
    killed = (values["usage"] or {}).get("memory", {}).get("oom_kills")
    memory = f"memory ran out {killed} time{'s' * (killed > 1)}" if killed and values["well"] else ""
    address = next((addresses[part] for part in str(values["called"]).split(" ") if part in addresses), "")
    leaving = LEAVING if values.get("leaving") else ""
    notes = [text for text in (leaving, *checks, again, how, memory, address, unit.removesuffix(".service")) if text]
    return "", *_line(f"  {values['called'] or 'target'}", _word(values), after, values["usage"], values["restarts"] or 0, "; ".join(notes))


def _again(values: Data) -> tuple[str, str]:
    """How often a unit has restarted, and how its last life ended, where that is known; in words."""
    text, how = f"restarted {values['restarts']} times", str(values["how"] or "")
    if not _is_between(values):
        return f"{text}, the last time {duration(values['seconds'])} ago", how
    # It counts, too: the starts.
    return text, how.replace(f", {values['restarts'] + 1} times", "", 1)


def _usage(usage: Data | None) -> tuple[str, str]:
    """CPU in percent of a core, and memory, each with its limit if it has one."""
    if not usage:
        return "", ""
    cpu, memory = usage["cpu"], usage["memory"]
    busy = "" if cpu.get("percent") is None else f"{cpu['percent']:.0f}%"
    if busy and cpu.get("limit"):
        busy += f" of {cpu['limit'] * 100:.0f}%"
    held = _mib(memory.get("current") or 0)
    if held and memory.get("limit"):
        held += f" of {memory['limit'] / 2**20:.0f}"
    return busy, held


# A timer, and the unit that waits for the tasks that it has started; no task is called so: it belongs to an instance.
_OF_A_SCHEDULE = ("schedule", "run")
_OF_STATES = {"activating": "starting", "deactivating": "stopping"}
_WORDS = {
    ("active", "running"): "up",
    ("active", "waiting"): "waits",
    ("activating", "auto-restart"): "tries again",
    ("inactive", "dead"): "down",
}


def _directories(paths: t.Sequence[str]) -> str:
    outermost = [path for path in paths if not any(path.startswith(other + "/") for other in paths)]
    return few(outermost, 1)


def _mib(size: int) -> str:
    return f"{size / 2**20:.1f} MiB" if size else ""


def duration(seconds: int) -> str:
    """A time span as people say it: its largest unit and the next smaller one."""
    for large, name, small, smaller in _UNITS:
        if seconds >= large:
            rest = seconds % large // small
            return f"{seconds // large} {name} {rest} {smaller}" if rest else f"{seconds // large} {name}"
    return f"{seconds} s"


def aligned(rows: t.Sequence[t.Sequence[str]]) -> list[str]:
    """Rows of as many cells as one line each, with the cells of a column below each other."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _sum(robots: int, groups: int, wrong: int) -> str:
    found = f"{wrong} {'things are' if wrong > 1 else 'thing is'} wrong" if wrong else "nothing is wrong"
    return f"{robots} robot{'s' * (robots != 1)}, {groups} group{'s' * (groups != 1)}: {found}"
