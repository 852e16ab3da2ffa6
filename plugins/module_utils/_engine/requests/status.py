# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``status``: what runs on this robot, and for which job."""

from __future__ import annotations

import os
import time

from ..change import survey
from ..change.health import report
from ..checks import states
from ..judge import damage, silent
from ..mesh import identity, node
from ..plan import NAMES, PODS, RUNTIME, STARTED_AT_BOOT
from ..pods import files
from ..resources import kinds
from ..state import formats, lock
from ..system import bus, endings, ports, systemd
from ..usage import oom
from ..usage.cgroups import Cgroups

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ..checks.states import Seen
    from ..plan import Need, Port, Resource
    from ..state.ledger import GroupRecord, JobRecord
    from ..state.robot import Robot
    from ..usage.cgroups import Usage

    class UnitStatus(t.TypedDict):
        """What systemd reported; null where it reported nothing."""

        called: str  # within its group; empty for the group's target
        well: bool  # it runs and no check of it is critical; or it has done what it should do once, or waits for the next time
        done: bool
        last: bool  # up without a program: it runs one when the others have ended
        leaving: bool  # the job does not want it here any more: it goes when another robot is ready
        run: str  # as in plan.unit; none for what a timer runs
        state: str | None
        sub: str | None
        result: str | None
        restarts: int | None
        usage: Usage | None  # of one with processes
        pid: int | None
        exit_status: int | None
        since: str | None  # when it started
        ended: str | None  # of one that is down or done: when, and how
        how: str | None
        seconds: int | None  # since then: since it ended, or else since it started
        checks: list[Seen]  # its health checks
        next: str | None  # of a schedule: when it runs next

    class PodStatus(t.TypedDict):
        instance: int
        name: str
        address: str
        address6: str | None  # of IPv6, where it has one

    class GroupStatus(t.TypedDict):
        name: str
        release: str
        committed: str
        kept: list[str]
        ports: list[Port]
        silent: list[Port]
        lacks: list[Need]
        gone: list[str]  # paths of what the release has put there and somebody has removed; units start as long as systemd remembers them
        unidentified: list[str]  # its proxies that have no valid identity and need one
        usage: Usage  # of all but the proxy
        units: dict[str, UnitStatus]
        pods: list[PodStatus]  # the instances, where each is one
        calls: list[str]  # what files of the group follow, which others have

    class JobStatus(t.TypedDict):
        namespace: str
        name: str
        whole: bool
        groups: dict[str, GroupStatus]

    class Status(t.TypedDict):
        status: t.Literal["ok"]
        jobs: list[JobStatus]
        busy: str | None  # who is changing this robot, as a sentence
        interrupted: str | None  # the release whose switch was interrupted
        idle: list[str]  # the engine's own units that are down, or fail, although a group needs them, each with since when and why
        unclaimed: list[str]  # the names of units that are ours by their names, and of no job that is known
        unread: list[str]  # the engine's own files that cannot be read, each with the reason


# Seconds, within which it is seen how busy the units keep the processor.
SAMPLE = 0.5
# The units of SPIRE's roles.
IDENTITY = ("spire-agent.service", "spire-server.service")


def answer(robot: Robot, sample: float = SAMPLE) -> Status:
    """Per job and group the units that should run, with what they do and use, and the last good release."""
    found, settled = _look(robot, sample)
    # A switch may have ended meanwhile. Its new units were then on the disk before the ledger knew them, or its old units already gone.
    return found if settled else _look(robot, sample)[0]


def _look(robot: Robot, sample: float) -> tuple[Status, bool]:
    """What the robot says, and whether no job has changed while it was looked at."""
    records, problems = robot.ledger.read()
    unread = [text for error in problems for text in error.errors]
    groups = [group for record in records for group in record["groups"].values()]
    now = _Now(groups, sample, robot.runtime)
    try:
        journal = robot.journal()
    except formats.Unread as error:
        journal = None
        unread += error.errors
    busy = lock.held(robot.runtime + "/lock")
    found: Status = {
        "status": "ok",
        "jobs": [_job(record, now) for record in records],
        "busy": busy,
        # Whoever is at work has not been interrupted.
        "interrupted": journal["release"] if journal and not busy else None,
        "idle": survey.idle(groups) + survey.failing(groups) + _without_identities(),
        # Those of a switch that is under way, or was interrupted, are in no ledger yet; nor are those of one that cannot be read.
        "unclaimed": [] if busy or journal or unread else damage.units_of_no_job(records),
        "unread": unread,
    }
    return found, robot.ledger.read()[0] == records


