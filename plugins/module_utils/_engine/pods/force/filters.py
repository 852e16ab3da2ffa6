# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters at the bridge and at the robot's end of each pod's link, and what such an end is told, as they should be."""

from __future__ import annotations

import os

from ... import plan
from .. import files, guard
from ..across.links import LINKS
from ..link import INSIDE
from . import kept

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ..files import Pod


def ensure(pods: t.Mapping[str, Pod]) -> list[str]:
    """A link that is made again has another number, and no filter."""
    if not is_link(plan.BRIDGE):
        return []
    number = _index(plan.BRIDGE)
    wanted = {files.link(id): _wanted(id, pods) for id in pods if is_link(files.link(id))}
    wanted[plan.BRIDGE] = guard.at_bridge()
    state = {link: _state(link, number, lines) for link, lines in wanted.items()}
    before = kept.read("filters") or {}
    former = before.get("wanted") or {}
    # Of a link that is another one now, nobody asks tc: it costs a starting pod 15 ms.
    intact = _intact([link for link in wanted if former.get(link) == state[link]], before.get("listed") or {})
    new = [link for link in wanted if link not in intact or not _alone(link)]
    if new:
        kept.batch("tc", [line for link in new for line in wanted[link]])
        _equip({id: pod for id, pod in pods.items() if files.link(id) in new})
        _limit({id: pod for id, pod in pods.items() if files.link(id) in new and ("mbits" in pod or _is_limited(former, id))})
        listed = {link: _listed([link]) if link in new else intact[link] for link in wanted}
        kept.keep("filters", {"wanted": state, "listed": listed})
    return [f"filter of {link}" for link in new]


def _equip(pods: t.Mapping[str, Pod]) -> None:
    """Tell the robot's ends of their links how to be ports of the bridge."""
    # The bridge keeps the address that it was made with, also where its pods get another range. Each end has that, too, so that the
    # kernel takes for the robot's what a filter has moved past the bridge.
    gateway = _text(f"{LINKS}/{plan.BRIDGE}/address")
    lines = [f"link set {files.link(id)} address {gateway}" for id in pods]
    ports = {files.link(id): pod for id, pod in pods.items() if _port(files.link(id))}
    alone = "isolated on learning off flood off mcast_flood off"
    kept.batch("ip", [*lines, *(f"link set {link} type bridge_slave {alone}" for link in ports)])
    kept.batch("bridge", [f"fdb replace {guard.hardware(pod['address'])} dev {link} master static" for link, pod in ports.items()])


def covers(id: str, pods: t.Mapping[str, Pod]) -> bool:
    """Whether a pod's link as it is now had its filters the last time that somebody looked."""
    end = files.link(id)
    number = _index(plan.BRIDGE) if is_link(plan.BRIDGE) and is_link(end) else ""
    former = (kept.read("filters") or {}).get("wanted") or {}
    return bool(number) and former.get(end) == _state(end, number, _wanted(id, pods)) and _alone(end)


def is_link(name: str) -> bool:
    return os.path.isdir(f"{LINKS}/{name}")


def _limit(pods: t.Mapping[str, Pod]) -> None:
    """What these pods may send. What they may receive is limited at the robot's end of their links."""
    for id, pod in pods.items():
        options = ["-netns", os.path.basename(f"{plan.NETWORKS}{id}")]
        kept.batch("tc", [guard.bandwidth(INSIDE, pod.get("mbits", 0))], "inside", options)


def _is_limited(former: t.Mapping[str, t.Sequence[str]], id: str) -> bool:
    return any(" tbf " in line for line in former.get(files.link(id), ()))


def _wanted(id: str, pods: t.Mapping[str, Pod]) -> list[str]:
    filters = guard.at_pod(files.link(id), pods[id]["address"], pods[id].get("address6", ""))
    return [*filters, guard.bandwidth(files.link(id), pods[id].get("mbits", 0))]


def _state(link: str, number: str, lines: t.Sequence[str]) -> list[str]:
    """A filter leads to the bridge by its number. A port is told more than a link that is none yet."""
    return [number, _index(link), *_port(link), *lines]


def _index(link: str) -> str:
    return _text(f"{LINKS}/{link}/ifindex")


def _port(link: str) -> list[str]:
    return ["port"] if os.path.exists(f"{LINKS}/{link}/brport") else []


def _alone(link: str) -> bool:
    """Whether nothing goes from this port of a bridge to another; also what is none."""
    isolated = f"{LINKS}/{link}/brport/isolated"
    return not os.path.exists(isolated) or _text(isolated) == "1"


def _intact(links: t.Iterable[str], listed: t.Mapping[str, str]) -> dict[str, str]:
    """Of these links, those whose filters are as they were ``listed`` when they were made, each with that list."""
    known = {link: listed[link] for link in links if link in listed}
    # Mostly nothing has changed. tc does not say whose filters it lists, so it is asked once for all, and then for each.
    if not known or _listed(known) == "".join(known.values()):
        return known
    return {link: text for link, text in known.items() if _listed([link]) == text}


def _listed(links: t.Iterable[str]) -> str:
    """The filters of some links in tc's own words; nothing of those that have none."""
    return kept.batch("tc", [f"filter show dev {link} ingress" for link in links], "listing")


def _text(path: str) -> str:
    with open(path, encoding="ascii") as stream:
        return stream.read().strip()
