# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kinds of resources: each answers, in a file of its own, what kind.py asks."""

from __future__ import annotations

from .. import plan
from ..system import own
from . import shape
from .artifacts import Artifacts
from .directory import Directory
from .file import File
from .image import Image
from .link import Link
from .quota import Quota
from .unit import Unit
from .user import User

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ..plan import Resource
    from ..system.observe import Observer, State
    from .kind import Kind

KINDS: t.Mapping[str, Kind] = {
    "artifacts": Artifacts(),
    "directory": Directory(),
    "file": File(),
    "image": Image(),
    "link": Link(),
    "quota": Quota(),
    "unit": Unit(),
    "user": User(),
}


# By the directory of the configuration that they work from.
_SERVED = ((plan.LOGS, own.ROTATOR), (plan.CHECKS, own.CHECKS_TIMER), (plan.PODS, own.WALLS_TIMER))

# What people call the unit that a schedule starts, and that waits for the tasks of the group.
_WAITS = "run"


def of(resource: Resource) -> Kind:
    """The kind of a resource."""
    return KINDS[resource["kind"]]


def errors(where: str, resource: t.Any) -> list[str]:
    """What is wrong with a resource of a plan, which may be anything; ``where`` is its place in the plan."""
    problems = shape.typed(where, resource, {"kind": str})
    if problems:
        return problems
    kind = KINDS.get(resource["kind"])
    if kind is None:
        return [f"{where}.kind: {resource['kind']!r} is not known"]
    return shape.typed(where, resource, kind.KEYS) or list(kind.check(where, resource))


def place(resource: Resource) -> str:
    return of(resource).place(resource)


def expected(resource: Resource) -> State:
    return of(resource).expected(resource)


def actual(resource: Resource, observer: Observer) -> State | None:
    return of(resource).actual(resource, observer)


def hurry() -> None:
    """From now on, no kind waits for who gives no answer."""
    for kind in KINDS.values():
        kind.hurry()


def units(resources: t.Iterable[Resource]) -> list[str]:
    """The names of the units among resources."""
    return [name for name in (of(resource).unit(resource) for resource in resources) if name is not None]


def that_run(resources: t.Iterable[Resource]) -> list[Resource]:
    """The units among resources that shall run, or shall have run."""
    return [resource for resource in resources if of(resource).runs(resource)]


def with_a_name(resources: t.Iterable[Resource]) -> list[Resource]:
    """The units among resources that run, or that people have a name for: tasks of a job with a schedule are run by its timer."""
    return [resource for resource in resources if of(resource).runs(resource) or resource.get("called")]


def to_tell_of(resources: t.Iterable[Resource]) -> list[Resource]:
    """The units among resources of which people are told when they come, change or go. What a schedule starts to wait for its tasks changes
    only with these.
    """
    return [resource for resource in with_a_name(resources) if resource.get("called") != _WAITS]


def served_by(resources: t.Iterable[Resource]) -> list[str]:
    """The engine's own units without which resources do not do what they should: what writes logs, runs health checks, looks at the walls
    between pods, and answers for names where the robot has such a server.
    """
    places = [place(resource) for resource in resources]
    found = [unit for room, unit in _SERVED if any(each.startswith(room + "/") for each in places)]
    if any(each.startswith((plan.PODS + "/", plan.NAMES + "/")) for each in places) and own.text(own.DNS):
        found.append(own.DNS)
    return found


def users(resources: t.Iterable[Resource]) -> list[str]:
    """The users that resources make."""
    return [name for name in (of(resource).user(resource) for resource in resources) if name is not None]


def label(resource: Resource) -> str:
    """What people call it."""
    return f"{resource['kind']} {resource['name'] if 'name' in resource else resource['path']}"


def called(unit: Resource) -> str:
    """A unit by the name that people have for it and by its own, with which `journalctl -u` finds it."""
    return f"{unit['called']} ({unit['name']})" if unit.get("called") else unit["name"]
