# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which numbers the ports have that a plan leaves open, and the addresses of pods: what this robot has stays, what is taken is another.

The compiler cannot know either. Where its own choice differs, the robot says so, and the plan comes again.
"""

from __future__ import annotations

from ..plan import CHOSEN
from ..pods import addresses
from ..say.errors import Refusal
from ..state.manifest import groups
from ..system import ports
from .live import Live

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ..plan import Port
    from ..state.manifest import Manifest, ManifestGroup
    from ..state.robot import Robot

    # {group id: {what the port is called: its number}}; an address of a pod is called as its instance, r0
    Numbers = dict[str, dict[str, int]]


def others(robot: Robot, manifest: Manifest, contents: t.Mapping[str, bytes] | None = None) -> Numbers:
    """All numbers of the release, if any of them is not what the plan has: of ports, and of the addresses of pods. Raises `Refusal`
    where there is none for one of them. ``contents``: by their digests, those that the store need not have yet.
    """
    new = contents or {}
    found, differ = addresses.choose(robot, manifest, lambda digest: new[digest] if digest in new else robot.store.read(digest))
    numbers, others_differ = of_ports(robot, manifest)
    for group, called in numbers.items():
        found.setdefault(group, {}).update(called)
    return found if differ or others_differ else {}


def of_ports(robot: Robot, manifest: Manifest) -> tuple[Numbers, bool]:
    """The numbers of the release's ports, and whether any of them is not what the plan has."""
    members = groups(manifest)
    chosen = [(group, port) for _job, group in members for port in group["ports"] if port.get("chosen")]
    if not chosen:
        return {}, False
    mine = {(job["namespace"], job["name"]) for job in manifest["jobs"]}
    rest = [record for record in robot.ledger.read()[0] if (record["namespace"], record["name"]) not in mine]
    fixed = [port for _job, group in members for port in group["ports"] if not port.get("chosen")]
    choice = _Choice(
        Live(robot, manifest), fixed + [port for record in rest for held in record["groups"].values() for port in held["ports"]]
    )
    kept = {
        (group["id"], port["called"]): port["port"]
        for job, group in members
        for record in [robot.ledger.group(job, group["id"])]
        for port in (record["ports"] if record else ())
        if port.get("chosen")
    }
    # What the robot has already gives way to nothing that is new.
    for group, port in sorted(chosen, key=lambda each: (each[0]["id"], each[1]["called"]) not in kept):
        choice.take(group, port, kept.get((group["id"], port["called"])))
    return choice.found, any(choice.found[group["id"]][port["called"]] != port["port"] for group, port in chosen)


class _Choice:
    """``taken``: what is not to be had."""

    def __init__(self, live: Live, taken: list[Port]) -> None:
        self.live = live
        self.taken = taken
        self.found: Numbers = {}

    def take(self, group: ManifestGroup, port: Port, kept: int | None) -> None:
        """The number that the group has for this port, else the one that it wants, else the next."""
        lowest, highest = CHOSEN
        following = (lowest + (port["port"] - lowest + offset) % (highest - lowest + 1) for offset in range(highest - lowest + 1))
        for number in (*((kept,) if kept else ()), *following):
            candidate: Port = {**port, "port": number}
            taken = number in port.get("never", ()) or any(ports.meet(candidate, other) for other in self.taken)
            if not taken and not self.live.taken(group, [candidate]):
                self.found.setdefault(group["id"], {})[port["called"]] = number
                self.taken.append(candidate)
                return
        raise Refusal([f"{port['where']}: no port from {lowest} to {highest} is free"])
