# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Job files, compiled for one robot and put there without a controller."""

from __future__ import annotations

import dataclasses
import json
import typing as t

from ansible_collections.k8s4r.robot.plugins.plugin_utils.compile.site.site import Rendering, as_written
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.declare.keys import Secret
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.model.job import Job
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.read import reader
from tests.integration.engine.harness import Machine, plans_for


def shell(name: str, script: str, **keys: t.Any) -> dict[str, t.Any]:
    """A task that is a shell script."""
    return {"name": name, "config": {"execConfig": {"command": "/bin/sh", "args": ["-c", script]}}, **keys}


def job(machine: Machine, name: str, *tasks: dict[str, t.Any], **keys: t.Any) -> dict[str, t.Any]:
    """The job plan of a job with one group, g."""
    return plans(machine, {"name": name, "taskGroups": [{"name": "g", "tasks": tasks}], **keys})[0]


def plans(
    machine: Machine,
    document: dict[str, t.Any],
    held: t.Any = None,
    secret: t.Mapping[str, str] | None = None,
    pods6: str = "",
    render: Rendering = as_written,
) -> list[dict[str, t.Any]]:
    """The job plans of a job file, for a fleet of this one robot, which has named these ports. ``secret``: variables of its first task.
    ``pods6``: the network of IPv6 of its pods.
    """
    jobs, _warnings = reader.load([reader.Source(f"{document['name']}.yml", json.dumps(document))])
    if secret:
        jobs = [_with(job, secret) for job in jobs]
    return plans_for(machine.name, jobs, held, pods6=pods6, render=render)


def _with(job: Job, secret: t.Mapping[str, str]) -> Job:
    group = job.task_groups[0]
    task = dataclasses.replace(group.tasks[0], env={**group.tasks[0].env, **{name: Secret(value) for name, value in secret.items()}})
    return dataclasses.replace(job, task_groups=(dataclasses.replace(group, tasks=(task, *group.tasks[1:])), *job.task_groups[1:]))


def without_groups(plan: dict[str, t.Any]) -> dict[str, t.Any]:
    """What removes a job."""
    return {**plan, "groups": []}
