# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What prevents a release: other groups of this robot, other programs, missing users.

Of ports that are chosen, choice.py knows whether a program has them.
"""

from __future__ import annotations

from ..resources import kinds
from ..state.ledger import known
from ..state.manifest import groups
from ..system import accounts, ports
from .live import Live

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ..plan import Port
    from ..state.ledger import JobRecord
    from ..state.manifest import Manifest, ManifestGroup
    from ..state.robot import Robot

# What to do where another job has a port.
_HAND_OVER = "; name another port, or have {}/{} give it up: deploy that job in the same run, or remove it"


def errors(robot: Robot, manifest: Manifest) -> list[str]:
    """Every conflict with what is on the robot."""
    mine = {(job["namespace"], job["name"]) for job in manifest["jobs"]}
    others = [record for record in robot.ledger.read()[0] if (record["namespace"], record["name"]) not in mine]
    wanted = [group for _job, group in groups(manifest)]
    return _places(wanted, others) + _all_ports(robot, manifest, wanted, others) + _owners(wanted)


def _places(wanted: t.Sequence[ManifestGroup], others: t.Sequence[JobRecord]) -> list[str]:
    """Two groups own one path, unit or user: the one that is removed first would take it from the other."""
    owned = {}
    for record in others:
        for held in record["groups"].values():
            for resource in known(held):
                owned[kinds.place(resource)] = held["name"]
    found = []
    for group in wanted:
        for resource in group["resources"]:
            owner = owned.get(kinds.place(resource))
            if owner:
                found.append(f"{group['name']}: {kinds.label(resource)} belongs to {owner} on this robot")
    return found


def _all_ports(robot: Robot, manifest: Manifest, wanted: t.Sequence[ManifestGroup], others: t.Sequence[JobRecord]) -> list[str]:
    found = ports.not_local([port for group in wanted for port in group["ports"]])
    declared = _ports(wanted, others)
    # A port of another job is mostly held by that job's proxy, too: said once.
    return found + [text for texts in declared.values() for text in texts] + _live_ports(robot, manifest, declared)


def _ports(wanted: t.Sequence[ManifestGroup], others: t.Sequence[JobRecord]) -> dict[str, list[str]]:
    """The wanted ports that other groups have: {place in the job file: texts}."""
    found: dict[str, list[str]] = {}
    taken: list[tuple[Port, str, str]] = []
    for record in others:
        remedy = _HAND_OVER.format(record["namespace"], record["name"])
        taken += [(port, held["name"], remedy) for held in record["groups"].values() for port in held["ports"]]
    for group in wanted:
        for port in group["ports"]:
            for other, owner, remedy in taken:
                if ports.meet(other, port):
                    text = f"{port['where']}: {ports.shown(port)} on {port['address']} belongs to {owner}{remedy}"
                    found.setdefault(port["where"], []).append(text)
            taken.append((port, group["name"], ""))
    return found


def _live_ports(robot: Robot, manifest: Manifest, declared: t.Container[str]) -> list[str]:
    """Errors for wanted ports in use, except by the group's own last release, by a group that goes, and by one that gives the port up."""
    live = Live(robot, manifest)
    found = [
        text
        for _job, group in groups(manifest)
        for text in live.taken(group, [port for port in group["ports"] if port["where"] not in declared and not port.get("chosen")])
    ]
    return list(dict.fromkeys(found))


def _owners(wanted: t.Sequence[ManifestGroup]) -> list[str]:
    """Files can only be given to users that the plan makes or the robot has."""
    made = {name for group in wanted for name in kinds.users(group["resources"])}
    found = {}
    for group in wanted:
        for resource in group["resources"]:
            owners = (("user", resource.get("owner"), accounts.user_exists), ("group", resource.get("group"), accounts.group_exists))
            for what, name, exists in owners:
                if name and name not in made and not exists(name):
                    text = f"{resource.get('where') or group['name']}: there is no {what} {name} on this robot; create it, or name another"
                    # What says where the job names it says more.
                    if resource.get("where") or (what, name) not in found:
                        found[what, name] = text
    return sorted(found.values())
