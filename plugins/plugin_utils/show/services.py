# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The services of the fleet as the robots have them: where each one is, and which groups call it."""

from __future__ import annotations

import re
import typing as t

from ..job.addresses import WILDCARDS, plain
from . import table

Data = t.Mapping[str, t.Any]
HEADER = ("service", "robot", "instances", "address", "callers", "")
# Of a unit, or of a port: `r0 server`, `r0 http`, and of a pod `proxy r0`.
_INSTANCE = re.compile(r"(?:proxy )?r(\d+)(?: |$)")


class Found(t.TypedDict):
    """A service, namespace/job/group/name, at one address of a robot: the instances that are behind it there, the groups of the whole
    fleet that call it, and what is wrong with it. `robot` is empty, and there is no `port`, where no robot has what is called.
    """

    service: str
    robot: str
    address: str
    port: int | None
    protocol: str
    instances: list[int]
    callers: list[str]
    wrong: list[str]


def services(answers: t.Mapping[str, Data], addresses: t.Mapping[str, str], job: str = "") -> list[Found]:
    """All services of the robots that answered, or those of the jobs of this name. `addresses` are those at which robots are reached."""
    callers: dict[str, set[str]] = {}
    found: list[Found] = []
    for robot, answer in sorted(answers.items()):
        for group in _groups(answer):
            for name in group.get("calls", ()):
                callers.setdefault(name, set()).add(str(group["name"]))
            for port in group.get("ports", ()):
                found += [_at(name, robot, group, port, addresses.get(robot, robot)) for name in port.get("serves", ())]
    for each in found:
        each["callers"] = sorted(callers.get(each["service"], ()))
    for name in sorted(callers.keys() - {each["service"] for each in found}):
        wrong = ["NO ROBOT HAS IT" if all("jobs" in answer for answer in answers.values()) else "no robot that answered has it"]
        nowhere = Found(
            service=name, robot="", address="", port=None, protocol="", instances=[], callers=sorted(callers[name]), wrong=wrong
        )
        found.append(nowhere)
    return sorted(
        (each for each in found if job in ("", _job(each["service"]))),
        key=lambda each: (each["service"], each["robot"], each["instances"], each["port"] or 0),
    )


def overview(answers: t.Mapping[str, Data], found: t.Sequence[Found], job: str = "") -> list[str]:
    """The table: a line for each service on each robot, its name once; and the robots that did not answer."""
    rows, before = [], ""
    for each in found:
        rows.append(("" if each["service"] == before else _short(each["service"]), *_cells(each)))
        before = each["service"]
    lines = table.aligned([HEADER, *rows]) if rows else []
    silent = [(robot, answer) for robot, answer in sorted(answers.items()) if "jobs" not in answer]
    for robot, answer in silent:
        reason = " ".join(str(answer.get("msg", "")).split())
        lines.append(f"{robot}: {str(answer.get('status', table.OFF)).upper()}, its services are not known: {reason}")
    if job and not any(_job(str(group["name"]) + "/") == job for answer in answers.values() for group in _groups(answer)):
        return [*lines, table.unknown(job, answers)]
    number, robots = len({each["service"] for each in found}), len(answers) - len(silent)
    return [*lines, f"{robots} robot{'s' * (robots != 1)}, {number} service{'s' * (number != 1)}"]


def _groups(answer: Data) -> t.Iterator[Data]:
    for job in answer.get("jobs", ()):
        yield from job["groups"].values()


def _at(name: str, robot: str, group: Data, port: Data, address: str) -> Found:
    called = _INSTANCE.match(port.get("called", ""))
    units = {str(values["called"]): values for values in group["units"].values()}
    tasks = {int(match[1]) for each in units if (match := _INSTANCE.match(each))}
    instances = [int(called[1])] if called else sorted(tasks)
    down = [each for each, values in sorted(units.items()) if not values["well"] and _concerns(each, instances)]
    wrong = [f"{each} IS NOT WELL" for each in down]
    wrong += ["NOT LISTENING" for each in group["silent"] if (each["address"], each["port"]) == (port["address"], port["port"])]
    wrong += ["NO IDENTITY"] * (_proxy(port) in group.get("unidentified", ()))
    listening = plain(port["address"])
    return Found(
        service=name,
        robot=robot,
        address=address if listening in WILDCARDS else listening,
        port=port["port"],
        protocol=port.get("protocol", "tcp"),
        instances=instances,
        callers=[],
        wrong=wrong,
    )


def _proxy(port: Data) -> str:
    """What the group calls the proxy that listens at a port, `proxy`, or of a pod `proxy r0`; empty for a port of a task."""
    # In a pod, the ports of both are called in the same way.
    return "" if "offers" in port.get("terms", {}) else f"proxy {port.get('called', '').partition(' ')[0]}".rstrip()


def _concerns(unit: str, instances: t.Sequence[int]) -> bool:
    """Whether a unit is one of these instances, or stands beside all of a group."""
    match = _INSTANCE.match(unit)
    return bool(unit) and (match is None or int(match[1]) in instances)


def _cells(each: Found) -> tuple[str, str, str, str, str]:
    address = table.at(each) if each["port"] else ""
    instances = " ".join(f"r{number}" for number in each["instances"])
    return each["robot"], instances, address, ", ".join(map(_short, each["callers"])), "; ".join(each["wrong"])


def _job(name: str) -> str:
    """The job of a service."""
    return name.split("/")[1] if name.count("/") == 3 else ""


def _short(name: str) -> str:
    return name.removeprefix("default/")
