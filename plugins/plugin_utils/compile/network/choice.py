# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The numbers of the ports that the job file leaves open.

A number depends on nothing but the job, the group, the label, the instance and the robot, unless the robot has the port under another
one already (`held`): where its own was taken, the robot names one that is not, and keeps it.
"""

from __future__ import annotations

import hashlib
import json
import typing as t

from ....module_utils._engine import plan
from ...job.errors import Problem
from ...job.model.ports import Port
from ..site.placed import PlacedPort
from ..site.site import Site
from . import ports

# {group id: {what the port is called: its number}}
Held = t.Mapping[str, t.Mapping[str, int]]
# By a robot's name, which ports it has named.
Named = t.Callable[[str], Held]

# Who listens, by the number of the port.
_Taken = t.Dict[int, t.List[ports.Listener]]

_LOWEST, _HIGHEST = plan.CHOSEN
_SPAN = _HIGHEST - _LOWEST + 1


class _Wanted(t.NamedTuple):
    site: Site
    port: Port
    instance: int
    held: int | None


class Chosen(t.NamedTuple):
    """The ports of every instance, by group id, and errors."""

    ports: t.Mapping[str, t.Sequence[PlacedPort]]
    errors: t.Sequence[Problem]


def nothing_named(_robot: str) -> Held:
    """Of robots that have named no port, or that nobody has asked."""
    return {}


def choose(sites: t.Sequence[Site], held: Held) -> Chosen:
    """All ports of the groups on a robot. `held` are numbers that the robot has named, or has already."""
    placed = {
        site.id: [PlacedPort(port, i, port.static) for i in site.instances for port in site.declared_ports if port.static] for site in sites
    }
    taken = _by_number(each for site in sites for of in (ports.listeners, ports.of_tasks) for each in of(site))
    # A robot does not know of these: what it has named is not to be changed for them.
    served = _by_number(each for site in sites for each in ports.served_by(site))
    wanted = [
        _Wanted(site, port, instance, held.get(site.id, {}).get(PlacedPort(port, instance, 0).called))
        for site in sites
        for instance in site.instances
        for port in site.declared_ports
        if port.static is None
    ]
    errors = []
    # What the robot has already gives way to nothing that is new.
    for each in sorted(wanted, key=lambda each: each.held is None):
        number = _free(each, (taken,) if each.held else (taken, served))
        if number is None:
            errors.append(each.site.problem(each.port.path, f"no port from {_LOWEST} to {_HIGHEST} is left on {each.site.robot.called}"))
        else:
            placed[each.site.id].append(PlacedPort(each.port, each.instance, number))
            taken.setdefault(number, []).append(ports.of_task(each.site, each.port, number))
    # In an order that does not depend on what the robot has named.
    return Chosen({id: sorted(mine, key=lambda port: port.called) for id, mine in placed.items()}, errors)


def _by_number(listeners: t.Iterable[ports.Listener]) -> _Taken:
    found: _Taken = {}
    for each in listeners:
        found.setdefault(each.port, []).append(each)
    return found


def _free(wanted: _Wanted, taken: t.Iterable[_Taken]) -> int | None:
    """The first number from the port's own one on that is not taken."""
    first = wanted.held or _own(wanted)
    inside, mine = ports.in_the_pod(wanted.site, wanted.port), ports.of_task(wanted.site, wanted.port, first)

    def is_free(number: int) -> bool:
        at = mine._replace(port=number)
        return number not in inside and not any(at.meets(other) for others in taken for other in others.get(number, ()))

    return next(filter(is_free, (_LOWEST + (first - _LOWEST + offset) % _SPAN for offset in range(_SPAN))), None)


def _own(wanted: _Wanted) -> int:
    name = json.dumps(["port", *wanted.site.names, wanted.port.label, wanted.instance, wanted.site.robot.name])
    return _LOWEST + int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") % _SPAN