def _without_identities() -> list[str]:
    """What gives out identities here and is down, though it is to be started at boot: all is well until one has run out."""
    units = [unit for unit in IDENTITY if os.path.lexists(f"{STARTED_AT_BOOT}/{unit}")]
    return [f"{text}; k8s4r.robot.provision starts it" for text in survey.down(units)] + node.expiring()


# What people call it, and nothing else of a group; that of a pod has its instance behind it.
PROXY = "proxy"


def is_proxy(called: str) -> bool:
    return called.partition(" ")[0] == PROXY


class _Now:
    """What systemd and the kernel report of the units of groups."""

    def __init__(self, groups: t.Sequence[GroupRecord], sample: float, runtime: str) -> None:
        self.runtime = runtime
        named = [unit for group in groups for unit in kinds.with_a_name(group["resources"])]
        units = [unit["name"] for unit in named]
        self._containers = {unit["name"]: unit.get("container", "") for unit in named}
        shown = systemd.show(units, f"{systemd.PROPERTIES},ControlGroup")
        # A restart policy may have set a timer for a unit that it has stopped.
        timers = systemd.show([timer(unit) for unit in units if not systemd.up(shown.get(unit, {}))], systemd.TIMER_PROPERTIES)
        self._kills = oom.kills() if units else {}
        self.shown = {**oom.told(shown, self._kills), **timers}
        self.next = _next([unit for unit in units if unit.endswith(".timer")])
        self._cgroups = Cgroups()
        paths = [path for path in map(self._path, units) if path]
        self._cgroups.sample([*paths, *{os.path.dirname(path) for path in paths}], sample)

    def usage(self, unit: str) -> Usage:
        return self._cgroups.usage(self._path(unit), len(self._kills.get(unit, ())))

    def usage_of_all(self, group: GroupRecord) -> Usage:
        """What a group uses, without its proxy: its slice is the control group above those of the tasks. A schedule has none."""
        units = [unit["name"] for unit in kinds.with_a_name(group["resources"]) if kinds.of(unit).logs(unit)]
        slices = [os.path.dirname(path) for path in map(self._path, units) if path]
        return self._cgroups.usage(slices[0] if slices else "", sum(len(self._kills.get(unit, ())) for unit in units))

    def _path(self, unit: str) -> str:
        """What runs in a container counts, and not what looks after it."""
        path, container = self.shown.get(unit, {}).get("ControlGroup", ""), self._containers.get(unit)
        return f"{os.path.dirname(path)}/{container}" if path and container else path


def _next(timers: t.Sequence[str]) -> dict[str, str]:
    """When timers of schedules elapse next. systemctl would tell it in the robot's own time zone, by a name that may be several zones'."""
    try:
        values = bus.get([(timer, "Timer", "NextElapseUSecRealtime") for timer in timers]) if timers else []
    except (OSError, ValueError, LookupError):
        return {}
    # One that is not set has 0, or the largest number that there is.
    return {timer: endings.utc(value / 1e6) for timer, value in zip(timers, values) if isinstance(value, int) and 0 < value < 2**63}


def _job(record: JobRecord, now: _Now) -> JobStatus:
    groups = {id: _group(id, group, now) for id, group in record["groups"].items()}
    return {"namespace": record["namespace"], "name": record["name"], "whole": record["state"] == "whole", "groups": groups}


def _group(id: str, group: GroupRecord, now: _Now) -> GroupStatus:
    return {
        "name": group["name"],
        "release": group["release"],
        "committed": endings.utc(group["committed"]),
        "kept": [r["path"] for r in group["leftovers"] if r.get("data")],
        "ports": group["ports"],
        "silent": ports.without_listener(group["ports"]),
        "lacks": [need for need in group["needs"] if not os.path.exists(need["path"])],
        "gone": _gone(group, now),
        "unidentified": identity.missing(id, group),
        "usage": now.usage_of_all(group),
        "units": {unit["name"]: _unit(unit, now) for unit in kinds.with_a_name(group["resources"])},
        "pods": _pods(group),
        "calls": sorted(_called(group)),
    }


