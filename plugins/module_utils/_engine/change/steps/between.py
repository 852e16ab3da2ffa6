# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what should be and what is to the steps between: pure, and the same for a check, a switch and the way back.

Steps are decided from state alone, so a run that dies on the way leaves nothing that the next one does not see.
"""

from __future__ import annotations

import os

from ...plan import UNIT_DIRECTORY
from ...pods.units import has_pods
from ...resources import kinds
from ...system import systemd
from . import halts, starts
from .situation import is_leaving

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ...plan import Resource
    from ...system.observe import Digest, State
    from .situation import Situation
    from .step import Step


def between(
    situation: Situation,
    digest: Digest,
    keep_data: bool = False,
    halted: t.Container[str] = (),
    spared: t.Sequence[Resource] = (),
) -> list[Step]:
    """The steps of one group; the commit is always one of them.

    ``keep_data``: what programs wrote, and its owner, outlives the group. ``halted``: units that are down while ports change
    hands. ``spared``: resources that this switch must not remove.
    """
    wanted, old = situation.wanted, situation.old
    steps = halts.while_ports_change(situation, halted)
    # They are down before anything else.
    situation = situation.without(name for step in steps for name in step["units"])
    makes = [resource for resource in wanted if situation.now(resource) != kinds.expected(resource)]
    gone, kept = split(wanted, old, keep_data, spared)
    gone = [resource for resource in gone if situation.is_there(resource)]
    interruptions = halts.interruptions(situation, makes)
    steps += interruptions + _makes(situation, makes)
    stale = any(values.get("NeedDaemonReload") == "yes" for values in situation.units.values())
    if stale or any(_is_systemd(resource) for resource in makes):
        steps.append({"do": "reload", "text": "reload systemd's units"})
    steps += _stops(situation, gone)
    # The robot's ports would lead to pods that are gone, and what takes their place here could not be reached.
    pods_follow = has_pods(resource for resource in wanted if not is_leaving(resource))
    closed = [resource for resource in gone if wanted and not pods_follow and has_pods([resource])]
    steps += [_removal("close", situation, resource) for resource in closed]
    begun = starts.needed(situation, makes, digest, {name for step in interruptions for name in step["units"]})
    steps += begun + starts.refreshed(situation, makes, [name for step in begun for name in step["units"]])
    if steps:
        # What only stays for now is not waited for: it may be why it is to run on another robot.
        steps.append({"do": "healthy", "text": "", "units": [unit["name"] for unit in kinds.that_run(wanted) if not is_leaving(unit)]})
    steps.append({"do": "commit", "text": "", "leftovers": gone + kept})
    last = _data_and_around(gone)
    steps += [_removal("remove", situation, resource) for resource in gone if resource not in last and resource not in closed]
    if any(_is_systemd(resource) for resource in gone):
        steps.append({"do": "unload", "text": ""})
    steps += [_removal("discard", situation, resource) for resource in last]
    if gone:
        steps.append({"do": "pruned", "text": "", "leftovers": kept})
    return steps


def split(
    wanted: t.Iterable[Resource], old: t.Sequence[Resource], keep_data: bool, spared: t.Iterable[Resource] = ()
) -> tuple[list[Resource], list[Resource]]:
    """The old resources that are not wanted any more, in the order of their removal, and those that stay all the same."""
    places = {kinds.place(resource) for resource in wanted}
    stay = {kinds.place(resource) for resource in spared}
    unwanted = [resource for resource in reversed(old) if kinds.place(resource) not in places]
    data = [resource["path"] for resource in unwanted if resource.get("data")] if keep_data else []
    kept = [resource for resource in unwanted if kinds.place(resource) in stay or kinds.of(resource).outlives(resource, data)]
    return [resource for resource in unwanted if resource not in kept], kept


def emptied(wanted: t.Iterable[Resource], old: t.Iterable[Resource]) -> list[Resource]:
    """What is wanted, too, since programs must not start with what is there of the old resources that are not wanted any more."""
    places = {kinds.place(resource) for resource in wanted}
    unwanted = [resource for resource in old if kinds.place(resource) not in places]
    left = [kinds.of(resource).emptied(resource) for resource in unwanted if os.path.dirname(kinds.place(resource)) in places]
    return [resource for resource in left if resource is not None]


def _data_and_around(gone: t.Sequence[Resource]) -> list[Resource]:
    """What programs wrote, and what must not go before it: the directories around it, and its owner."""
    data = [resource["path"] for resource in gone if resource.get("data")]
    return [resource for resource in gone if kinds.of(resource).outlives(resource, data)]


def _removal(verb: t.Literal["close", "remove", "discard"], situation: Situation, resource: Resource) -> Step:
    return {"do": verb, "text": f"remove {kinds.label(resource)}", "resource": resource, "now": situation.now(resource)}


def _makes(situation: Situation, makes: t.Sequence[Resource]) -> list[Step]:
    """What is extended has its turn twice: after what it refers to and before what refers to it, and once more at the end."""
    extended = [resource for resource in makes if kinds.of(resource).extends(resource, situation.now(resource))]
    steps: list[Step] = []
    for resource in makes:
        if resource not in extended:
            steps.append(_make(situation, resource))
        elif len(makes) > len(extended):
            steps.append({"do": "extend", "text": "", "resource": resource})
    return steps + [_make(situation, resource) for resource in extended]


def _make(situation: Situation, resource: Resource) -> Step:
    now = situation.now(resource)
    return {"do": "make", "text": _text(resource, now), "resource": resource, "now": now}


def _text(resource: Resource, now: State | None) -> str:
    if now is None:
        return f"create {kinds.label(resource)}"
    expected = kinds.expected(resource)
    what = sorted(name for name in expected if now.get(name) != expected[name])
    return f"change {kinds.label(resource)} ({', '.join(what)})"


def _is_systemd(resource: Resource) -> bool:
    return kinds.place(resource).startswith(UNIT_DIRECTORY + "/")


def _stops(situation: Situation, gone: t.Sequence[Resource]) -> list[Step]:
    names = [name for name in (*kinds.units(gone), *no_longer_running(situation)) if systemd.loaded(situation.units, name)]
    return [{"do": "stop", "text": f"stop {', '.join(names)}", "units": names}] if names else []


def no_longer_running(situation: Situation) -> list[str]:
    """Units that ran and are wanted, but not to run by themselves any more: a service that a schedule starts from now on. What a schedule
    has started runs on: it did not run by itself before, either.
    """
    run, wanted = {unit["name"] for unit in kinds.that_run(situation.wanted)}, set(kinds.units(situation.wanted))
    ran = [unit["name"] for unit in kinds.that_run(situation.old) if kinds.of(unit).restarts(unit)]
    return [name for name in ran if name in wanted and name not in run and situation.may_run(name)]
