# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Units of init tasks: in order, behind the proxy, before the tasks, once per group and robot, as root."""

from __future__ import annotations

import typing as t

from ....module_utils._engine import plan
from ...job.model.task import InitTask, Readiness
from .. import helpers, systemd
from ..content import environment
from ..drivers import raw_exec
from ..site import InitStep, Site
from . import tasks

# What an init task must not change: programs and configuration of ours and of SPIRE.
_READ_ONLY = "-/opt/k8s4r -/etc/k8s4r -/etc/spire -/var/lib/spire -/var/lib/k8s4r/engine -/var/lib/k8s4r/ledger"


def units(site: Site) -> list[tasks.Unit]:
    """The init units that run on this robot, each behind the ones before it."""
    required: list[str] = []
    built: list[tasks.Unit] = []
    for step in site.init_steps:
        built.append(_unit(site, step, required, [earlier.name for earlier in built]))
        # A daemon is only wanted: required, one crash of it would restart the proxy and every task.
        required += [] if step.spec.daemon else [step.unit]
    return built


def _unit(site: Site, step: InitStep, required: t.Sequence[str], earlier: t.Sequence[str]) -> tasks.Unit:
    spec = step.spec
    user, group = tasks.runs_as(site, spec, step.path, "root"), site.user if spec.user else "root"
    variables = environment.of_task(site, spec, step.path, step.id, None)
    # Whatever the driver: an init task prepares the robot, so it sees the robot as it is.
    common = tasks.common(site, spec, step.path, step.id, variables, raw_exec.directives, user, group, _retry(site, spec))
    sections = {
        "Unit": [
            ("Description", systemd.text(f"{site.job.name}/{site.group.name} init {spec.name}")),
            ("PartOf", site.target),
            *tasks.after(site, required, earlier),
            ("StartLimitIntervalSec", "0"),
        ],
        "Service": [*_start(site, spec, step.unit), *common, ("ReadOnlyPaths", _READ_ONLY)],
    }
    return tasks.Unit(
        step.unit,
        (
            *tasks.directories(step.id, user, site.user),
            tasks.environment_file(site, step.id, variables),
            plan.unit(step.unit, systemd.unit(sections), run="always" if spec.daemon else "init", reads=[tasks.env_path(site, step.id)]),
        ),
    )


def _retry(site: Site, spec: InitTask) -> tuple[str, ...]:
    policy = None if spec.daemon or spec.restart_policy is None else site.restart_policy(spec)
    return (*site.helper(helpers.RETRY), str(policy.attempts), f"{policy.delay:g}") if policy else ()


def _start(site: Site, spec: InitTask, name: str) -> systemd.Directives:
    if spec.daemon:
        notify = spec.readiness is not None and spec.readiness.notify
        return [
            ("Type", "notify" if notify else "exec"),
            *([("NotifyAccess", "all")] if notify else []),
            *_ready(site, spec.readiness),
            *tasks.restart(site, spec, name, None),
        ]
    return [
        ("Type", "oneshot"),
        ("RemainAfterExit", "yes"),
        ("TimeoutStartSec", systemd.seconds(spec.timeout) if spec.timeout else "infinity"),
    ]


def _ready(site: Site, readiness: Readiness | None) -> systemd.Directives:
    """ExecStartPost holds back whoever is ordered behind the daemon until it is ready."""
    if readiness is None:
        return []
    wait: tuple[str, ...] = ()
    if readiness.command is not None:
        wait = (*site.helper(helpers.AWAIT_COMMAND), readiness.command)
    elif readiness.file is not None:
        wait = (*site.helper(helpers.AWAIT_FILE), readiness.file)
    elif readiness.port is not None:
        wait = (*site.helper(helpers.AWAIT_PORT), str(readiness.port))
    lines = [("ExecStartPost", systemd.command(wait))] if wait else []
    return [*lines, ("TimeoutStartSec", systemd.seconds(readiness.timeout))]
