# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a plan is one that the engine will carry out: all errors at once, each with its place in the plan.

The compiler makes no such plan. But the engine is root on the robot, and trusts no one else with a path.
"""

from __future__ import annotations

from .. import plan as wire
from ..resources import kinds, shape
from ..system import ports

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ..state.manifest import JobRequest

GROUP_KEYS: t.Mapping[str, type] = {
    "id": str,
    "name": str,
    "resources": list,
    "checks": list,
    "needs": list,
    "programs": list,
    "expects": list,
    "ports": list,
    "secrets": list,
}
GROUP_ID = r"[A-Za-z0-9._-]{1,200}"
# What the members of a group's lists, but for the resources, must have.
MEMBER_KEYS: t.Mapping[str, t.Mapping[str, type]] = {
    "checks": {"name": str, "argv": list, "files": dict},
    "needs": {"path": str, "what": str},
    "programs": {"path": str, "where": str, "search": str},
    "expects": {"what": str, "name": str, "where": str},
    "ports": {"address": str, "port": int, "where": str, "unit": str},
}


def errors(plan: t.Any, jobs: t.Iterable[JobRequest]) -> list[str]:
    """What is wrong with a plan, which may be anything; ``jobs``: the jobs of the request, which the plan must be about."""
    if not isinstance(plan, dict) or plan.get("format") != wire.FORMAT:
        return [f"plan.format: {_get(plan, 'format')!r} is unsupported; this engine reads format {wire.FORMAT}"]
    named = [(job.get("namespace"), job.get("name")) for job in plan.get("jobs", [])]
    if sorted(named) != sorted((job["namespace"], job["name"]) for job in jobs):
        return ["plan.jobs: differ from the jobs of the request"]
    found: list[str] = []
    places: dict[str, str] = {}
    groups: set[str] = set()
    for j, job in enumerate(plan["jobs"]):
        for g, group in enumerate(job.get("groups", [])):
            where = f"plan.jobs[{j}].groups[{g}]"
            problems = shape.typed(where, group, GROUP_KEYS) or _members(where, group)
            found += problems
            if problems:
                continue
            if not shape.matches(GROUP_ID, group["id"]):
                found.append(f"{where}.id: {group['id']!r} is not a group's id")
            if group["id"] in groups:
                found.append(f"{where}.id: {group['id']!r} is a duplicate")
            groups.add(group["id"])
            found += _group(where, group, places)
    return found


def _members(where: str, group: t.Mapping[str, t.Any]) -> list[str]:
    found: list[str] = []
    for name, keys in MEMBER_KEYS.items():
        for number, member in enumerate(group[name]):
            found += shape.typed(f"{where}.{name}[{number}]", member, keys)
    texts = [("secrets", group["secrets"])]
    texts += [(f"checks[{number}].argv", check["argv"]) for number, check in enumerate(group["checks"]) if not found]
    found += [
        f"{where}.expects[{number}].what: {expected['what']!r} is not one of {', '.join(wire.EXPECTED)}"
        for number, expected in enumerate(group["expects"])
        if not found and expected["what"] not in wire.EXPECTED
    ]
    for number, port in enumerate(group["ports"] if not found else ()):
        found += _port(f"{where}.ports[{number}]", port)
    mixed = [name for name, values in texts if not all(isinstance(value, str) for value in values)]
    return found + [f"{where}.{name}: must be a list of strings" for name in mixed]


def _port(where: str, port: t.Mapping[str, t.Any]) -> t.Iterator[str]:
    """What is wrong with the number of a port, and with what it may have besides."""
    number, (lowest, highest) = port["port"], wire.CHOSEN
    for name in ("addressed", "called"):
        if not isinstance(port.get(name, ""), str):
            yield f"{where}.{name}: must be a string"
    serves = port.get("serves", [])
    if not isinstance(serves, list) or not all(isinstance(name, str) for name in serves):
        yield f"{where}.serves: must be a list of strings"
    never = port.get("never", [])
    if not isinstance(never, list) or not all(isinstance(each, int) for each in never):
        yield f"{where}.never: must be a list of numbers"
    if not isinstance(port.get("terms", {}), dict):
        yield f"{where}.terms: must be an object"
    if port.get("protocol", "tcp") not in ports.PROTOCOLS:
        yield f"{where}.protocol: {port['protocol']!r} is not one of {', '.join(ports.PROTOCOLS)}"
    if not 0 < number < 65536:
        yield f"{where}.port: {number} is not one of 1 to 65535"
    elif port.get("chosen") and not (port.get("called") and lowest <= number <= highest):
        yield f"{where}.port: {number} cannot have been chosen: that is one of {lowest} to {highest}, and is called something"


def _group(where: str, group: t.Mapping[str, t.Any], places: dict[str, str]) -> list[str]:
    found, sound = [], []
    for r, resource in enumerate(group["resources"]):
        place = f"{where}.resources[{r}]"
        problems = kinds.errors(place, resource)
        found += problems
        if not problems:
            sound.append((place, resource))
            first = places.setdefault(kinds.place(resource), place)
            if first != place:
                found.append(f"{place}: {kinds.place(resource)} is already at {first}")
    paths = {kinds.place(resource) for _place, resource in sound if "content" in resource}
    for place, resource in sound:
        unknown = [path for path in kinds.of(resource).reads(resource) if path not in paths]
        found += [f"{place}.reads: no file {path} in this group" for path in unknown]
    for c, check in enumerate(group["checks"]):
        if not check["argv"] or not check["argv"][0].startswith("/"):
            found.append(f"{where}.checks[{c}].argv: the program must be an absolute path")
        found += [f"{where}.checks[{c}].files: {name!r} is not a file name" for name in check["files"] if not _is_file_name(name)]
    return found


def _is_file_name(name: str) -> bool:
    return bool(name) and "/" not in name and name not in (".", "..") and not shape.has_control(name)


def _get(value: t.Any, key: str) -> t.Any:
    return value.get(key) if isinstance(value, dict) else None
