# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan for a robot that the controller supplies: each artifact is a digest in it, and nothing else of where it comes from."""

from __future__ import annotations

import json
import typing as t

from ...module_utils._engine.say.forms import written
from .beside import is_beside
from .store import ITS_OWN

if t.TYPE_CHECKING:
    from ...module_utils._engine.fetch.shapes import Source
    from ...module_utils._engine.plan import GroupPlan, Resource, RobotPlan

# Of a source, all that says how it is fetched.
_FETCHING: t.Mapping[str, t.Any] = {
    **dict.fromkeys(("url", "user", "password", "ref", "key", "region"), ""),
    "get": "sent",
    "headers": {},
    "depth": 0,
}
# In a file a text with one of them may be written in another way.
_ESCAPED = str.maketrans("", "", "\"'\\$`%")

# The SHA-256 of what an address has, empty where that is not known. It is also given the path in the job file.
Find = t.Callable[["Source", str], str]


def supplied(plan: RobotPlan, find: Find, everything: bool = True) -> RobotPlan:
    """The plan with what `find` has found. Secrets that were only for downloads are in it no more. ``everything``: what the robot would
    download, too.
    """
    jobs = [{**job, "groups": [_group(group, find, everything) for group in job["groups"]]} for job in plan["jobs"]]
    return t.cast("RobotPlan", {**plan, "jobs": jobs})


def _group(group: GroupPlan, find: Find, everything: bool) -> GroupPlan:
    gone: list[str] = []
    resources = [_resource(resource, find, gone, everything) for resource in group["resources"]]
    if not gone:
        return group
    asked, left = "\n".join(gone), "\n".join(_texts({**group, "resources": resources, "secrets": []})).translate(_ESCAPED)
    secrets = [secret for secret in group["secrets"] if secret not in asked or any(_longest_line(form) in left for form in written(secret))]
    return t.cast("GroupPlan", {**group, "resources": resources, "secrets": secrets})


def _texts(value: t.Any) -> t.Iterator[str]:
    """All texts in a part of a plan."""
    if isinstance(value, str):
        yield value
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _texts(each)


def _longest_line(form: str) -> str:
    return max(form.splitlines(), key=len, default="").translate(_ESCAPED)


def _resource(resource: Resource, find: Find, gone: list[str], everything: bool) -> Resource:
    if resource["kind"] == "image" and "source" in resource and (everything or is_beside(resource)):
        return t.cast("Resource", {**resource, "source": _source(t.cast("Source", resource["source"]), resource["where"], find, gone)})
    if resource["kind"] != "artifacts" or not everything:
        return resource
    sources: list[Source] = json.loads(resource["content"])
    found = [_source(source, f"{resource['where']}[{number}]", find, gone) for number, source in enumerate(sources)]
    return t.cast("Resource", {**resource, "content": json.dumps(found, sort_keys=True)})


def _source(source: Source, where: str, find: Find, gone: list[str]) -> Source:
    if source["get"] in ITS_OWN:
        return source
    gone += [source["url"], source["user"], source["password"], source["key"], *source["headers"].values()]
    sha256 = find(source, where)
    return t.cast("Source", {**source, **_FETCHING, "checksum": f"sha256:{sha256}" if sha256 else ""})
