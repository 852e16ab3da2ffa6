# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Callers of a service are told of its new endpoints once these are ready, and the old ones go only after that.

So a switch has three turns: what serves, on all robots; then the files of those that follow it; then what goes.
"""

from __future__ import annotations

import json
import re
import typing as t

from ..compile import names
from .outcome import SETTLED

Data = t.Mapping[str, t.Any]
Placed = t.Mapping[str, t.Mapping[str, t.Sequence[int]]]

INSTANCE = re.compile(r"r(\d+) ")


class Follower(t.TypedDict):
    """A file with the endpoints of services: the group that has it, the services, and the robots that must be ready before it changes."""

    group: str
    services: list[str]
    after: list[str]


# By robot and path.
Following = t.Mapping[str, t.Mapping[str, Follower]]


def followers(
    answers: t.Mapping[str, Data],
    placed: Placed,
    addresses: t.Mapping[str, t.Sequence[str]],
    unheard: t.Mapping[str, t.Sequence[str]] | None = None,
    outdated: t.Mapping[str, t.Sequence[str]] | None = None,
    off: t.Collection[str] = (),
) -> dict[str, dict[str, Follower]]:
    """By robot and path, the files that wait for others. `answers` are those of all robots to `prepare`; `addresses` are those at which
    each robot is reached. `unheard` are the addresses of those of which it is not known what they serve. `outdated` are the services that
    a robot has at another port or address until it switches; `off` are robots that are not there.

    A robot that the run does not reach is waited for, in vain, only if the file does not have it yet; or if the file has it, and nobody
    knows whether a service of a job that is not in the run is still there; or if it has the service where the file will not lead any more,
    as most have.
    """
    found: dict[str, dict[str, Follower]] = {}
    silent = {name: at for name, at in (unheard or {}).items() if name not in answers}
    behind = {name: services for name, services in (outdated or {}).items() if name not in answers}
    for robot, answer in answers.items():
        for path, file in answer.get("follows", {}).items():
            services, before = file["follows"].split(), hosts(file["before"])
            serving = {_group(service) for service in services}
            if names.endpoints_of(path) == names.OWN:
                gone, new = _coming_and_going(answer, file["group"])
                if not gone and not new:
                    # Its own instances have other ports: they are the same ones, and no one else has to be ready.
                    continue
                held = placed.get(file["group"], {})
                after = {name for name, here in held.items() if name == robot or not gone.isdisjoint(here)}
            else:
                robots = {name for group in serving for name in placed.get(group, {})}
                after = {name for name in robots if name in answers or before.isdisjoint(addresses.get(name, ()))}
                if not all(group in placed for group in serving):
                    after |= {name for name, at in silent.items() if not before.isdisjoint(at)}
                for service in services if behind else ():
                    after |= _where_it_was(service, placed.get(_group(service), {}), behind, off)
            found.setdefault(robot, {})[path] = {"group": file["group"], "services": services, "after": sorted(after)}
    return found


def callers(robot: str, going: Data, following: Following) -> list[str]:
    """The robots that have files with endpoints of what goes from this one, which are to change first.

    Where the robot keeps the group, what goes may hand its port over to what is new; it cannot stay then.
    """
    group = going["name"]
    if not going["whole"] and all(file["group"] != group for file in following.get(robot, {}).values()):
        return []
    return sorted(name for name, files in following.items() if any(_follows(file, group) for file in files.values()))


def unready(files: t.Mapping[str, Follower], ended: t.Callable[[str], str]) -> dict[str, str]:
    """By path, why files of a robot must stay as they are; those of one group that call the same service have the same text.
    `ended(robot)` is the status with which the switch ended there, empty where it has none.
    """
    found: dict[str, str] = {}
    for path, file in files.items():
        late = [name for name in file["after"] if ended(name) not in SETTLED]
        if late:
            robots, verb = ", ".join(late), "are" if late[1:] else "is"
            why = f"keeps its endpoints of {', '.join(file['services'])}, because this run did not succeed on {robots}"
            found[path] = f"{file['group']} {why}; run again when {robots} {verb} ready"
    return found


def keeps(files: t.Mapping[str, Follower], untold: t.Container[str], group: str) -> bool:
    """Whether one of a robot's files that stay as they are has endpoints of a group."""
    return any(path in untold and _follows(file, group) for path, file in files.items())


def instances(units: t.Iterable[str]) -> list[int]:
    """The instances to which units belong, by what people call them: `r0 server`."""
    return sorted({int(match[1]) for name in units if (match := INSTANCE.match(name))})


def _follows(file: Follower, group: str) -> bool:
    return any(_group(service) == group for service in file["services"])


def _group(service: str) -> str:
    return service.rpartition("/")[0]


def hosts(text: str) -> set[str]:
    """All addresses in a file with endpoints, or with what DNS has of a service."""
    found: set[str] = set()

    def keep(data: dict[str, t.Any]) -> dict[str, t.Any]:
        if isinstance(data.get("address"), str):
            found.add(data["address"])
        return data

    try:
        json.loads(text, object_hook=keep)
    except (ValueError, RecursionError):
        # The file was edited by hand.
        return set()
    return found


def _where_it_was(
    service: str, held: t.Mapping[str, t.Sequence[int]], behind: t.Mapping[str, t.Sequence[str]], off: t.Collection[str]
) -> set[str]:
    """Of the robots that are to have a service, those that will still have it at the old port or address, if it is best to wait for
    them. A file leads to one port on all robots: with the new one, a caller would lose these. With the old one, it loses the others. One
    that is off answers at neither.
    """
    old = {name for name in held if service in behind.get(name, ())}
    new = held.keys() - old - set(off)
    return old if not new or len(old.difference(off)) > len(new) else set()


def _coming_and_going(answer: Data, group: str) -> tuple[set[int], set[int]]:
    """The instances of a group that go from a robot that keeps the group, and those that are new there."""
    gone = [unit for going in answer.get("goes", {}).values() if going["name"] == group for unit in going["units"]]
    new = [change["unit"] for change in answer.get("summary", ()) if change["group"] == group and change["does"] == "new"]
    return set(instances(gone)), set(instances(new))
