# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``status``: what runs on this robot for whom."""

from __future__ import annotations

import os
import time

from ..resources import kinds
from ..state import lock
from ..system import ports, systemd


def answer(robot):
    """Per job and group the units that should run, with what they do, and the last good release."""
    records = robot.ledger.jobs()
    groups = [group for record in records for group in record["groups"].values()]
    shown = systemd.show([unit["name"] for group in groups for unit in kinds.that_run(group["resources"])])
    journal = robot.journal()
    return {
        "status": "ok",
        "jobs": [_job(record, shown) for record in records],
        "busy": lock.held(robot.runtime + "/lock"),
        "interrupted": journal["release"] if journal else None,
    }


def _job(record, shown):
    groups = {id: _group(group, shown) for id, group in record["groups"].items()}
    return {"namespace": record["namespace"], "name": record["name"], "whole": record["digest"] is not None, "groups": groups}


def _group(group, shown):
    return {
        "name": group["name"],
        "release": group["release"],
        "committed": _time(group["committed"]),
        "kept": [r["path"] for r in group["leftovers"] if r.get("data")],
        "ports": group["ports"],
        "silent": ports.without_listener(group["ports"]),
        "lacks": [need for need in group["needs"] if not os.path.exists(need["path"])],
        "units": {unit["name"]: _unit(unit, shown.get(unit["name"], {})) for unit in kinds.that_run(group["resources"])},
    }


def _unit(unit, values):
    return {
        "run": unit["run"],
        "state": values.get("ActiveState"),
        "sub": values.get("SubState"),
        "result": values.get("Result"),
        "restarts": systemd.number(values, "NRestarts"),
        "memory": systemd.number(values, "MemoryCurrent"),
        "pid": systemd.number(values, "MainPID") or None,
        "exit_status": systemd.number(values, "ExecMainStatus"),
        "since": _since(systemd.number(values, "ActiveEnterTimestampMonotonic")),
    }


def _since(microseconds):
    return _time(time.time() - (time.monotonic() - microseconds / 1e6)) if microseconds else None


def _time(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
