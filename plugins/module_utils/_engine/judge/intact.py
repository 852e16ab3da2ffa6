# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether what the ledger names is as it should be, and does what it should."""

from __future__ import annotations

import os
import time

from ..resources import kinds
from ..system import accounts, ports, systemd
from ..system.observe import Observer
from . import silent

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ..plan import Port, Resource
    from ..state.ledger import GroupRecord
    from ..state.robot import Robot

    class _Compared(t.TypedDict):
        status: t.Literal["unchanged", "plan-needed"]

    class Compared(_Compared, total=False):
        notices: list[str]  # of unchanged, if there are any; Ansible shows them as warnings
        has: list[str]  # of unchanged, where it was asked for: the jobs that the robot has, with their namespaces


# A unit that systemd has started again this often, and within so many seconds, is not well, though it is up.
OFTEN_RESTARTED, RECENTLY = 3, 60
# What systemd is asked about a unit that should run.
PROPERTIES = "Id,ActiveState,SubState,NeedDaemonReload,NRestarts,ActiveEnterTimestampMonotonic"


def answer(robot: Robot, groups: t.Sequence[GroupRecord], keep_data: bool) -> Compared:
    """``unchanged``, with warnings about these groups; ``plan-needed`` if anything differs from the ledger."""
    observer = Observer(robot.digest)
    if not all(_has_no_rest(group, keep_data) and _is_intact(group, observer) and _has_needs(group) for group in groups):
        return {"status": "plan-needed"}
    owned = [each for group in groups for each in _owned(group)]
    held = ports.listeners([port for port, _users in owned])
    if ports.used_by_others(owned, held):
        return {"status": "plan-needed"}
    wanted = [port for port, _users in owned]
    units = [unit for group in groups for unit in kinds.that_run(group["resources"])]
    names, servers = [unit["name"] for unit in units], kinds.served_by(resource for group in groups for resource in group["resources"])
    deaf, unlogged = silent.inside(units), silent.without_fifos(units)
    if not deaf and not unlogged and not ports.without_listener(wanted, held) and systemd.calm([*names, *servers], OFTEN_RESTARTED):
        return {"status": "unchanged"}
    shown = systemd.show([*names, *servers], PROPERTIES)
    if not all(systemd.up(shown.get(name, {})) for name in servers):
        return {"status": "plan-needed"}
    if deaf or silent.units(wanted, shown, held) or silent.unlogged(units, shown):
        return {"status": "plan-needed"}
    if not all(_as_wanted(unit, shown.get(unit["name"], {})) for unit in units):
        return {"status": "plan-needed"}
    notices = [text for unit in units for text in _often_restarted(unit, shown[unit["name"]])]
    return {"status": "unchanged", "notices": notices} if notices else {"status": "unchanged"}


def _is_intact(group: GroupRecord, observer: Observer) -> bool:
    return all(kinds.actual(resource, observer) == kinds.expected(resource) for resource in group["resources"])


def _has_no_rest(group: GroupRecord, keep_data: bool) -> bool:
    """Whether nothing is left over but data that is to be kept, and nothing is leaving."""
    if any(resource.get("leaving") for resource in group["resources"]):
        return False
    left = group["leftovers"]
    data = [resource["path"] for resource in left if resource.get("data")]
    return not left or (keep_data and all(kinds.of(resource).outlives(resource, data) for resource in left))


def _has_needs(group: GroupRecord) -> bool:
    """Whether what the group needs of the robot is there."""
    return all(os.path.exists(need["path"]) for need in group["needs"])


def _owned(group: GroupRecord) -> list[tuple[Port, set[int]]]:
    """The group's ports, and who may listen on each: the users that it has made, and where tasks listen those that run tasks."""
    wanted = group["ports"]
    made = {accounts.user_id(name) for name in kinds.users(group["resources"])} if wanted else set()
    running = made
    if any(kinds.of(resource).of_anyone(resource) for resource in group["resources"]):
        wanted = [port for port in wanted if not port.get("called")]
    if any(port.get("called") for port in wanted):
        names = {name for resource in group["resources"] for name in resource.get("users", ())}
        running = made | {accounts.user_id(name) for name in names}
    return [(port, running if port.get("called") else made) for port in wanted]


def _often_restarted(unit: Resource, values: systemd.Properties) -> t.Iterator[str]:
    name, logs = unit["name"], kinds.of(unit).logs(unit)
    restarts = systemd.number(values, "NRestarts") or 0
    ago = time.monotonic() - systemd.seconds(values, "ActiveEnterTimestampMonotonic")
    if restarts >= OFTEN_RESTARTED and ago < RECENTLY:
        yield f"{name}: restarted {restarts} times, the last time {ago:.0f} s ago: " + (f"see {logs}" if logs else f"journalctl -u {name}")


def _as_wanted(unit: Resource, values: systemd.Properties) -> bool:
    """Whether a unit that should run does, with the definition that is on the disk."""
    return values.get("NeedDaemonReload") == "no" and (systemd.up(values) or kinds.of(unit).finished(unit))