def _gone(group: GroupRecord, now: _Now) -> list[str]:
    """What is in memory alone comes back when it is needed, but for what a running program writes its log into."""
    paths = [kinds.of(resource).on_disk(resource) for resource in group["resources"]]
    lost = {path for path in paths if path and not path.startswith(RUNTIME + "/") and not os.path.lexists(path)}
    return sorted(lost.union(silent.unlogged(group["resources"], now.shown).values()))


def _called(group: GroupRecord) -> set[str]:
    """Services of others that the group looks up, also once and for its variables. What the robot's DNS server says of one is no call, and
    neither is how the group's own proxy finds the instances behind its own service.
    """
    told = (resource for resource in group["resources"] if not resource.get("path", "").startswith(NAMES + "/"))
    found = {name for resource in told for name in (*resource.get("follows", "").split(), *resource.get("saw", ()))}
    return {name for name in found if name.rpartition("/")[0] != group["name"]}


def _pods(group: GroupRecord) -> list[PodStatus]:
    paths = [resource.get("path", "") for resource in group["resources"]]
    ids = [path[len(PODS) + 1 :] for path in paths if path.startswith(PODS + "/")]
    known = [(int(id.rpartition("-r")[2]), files.one(id)) for id in ids]
    return [
        {"instance": number, "name": pod["name"], "address": pod["address"], "address6": pod.get("address6")}
        for number, pod in known
        if pod
    ]


def timer(unit: str) -> str:
    """The timer that a restart policy may have set for a unit."""
    return unit.rpartition(".")[0] + ".timer"


def _how(unit: Resource, now: _Now) -> str:
    set_ = now.shown.get(timer(unit["name"]), {})
    due = systemd.span(set_.get("NextElapseUSecMonotonic", ""))
    again = f"; its timer will start it again{f' at {endings.wall(due)}' if due else ''}" if systemd.up(set_) else ""
    return report.ended(unit, now.shown.get(unit["name"], {}), now.runtime) + again


def _unit(unit: Resource, now: _Now) -> UnitStatus:
    kind, values = kinds.of(unit), now.shown.get(unit["name"], {})
    done, up = kind.finished(unit), systemd.up(values)
    started = systemd.seconds(values, "ActiveEnterTimestampMonotonic") or None
    ended = None if up else _finished_at(unit) if done else endings.when(values)
    moment = started if up else ended
    scheduled = unit["run"] == "none"
    # It is down between its runs.
    well = (scheduled and values.get("ActiveState") == "inactive") or up
    checks = states.seen(kind.checks(unit), systemd.number(values, "ActiveEnterTimestampMonotonic") or 0) if up else []
    return {
        "called": unit.get("called", ""),
        "well": done or (well and all(check["status"] != states.CRITICAL for check in checks)),
        "done": done,
        "last": up and endings.is_last(values),
        "leaving": unit.get("leaving", False),
        "run": unit["run"],
        "state": values.get("ActiveState"),
        "sub": values.get("SubState"),
        "result": values.get("Result"),
        "restarts": systemd.number(values, "NRestarts"),
        "usage": now.usage(unit["name"]) if unit["name"].endswith(".service") else None,
        "pid": systemd.number(values, "MainPID") or None,
        "exit_status": systemd.number(values, "ExecMainStatus"),
        "since": endings.wall(started) if started else None,
        "ended": endings.wall(ended) if ended else None,
        "how": None if well or done else _how(unit, now),
        "checks": checks,
        "next": now.next.get(unit["name"]),
        "seconds": None if moment is None else max(0, int(time.monotonic() - moment)),
    }


def _finished_at(unit: Resource) -> float | None:
    """When a unit that runs once did so: of the monotonic clock, and below 0 where that was before this boot."""
    try:
        return time.monotonic() - (time.time() - os.stat(unit["done"] or "").st_mtime)
    except FileNotFoundError:
        return None
