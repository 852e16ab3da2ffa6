# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restarts, as the job's restartPolicy says: systemd restarts the task, and a helper program counts and gives up."""

from __future__ import annotations

import typing as t

from ...job.model.policies import Restarts
from ...job.model.task import Task
from ...job.model.vocabulary import JobType
from .. import helpers, systemd
from ..site.placed import PlacedTask
from ..site.site import Site


def policy(site: Site, spec: Task) -> Restarts | None:
    """The task's policy, or else the group's."""
    written = spec.restart_policy or site.group.restart_policy
    return written.complete(site.job.type) if written else None


def calls(site: Site, task: PlacedTask[Task], over: helpers.Call | None = None) -> list[helpers.Call]:
    """The helpers that run when the task ends: one counts restarts, one notes that a batch task has run to its end. Each calls `over`
    if the task has ended for good.
    """
    found: list[helpers.Call] = []
    then = over.command(site.bin) if over else ()
    # systemd restarts no step: by then, what comes after it would have failed.
    limit = None if task.step else policy(site, task.spec)
    if limit:
        kind = JobType.SERVICE if task.sidecar else site.job.type
        arguments = (task.unit, str(limit.attempts), str(int(limit.interval)), limit.mode.value, kind.value, *then)
        found.append(helpers.Call(helpers.RESTART_POLICY, arguments))
    if task.ends and (task.done or over):
        found.append(helpers.Call(helpers.MARK_FINISHED, (task.unit, task.done or "", *then)))
    return found


def directives(site: Site, task: PlacedTask[Task], over: helpers.Call | None = None) -> systemd.Directives:
    """Without a policy there is no limit: no other robot can take over the task, so giving up would not help."""
    limit = policy(site, task.spec)
    restart = "on-failure" if task.ends else "always"
    lines = [("Restart", restart), ("RestartSec", systemd.seconds(limit.delay if limit else 5.0))]
    if task.ends:
        # systemd takes these for a good end. Who asks for the end gets no restart.
        lines.append(("RestartForceExitStatus", "SIGHUP SIGINT SIGPIPE SIGTERM"))
    if task.spec.timeout:
        lines.append(("RuntimeMaxSec", systemd.seconds(task.spec.timeout)))
    return [*lines, *at_end(site, calls(site, task, over))]


def at_end(site: Site, called: t.Iterable[helpers.Call]) -> systemd.Directives:
    return [("ExecStopPost", systemd.as_root(call.command(site.bin), systemd.HOW_IT_ENDED)) for call in called]
