# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which addresses the pods of a release have, by the rule of ports: what the robot has stays, and what is taken is another one. And
whether the robot's pods may have their network at all.
"""

from __future__ import annotations

from ..plan import BRIDGE, PODS
from ..say.errors import Refusal
from ..state.formats import Unread
from ..state.ledger import known
from ..state.manifest import groups
from .across import links
from .files import network, number, parsed, spelt
from .six import family
from .six.family import FOUR

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ..plan import Resource
    from ..state.manifest import Manifest
    from ..state.robot import Robot
    from .files import Pod

    # Of a digest, the content.
    Read = t.Callable[[str], bytes]


def pods(resources: t.Iterable[Resource], read: Read) -> dict[str, Pod]:
    """The pods among resources, by their ids."""
    found = {}
    for resource in resources:
        place = resource.get("path", "")
        pod = parsed(read(resource["digest"]).decode("utf-8")) if place.startswith(PODS + "/") and "digest" in resource else None
        if pod:
            found[place[len(PODS) + 1 :]] = pod
    return found


def choose(robot: Robot, manifest: Manifest, read: Read) -> tuple[dict[str, dict[str, int]], bool]:
    """The address of each pod of a release as a number, by its group and instance, and whether any is not the plan's; raises
    `Refusal` where there is none left.
    """
    wanted = {group["id"]: pods(group["resources"], read) for _job, group in groups(manifest)}
    if not any(wanted.values()):
        return {}, False
    has: dict[str, Pod] = {}
    for record in robot.ledger.read()[0]:
        for held in record["groups"].values():
            has.update(_readable(known(held), read))
    mine = [(group, id, pod) for group, found in wanted.items() for id, pod in found.items()]
    own = {id for _group, id, _pod in mine}
    taken = {number(pod["address"]) for id, pod in has.items() if id not in own}
    numbers: dict[str, dict[str, int]] = {}
    differ = False
    # What the robot has already gives way to nothing that is new.
    for group, id, pod in sorted(mine, key=lambda each: (each[1] not in has, each[1])):
        found = _free(pod, has.get(id), taken)
        taken.add(found)
        numbers.setdefault(group, {})[id.rpartition("-")[2]] = found
        differ = differ or found != number(pod["address"])
    return numbers, differ


def _readable(resources: t.Iterable[Resource], read: Read) -> dict[str, Pod]:
    """What is damaged of another job bars no pod of this one: its address counts again when its job has come by."""
    found = {}
    for resource in resources:
        try:
            found.update(pods([resource], read))
        except (OSError, Unread):
            continue
    return found


def _free(pod: Pod, has: Pod | None, taken: t.Container[int]) -> int:
    first, last = FOUR.bounds(network(pod["range"]))
    first, count = first + 2, last - first - 2
    asked = number(pod["address"])
    kept = [number(has["address"])] if has else []
    for each in (*kept, *(first + (asked - first + offset) % count for offset in range(count))):
        if first <= each < first + count and each not in taken:
            return each
    raise Refusal([f"k8s4r_pod_cidr: {pod['range']} has no address left for {pod['name']}; give this robot a larger one"])


def errors(manifest: Manifest, read: Read, routes: str = links.ROUTES, routes_six: str = links.ROUTES_SIX) -> list[str]:
    """One text for each network of pods that this robot reaches somewhere else, as it does the networks of Docker."""
    found = [pod for _job, group in groups(manifest) for pod in pods(group["resources"], read).values()]
    return [
        *_of_four(sorted({pod["range"] for pod in found}), routes),
        *_of_six(sorted({pod["range6"] for pod in found if "range6" in pod}), routes_six),
    ]


def _of_six(ranges: t.Sequence[str], routes: str) -> list[str]:
    found = []
    for wanted in ranges:
        whole = family.network(wanted)
        for device, base, length in links.routes_six(routes):
            shorter = min(length, whole[1])
            if device != BRIDGE and base >> 128 - shorter == whole[0] >> 128 - shorter:
                found.append(
                    f"k8s4r_pod_cidr6: {wanted} overlaps {family.spelt(base)}/{length}, which this robot reaches through {device}; "
                    "set k8s4r_pod_cidr6 of this robot to a network that nobody uses"
                )
    return list(dict.fromkeys(found))


def _of_four(ranges: t.Sequence[str], routes: str) -> list[str]:
    if not ranges:
        return []
    remedy = "set k8s4r_pod_cidr of this robot to a network that nobody uses, no other robot's pods either"
    found = []
    for wanted in ranges:
        first, last = FOUR.bounds(network(wanted))
        for device, low, high in links.routes(routes):
            if device != BRIDGE and low <= last and high >= first:
                length = 32 - (high - low).bit_length()
                found.append(
                    f"k8s4r_pod_cidr: {wanted} overlaps {spelt(low)}/{length}, which this robot reaches through {device}; {remedy}"
                )
    return list(dict.fromkeys(found))
