# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A quota: how much some directories may take up together, which the file system enforces.

They are of one project, and the project has the limit. What a run that died left undone is done by the next one. A job without limits
imports no more than this.
"""

from __future__ import annotations

import os

from .. import plan
from ..say import disk
from ..say.errors import CommandFailed
from ..system import capabilities, files
from . import shape
from .kind import Kind

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ..plan import Resource
    from ..state.robot import Robot
    from ..system.observe import Observer, State

# Files that are added up: more than a disk of a robot has.
MOST = 10**6


class Quota(Kind):
    KEYS = {"name": str, "project": int, "size": int, "directories": list, "where": str}

    def check(self, where: str, resource: Resource) -> t.Iterator[str]:
        if shape.has_control(resource["name"]):
            yield f"{where}.name: must not contain control characters"
        if not 0 < resource["project"] < 2**31:
            yield f"{where}.project: {resource['project']} is not one of 1 to {2**31 - 1}"
        if not 0 < resource["size"] <= 2**60:
            yield f"{where}.size: {resource['size']} is not one of 1 to {2**60}"
        if not isinstance(resource.get("label", ""), str):
            yield f"{where}.label: must be a string"
        if not resource["directories"]:
            yield f"{where}.directories: must not be empty"
        for number, path in enumerate(resource["directories"]):
            at = f"{where}.directories[{number}]"
            if not isinstance(path, str) or " " in path:
                yield f"{at}: {path!r} must be a path without spaces"
            else:
                yield from shape.path(at, path)

    def place(self, resource: Resource) -> str:
        return f"{plan.QUOTAS}/{resource['project']}"

    def expected(self, resource: Resource) -> State:
        return _state(resource["size"], resource["directories"])

    def actual(self, resource: Resource, _observer: Observer) -> State | None:
        from .quotas import claims, projects

        done, marked = claims.done(self.place(resource)), _marked(resource)
        if done is None and not marked:
            return None
        device = capabilities.quota_device(plan.STATE)[1]
        limit = projects.limit(device, resource["project"]) if device else 0
        others = set(done or ()).difference(resource["directories"])
        return _state(limit, others.union(path for path in marked if path in (done or ())))

    def obstacles(self, resource: Resource, robot: Robot) -> t.Iterator[str]:
        from .quotas import claims, projects

        where, size, number = resource["where"], resource["size"], resource["project"]
        device = capabilities.quota_device(plan.STATE)[1]
        if not device:
            yield f"{where}: {plan.STATE} is on a file system without project quotas; mount one that has them there, or remove the size"
            return
        there = [path for path in resource["directories"] if os.path.isdir(path)]
        elsewhere = [path for path in there if os.stat(path).st_dev != os.stat(plan.STATE).st_dev]
        if elsewhere:
            which = f"{', '.join(elsewhere)} is on another file system than {plan.STATE}"
            yield f"{where}: {which}, and one size cannot bound both; remove the size"
        found = projects.usage(device, number)
        yield from claims.taken(where, number, found["files"], robot)
        # What counts already, counts exactly. Else it is added up.
        counts = claims.done(self.place(resource)) == resource["directories"] == _marked(resource)
        used = found["used"] if counts else sum(files.size(path, most=MOST) for path in there)
        if used > size:
            already = f"{disk.size(used)} in {', '.join(there)}; write more, or remove some of that"
            yield f"{where}: {disk.size(size)} are less than what is there already, {already}"

    def fix(self, resource: Resource, robot: Robot) -> None:
        from .quotas import claims, projects

        number, place = resource["project"], self.place(resource)
        device = capabilities.quota_device(plan.STATE)[1]
        if not device:
            raise CommandFailed(f"{plan.STATE} is on a file system without project quotas")
        claims.claim(number, projects.usage(device, number)["files"], robot)
        before, marked, wanted = claims.done(place) or [], _marked(resource), resource["directories"]
        # A mark that somebody took away is missing below, too: not done, until it is.
        done = [path for path in before if path in marked or path not in wanted]
        if done != before:
            claims.write(place, done)
        for path in done:
            if path not in wanted:
                projects.release(path, number)
        for path in wanted:
            if path not in done:
                projects.assign(path, number)
        projects.bound(device, number, resource["size"])
        claims.write(place, wanted)

    def extends(self, resource: Resource, now: State | None) -> bool:
        """A smaller limit comes when what has filled the larger one has gone, also on the way back: on some file systems it holds for
        root, who takes that away.
        """
        return now is not None and not 0 < int(str(now["limit"]).split()[0]) <= _kib(resource["size"])

    def extend(self, _resource: Resource, _robot: Robot) -> None:
        """The limit stays what it is."""

    def missed_in(self, resource: Resource) -> t.Sequence[str]:
        return resource["directories"]

    def remove(self, resource: Resource, _robot: Robot) -> None:
        from .quotas import claims, projects

        number, place = resource["project"], self.place(resource)
        done, device = claims.done(place), capabilities.quota_device(plan.STATE)[1]
        if done is None and not _marked(resource):
            # The project may be somebody else's.
            return
        if device and projects.limit(device, number):
            projects.bound(device, number, 0)
        for path in dict.fromkeys([*resource["directories"], *(done or ())]):
            projects.release(path, number)
        files.remove(place)


def _state(size: int, directories: t.Iterable[str]) -> State:
    """In KiB, as file systems count: whatever differs is seen, and shown."""
    return {"type": "quota", "limit": f"{_kib(size)} KiB", "directories": " ".join(sorted(directories))}


def _kib(size: int) -> int:
    return (size + 1023) // 1024


def _marked(resource: Resource) -> list[str]:
    from .quotas import projects

    return [path for path in resource["directories"] if projects.is_marked(path, resource["project"])]
