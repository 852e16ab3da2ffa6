# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""k8s4r-walls.service: has the walls and published ports of all pods as their files say, and mends what others have removed.

What brings a pod up calls `cover` as soon as the pod has a link, and before anything runs in it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import sys
import time

from .. import plan
from ..say import jsontext
from ..say.errors import CommandFailed
from . import files, names, rules
from .across import links, robots, routes
from .force import bridge, filters, kept, routing, table
from .kernel import forwarding
from .neighbours import Neighbours
from .six import bridge as six_bridge
from .six import family
from .six.family import FOUR, SIX

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from .files import Pod
    from .force.routing import Rule
    from .six.family import Family

    # Routes to pods of other robots and rules for routing, the same of IPv6, and the table of nftables.
    Whole = t.Tuple[t.List[routes.Route], t.List[Rule], t.List[routes.Route], t.List[Rule], str]


def ensure(directory: str = plan.PODS) -> list[str]:
    """Have all of it; a text for each thing that was not so. Raises `CommandFailed` for what this robot cannot do."""
    with _locked():
        return _ensure(directory)


def cover(id: str, directory: str = plan.PODS) -> None:
    """Have a new pod's link behind all of it. Where many come up together, as at boot, the first one's turn does it for all that have
    their links by then, and the others only see that.
    """
    with _locked():
        if not _covers(id, _described(directory)):
            _ensure(directory)
        forwarding.begin()


@contextlib.contextmanager
def _locked() -> t.Iterator[None]:
    os.makedirs(kept.STATE, mode=0o700, exist_ok=True)
    with open(kept.STATE + "/lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _described(directory: str) -> dict[str, Pod]:
    """On a robot that was booted without IPv6, pods have none."""
    pods = rules.sound(files.described(directory))
    return pods if family.is_there() else family.without_six(pods)


def _ensure(directory: str) -> list[str]:
    for _time in range(2):
        try:
            return _have_all(directory)
        except (CommandFailed, OSError):
            # A pod may have gone, and its link with it, while that was looked at; and it may be about to come again.
            time.sleep(0.3)
    return _have_all(directory)


def _have_all(directory: str) -> list[str]:
    pods = _described(directory)
    if not files.any_there(directory):
        return _remove()
    if not pods:
        # None can be read. What stands opens nothing to those that are still up.
        return []
    # What is switched on for pods with IPv6 goes with them, and then what is written no longer tells of it.
    ended = [] if family.of_six(pods) else forwarding.end_six()
    # Ways are closed before there is anything that they lead to.
    ways, ordinary, ways_six, six, ruleset = whole = _whole(pods)
    found = [*ended, *routing.ensure(ordinary, ways), *routing.ensure_six(six, ways_six), *table.ensure(ruleset)]
    if found:
        _forget(pods)
    found += [
        *bridge.addresses(pods),
        *filters.ensure(pods),
        *bridge.told(pods),
        *six_bridge.ensure(pods, kept.batch_six),
        *_neighbours(pods),
    ]
    kept.keep("whole", _digest(whole))
    return found


def _whole(pods: t.Mapping[str, Pod]) -> Whole:
    ways, across = _ways(pods, FOUR)
    ways_six, across_six = _ways(pods, SIX)
    ruleset = rules.ruleset(pods, links.uplinks(), across, across_six, _apart(forwarding.ours(bool(family.of_six(pods)))))
    return ways, rules.routing(pods, across), ways_six, rules.routing(pods, across_six, SIX), ruleset


def _apart(families: t.Sequence[str]) -> rules.Apart:
    return families, links.switches(), links.lent()


def _ways(pods: t.Mapping[str, Pod], of: Family) -> tuple[list[routes.Route], list[rules.Network]]:
    """The routes to pods of other robots, and the networks that they lead to; none where no pod of this robot has such an address."""
    own = rules.ranges(pods, of)
    ways = routes.known(robots.described(of), own, of)[0] if own else []
    return ways, [whole for whole, _address, _device in ways]


def _covers(id: str, pods: t.Mapping[str, Pod]) -> bool:
    """Whether all of it was there, with this pod's link as it is now, the last time that somebody looked."""
    if id not in pods or kept.read("whole") != _digest(_whole(pods)):
        return False
    return filters.covers(id, pods)


def _digest(whole: Whole) -> str:
    return hashlib.sha256(jsontext.dumps(whole).encode("utf-8")).hexdigest()


def _neighbours(pods: t.Mapping[str, Pod]) -> list[str]:
    """Pods do not wait for others: what they lack of these comes with a later look."""
    try:
        return Neighbours().ensure(bool(family.of_six(pods)))
    except CommandFailed as error:
        sys.stderr.write(f"{error}\n")
        return []


def _forget(pods: t.Mapping[str, Pod]) -> None:
    """A kernel that does not tell of its connections (CONFIG_NF_CT_NETLINK) keeps them until they end by themselves."""
    # Few pods' starts come here, and with sockets this costs each of them 7 ms.
    from . import connections

    try:
        connections.forget(pods)
    except OSError as error:
        sys.stderr.write(f"connections to ports that now lead elsewhere could not be closed, and stay open until they end: {error}\n")


def _remove() -> list[str]:
    """Nothing of it: there are no pods. Where others need what was switched on for pods, the robot is still no router for anybody else."""
    found = [*routing.ensure([], []), *routing.ensure_six([], []), *forwarding.end_six(), *Neighbours().remove()]
    families = forwarding.left()
    found += table.ensure(rules.remains(links.uplinks(), _apart(families))) if families else table.remove()
    kept.remove("filters", "whole")
    return found


def main() -> None:
    """Say what was put right: the first time all of it, and then what somebody has removed."""
    try:
        # Pods follow their robot into another network also where a wall cannot be put up.
        try:
            found = ensure()
        finally:
            names.refresh()
    except (CommandFailed, OSError) as error:
        raise SystemExit(str(error)) from None
    if found:
        sys.stderr.write(f"put right: {', '.join(found)}\n"[:2000])
