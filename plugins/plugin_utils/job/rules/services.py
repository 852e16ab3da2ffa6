# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What must be true between the keys of services and their health checks."""

from __future__ import annotations

import collections.abc as c

from .. import labels
from ..errors import Finding, Mistake, did_you_mean, listed, quoted
from ..model.group import TaskGroup
from ..model.job import Job
from ..model.policies import Update
from ..model.services import Check, Service
from ..model.task import Task
from ..model.vocabulary import CheckProtocol, CheckType, Hook, JobType, Provider
from . import ports

# What only some types of checks take in.
_SCRIPT, _TLS, _HTTP = ("command", "args"), ("protocol", "tls_skip_verify", "server_name"), ("method", "headers", "expect")
_ONLY_FOR = {
    CheckType.TCP: ("path", *_SCRIPT, *_TLS, *_HTTP),
    CheckType.HTTP: _SCRIPT,
    CheckType.GRPC: (*_SCRIPT, *_HTTP),
    CheckType.SCRIPT: ("path", "port_label", *_TLS, *_HTTP),
}
_KEYS = {"port_label": "portLabel", "tls_skip_verify": "tlsSkipVerify", "server_name": "serverName"}


def errors(job: Job, group: TaskGroup, path: str) -> c.Iterator[Finding]:
    """What is wrong with the checks of a group at `path`, whose network is known."""
    there = ports.declared(group, path)
    for key, members in (("initTasks", group.init_tasks), ("tasks", group.tasks)):
        for number, task in enumerate(members or ()):
            if task is not None:
                yield from _of_task(group, task, f"{path}.{key}[{number}]", key == "initTasks", there)
                if job.type is JobType.BATCH and not task.lifecycle:
                    yield from _restarts(task, f"{path}.{key}[{number}]")


def of_update(update: Update, path: str) -> c.Iterator[Finding]:
    if update.min_healthy_time is not None and update.healthy_deadline is not None and update.min_healthy_time >= update.healthy_deadline:
        why = f"nothing could be healthy for minHealthyTime ({update.min_healthy_time:g}s) within this time"
        yield (
            f"{path}.healthyDeadline",
            Mistake(why, "write a longer one, or a shorter minHealthyTime", value=f"{update.healthy_deadline:g}s"),
        )


def warnings(group: TaskGroup, task: Task, path: str) -> c.Iterator[Finding]:
    """What is read of a task's services, but does less than it seems to."""
    labelled = [port.label for port in group.network.ports if port] if group.network else []
    for number, service in enumerate(task.services or ()):
        looked_up = service and not service.checks and service.provider is not Provider.CONSUL
        if looked_up and service.port_label and service.port_label not in labelled:
            why = "has no effect: templates look up services whose portLabel is a label of network.ports"
            yield f"{path}.services[{number}]", Mistake(why)


def _of_task(group: TaskGroup, task: Task, path: str, init: bool, ports_at: c.Sequence[str]) -> c.Iterator[Finding]:
    first: dict[str, str] = {}
    for number, service in enumerate(task.services or ()):
        if service is None or not service.checks:
            continue
        here = f"{path}.services[{number}]"
        if init:
            remedy = "remove them; readiness says when a daemon is ready"
            yield f"{here}.checks", Mistake("an init task prepares the robot, and is not checked", remedy)
            continue
        if task.lifecycle and (task.lifecycle.hook is Hook.POSTSTOP or not task.lifecycle.sidecar):
            remedy = "remove them, or make it a sidecar"
            yield f"{here}.checks", Mistake("a hook runs to its end, and its exit status says whether it went well", remedy)
            continue
        yield from _labels(group, service, here, ports_at)
        for place, check in enumerate(service.checks):
            if check is not None:
                yield from _check(check, f"{here}.checks[{place}]")
                if check.name is not None:
                    other = first.setdefault(check.name, f"{here}.checks[{place}]")
                    if other != f"{here}.checks[{place}]":
                        yield (
                            f"{here}.checks[{place}].name",
                            Mistake(f"already the name of {other}", "rename one of them", value=quoted(check.name)),
                        )


def _restarts(task: Task, path: str) -> c.Iterator[Finding]:
    for number, service in enumerate(task.services or ()):
        for place, check in enumerate(service.checks if service else ()):
            if check and check.check_restart and check.check_restart.limit:
                why = "a task of a batch job that is asked to end may take that for the end of its work"
                yield f"{path}.services[{number}].checks[{place}].checkRestart", Mistake(why, "remove it")


def _check(check: Check, path: str) -> c.Iterator[Finding]:
    if check.type is None:
        return
    for attribute in _ONLY_FOR[check.type]:
        if getattr(check, attribute):
            types = listed([kind.value for kind in CheckType if attribute not in _ONLY_FOR[kind]])
            remedy = f"remove it, or change the type, which is {check.type.value}"
            yield f"{path}.{_KEYS.get(attribute, attribute)}", Mistake(f"is for checks of type {types}", remedy)
    if check.type is CheckType.SCRIPT and not check.command:
        yield path, Mistake("has no command", "a script check needs one")
    if check.protocol is not CheckProtocol.HTTPS and check.type in (CheckType.HTTP, CheckType.GRPC):
        for attribute in ("tls_skip_verify", "server_name"):
            if getattr(check, attribute):
                yield f"{path}.{_KEYS[attribute]}", Mistake("is for TLS", "write protocol: https, or remove it")
    if check.type is CheckType.HTTP and check.path and not check.path.startswith("/"):
        yield f"{path}.path", Mistake("does not begin with /", "write the path alone", value=quoted(check.path))


def _labels(group: TaskGroup, service: Service, path: str, ports_at: c.Sequence[str]) -> c.Iterator[Finding]:
    """A port that is checked is one that somebody declares, at one of `ports_at`."""
    used: dict[str, str | None] = {}
    for number, check in enumerate(service.checks):
        if check is not None and check.type not in (None, CheckType.SCRIPT):
            here = f"{path}.checks[{number}].portLabel" if check.port_label else f"{path}.portLabel"
            used[here] = check.port_label or service.port_label
    known = labels.labels(group.network)
    allowed = f"write {listed([*known, 'the number of a port'])}, or add it to network.ports"
    for place, label in used.items():
        if label and labels.resolve(group.network, label) is None:
            meant = did_you_mean(label, known)
            why = "no port of the group has this label"
            yield place, Mistake(why, allowed, value=quoted(label), value_remedy=meant, rests_on=ports_at)
