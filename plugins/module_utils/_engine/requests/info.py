# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``info``: the task groups of this robot as data, each with its tasks and what they use."""

from __future__ import annotations

from . import status

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ..plan import Port
    from ..state.robot import Robot

    # What docs and modules/taskgroup_info.py describe: a unit, or a group, with the members of its `Usage`.
    Data = t.Dict[str, t.Any]

    class Info(t.TypedDict):
        status: t.Literal["ok"]
        taskgroups: list[Data]
        unread: list[str]  # the engine's own files that cannot be read, each with the reason


def answer(robot: Robot, sample: float = status.SAMPLE, **only: str) -> Info:
    """All task groups of which more than data is left, or those whose `namespace`, `job` or `group` is ``only`` this one; an empty text
    is any.
    """
    found = status.answer(robot, sample)
    groups = [_group(job, id, group) for job in found["jobs"] for id, group in job["groups"].items() if group["units"]]
    wanted = [group for group in groups if all(text in ("", group[key]) for key, text in only.items())]
    return {"status": "ok", "taskgroups": wanted, "unread": found["unread"]}


def _group(job: status.JobStatus, id: str, group: status.GroupStatus) -> Data:
    # What runs the tasks of a schedule is none of them.
    addresses = {pod["instance"]: pod["address"] for pod in group["pods"]}
    running = [(name, unit) for name, unit in sorted(group["units"].items()) if unit["usage"] and unit["called"] != "run"]
    units = [_unit(name, unit, addresses, group["unidentified"]) for name, unit in running]
    is_whole = not (group["lacks"] or group["silent"] or group["gone"] or group["unidentified"])
    return {
        "namespace": job["namespace"],
        "job": job["name"],
        "group": group["name"].rpartition("/")[2],
        "id": id,
        "release": group["release"],
        "committed": group["committed"],
        "well": is_whole and all(unit["well"] for unit in group["units"].values()),
        "tasks": [unit for unit in units if unit["task"] is not None],
        "proxy": next((unit for unit in units if unit["task"] is None and unit["instance"] is None), None),
        "pods": [
            {**pod, "proxy": next((unit for unit in units if unit["task"] is None and unit["instance"] == pod["instance"]), None)}
            for pod in group["pods"]
        ],
        "ports": [_port(port, group["silent"]) for port in group["ports"]],
        **group["usage"],
    }


def _port(port: Port, silent: t.Sequence[Port]) -> Data:
    """Where the proxy or a task listens."""
    told = {"address": port["address"], "port": port["port"], "protocol": port.get("protocol", "tcp"), "called": port.get("called", "")}
    return {**told, "where": port["where"], "silent": port in silent}


def _unit(name: str, unit: status.UnitStatus, addresses: t.Mapping[int, str], unidentified: t.Container[str]) -> Data:
    """A task, an init task, which is of no instance, or a proxy, which is no task and has an instance only in a pod. A proxy that is
    ``unidentified`` is up, and lets nobody through.
    """
    instance, _space, task = unit["called"].partition(" ")
    if status.is_proxy(unit["called"]):
        instance, task = task, ""
    index = int(instance[1:]) if instance[1:].isdigit() else None
    return {
        "unit": name,
        "task": task or None,
        "instance": index,
        "address": None if index is None else addresses.get(index),
        **{key: value for key, value in unit.items() if key in _OF_A_UNIT},
        "well": unit["well"] and unit["called"] not in unidentified,
        **(unit["usage"] or {}),
    }


_OF_A_UNIT = ("done", "leaving", "state", "sub", "result", "exit_status", "restarts", "pid", "since", "ended", "how", "checks")
