# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a key belongs that is written at a place which has none of that name."""

from __future__ import annotations

import collections.abc as c
import dataclasses
import functools
import typing as t

from ..declare.keys import Support
from ..declare.shape import Field, by_name, fields
from ..errors import listed
from ..model.brings.drivers import TaskConfig
from ..model.group import TaskGroup
from ..model.job import Job
from ..model.task import Task

# What a job has on the way to its programs. Who forgets one of these writes a key of the next.
LEVELS = (TaskGroup, Task, TaskConfig)
# A word that is a key of more kinds of objects than this is a common one, such as `port`: what it was meant for shows only near by.
KINDS = 2
# More places than this help nobody.
MOST = 3


class Above(t.NamedTuple):
    """An object that contains the one that is read: its path, the keys that it may have, and those that it has."""

    path: str
    known: t.Mapping[str, Field]
    written: c.Container[str]


class _Step(t.NamedTuple):
    """A key on the way from one object to one below it: its name, what it holds, and whether that is one of many."""

    name: str
    kind: type
    many: bool


# The way to an object that may have the key.
_Way = tuple[_Step, ...]


def remedy(key: str, known: t.Mapping[str, Field], above: t.Sequence[Above]) -> str:
    """What to say of a key that is none of those ``known`` here, but one of an object below, above or beside; empty where it is none."""
    below = _ways(_once(known), key)
    kinds = _kinds(key)
    if kinds > KINDS:
        return _belongs(_shallow([way for way in below if _is_near(way)]))
    one_lower = any(len(way) == 1 for way in below)
    for outer in () if one_lower else reversed(above):
        if _takes(outer.known, key) and key not in outer.written:
            return _belongs([outer.path]) if outer.path else "it is a key of the job"
    if below:
        # Another kind of object that is further away may have it too, but then means something else by it.
        kind = min(below, key=len)[-1].kind
        return _belongs(_shallow([way for way in below if way[-1].kind is kind]))
    around: dict[str, None] = {}
    for outer in reversed(above) if kinds == 1 else ():
        # What is one of many could be any of them.
        single = [_path(way) for way in _ways(_once(outer.known), key) if not any(step.many for step in way)]
        around |= dict.fromkeys(f"{outer.path}.{path}" if outer.path else f"{path} of the job" for path in single)
    return _belongs(list(around))


def _belongs(paths: t.Sequence[str]) -> str:
    return f"it belongs below {listed(paths)}" if 0 < len(paths) <= MOST else ""


def _shallow(ways: t.Sequence[_Way]) -> list[str]:
    """The paths of all of them, or where these are too many, of those that are nearest."""
    if len(ways) > MOST:
        least = min(map(len, ways))
        ways = [way for way in ways if len(way) == least]
    return [_path(way) for way in sorted(ways, key=len)]


def _path(way: _Way) -> str:
    return ".".join(f"{step.name}[N]" if step.many else step.name for step in way)


def _is_near(way: _Way) -> bool:
    """Whether it leads to one of the levels of a job, or to a part of one."""
    *before, last = way
    return all(step.kind in LEVELS for step in before) and (last.kind in LEVELS or not last.many)


@functools.cache
def _ways(known: tuple[Field, ...], key: str) -> tuple[_Way, ...]:
    """To all that is below these keys and may have this one. An init task has what a task has: it is named for what it alone has."""
    found = list(_all_ways(known, key))
    paths = set(map(_path, found))
    return tuple(way for way in found if "initTasks" not in _path(way) or _path(way).replace("initTasks", "tasks") not in paths)


def _all_ways(known: c.Iterable[Field], key: str) -> c.Iterator[_Way]:
    for field in known:
        if not dataclasses.is_dataclass(field.type) or field.key.support is not Support.WORKS:
            continue
        kind = t.cast(type, field.type)
        step = _Step(field.name, kind, field.many is not None)
        if _takes(by_name(kind), key):
            yield (step,)
        for way in _all_ways(fields(kind), key):
            yield (step, *way)


def _once(known: t.Mapping[str, Field]) -> tuple[Field, ...]:
    """Each key by its first name."""
    return tuple(dict.fromkeys(known.values()))


def _takes(known: t.Mapping[str, Field], key: str) -> bool:
    return key in known and known[key].key.support is not Support.REFUSED


def _kinds(key: str) -> int:
    """How many kinds of objects may have the key."""
    return len({_family(way[-1].kind) for way in _ways(fields(Job), key)}) + _takes(by_name(Job), key)


def _family(kind: type) -> type:
    return Task if issubclass(kind, Task) else kind
