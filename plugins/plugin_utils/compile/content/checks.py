# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The health checks of a task, as data: the engine's k8s4r-checks.service reads them and runs those that are due.

No unit takes them in, so a change of a check restarts nothing.
"""

from __future__ import annotations

import json
import re
import typing as t

from ....module_utils._engine import plan
from ...job import labels
from ...job.addresses import LOOPBACK
from ...job.declare.keys import Secret
from ...job.errors import Problem, child
from ...job.model.services import Check, Service
from ...job.model.task import InitTask, Task
from ...job.model.vocabulary import CheckProtocol, CheckType
from .. import paths
from ..site.placed import PlacedTask
from ..site.site import Site
from . import container
from .substitution import command_line, substituted

if t.TYPE_CHECKING:
    from ....module_utils._engine.plan import Resource


class Checks(t.NamedTuple):
    """The file with the checks of a task, or no resource; and what was found on the way."""

    resources: tuple[Resource, ...] = ()
    secrets: frozenset[str] = frozenset()
    errors: tuple[Problem, ...] = ()

    @property
    def path(self) -> str:
        """Of the file; empty for a task without checks."""
        return self.resources[0]["path"] if self.resources else ""


def compiled(site: Site, task: PlacedTask[Task], variables: t.Mapping[str, str], stop: t.Callable[[], t.Mapping[str, t.Any]]) -> Checks:
    """The checks of a task, whose variables these are. `stop` gives how it is asked to end, as the engine wants to know it."""
    found: list[dict[str, t.Any]] = []
    secrets: set[str] = set()
    errors: list[Problem] = []
    for number, service in enumerate(task.spec.services) if not isinstance(task.spec, InitTask) else ():
        for place, check in enumerate(service.checks):
            path = f"{task.path}.services[{number}].checks[{place}]"
            found.append({"name": check.name, "type": check.type.value, **_common(check), **_asked(site, task, service, check)})
            if check.command:
                argv, wrong = command_line(site, path, check.command, check.args, variables)
                found[-1]["argv"] = argv
                errors += wrong
            if check.headers:
                headers, hidden, wrong = _headers(site, check, path, variables)
                found[-1]["headers"] = headers
                secrets |= hidden
                errors += wrong
    if not found:
        return Checks()
    description: dict[str, t.Any] = {"unit": task.unit, "checks": found}
    pod = site.pod_of(task.instance)
    if pod:
        description["network"] = pod.network
    if any("argv" in check for check in found):
        description["run"] = as_the_task(task)
    if any("restart" in check for check in found):
        description["stop"] = stop()
    content = json.dumps(description, sort_keys=True, indent=1) + "\n"
    file = plan.file(f"{plan.CHECKS}/{task.id}", content, mode="0600", secret=bool(secrets) or (site.job.opaque and _has_headers(found)))
    return Checks((file,), frozenset(secrets), tuple(errors))


def _has_headers(found: t.Iterable[t.Mapping[str, t.Any]]) -> bool:
    return any("headers" in check for check in found)


def _common(check: Check) -> dict[str, t.Any]:
    found: dict[str, t.Any] = {
        "interval": float(check.interval),
        "timeout": float(check.timeout),
        "initial": check.initial_status.value,
        "good": max(1, check.success_before_passing),
        "bad": max(1, check.failures_before_critical),
    }
    if check.check_restart and check.check_restart.limit:
        found["restart"] = {"limit": check.check_restart.limit, "grace": float(check.check_restart.grace)}
    return found


def as_the_task(task: PlacedTask[Task]) -> dict[str, t.Any]:
    """How scripts run: as the task does, or in its container."""
    if task.spec.contained:
        return {"container": f"/run/{container.runtime(task)}"}
    return {
        "user": task.user,
        "group": task.group,
        "groups": list(task.spec.groups),
        "confined": task.spec.confined,
        "environment": task.environment_file,
        "directory": f"{task.directory}/local",
        "path": paths.SEARCH,
        **({"users": "own"} if task.spec.users_of_its_own else {}),
    }


def _asked(site: Site, task: PlacedTask[Task], service: Service, check: Check) -> dict[str, t.Any]:
    """Where a check connects to, and what it asks for."""
    if check.type is CheckType.SCRIPT:
        return {}
    mine = [port for port in site.ports if port.instance == task.instance]
    numbers = {port.spec.label: port.inside if site.are_pods else port.number for port in mine}
    place = labels.resolve(site.group.network, check.port_label or service.port_label, numbers)
    if place is None:
        # The job's rules have refused it.
        return {}
    # In a pod, there are no addresses of the robot.
    found: dict[str, t.Any] = {"host": LOOPBACK if site.are_pods else place.host, "port": place.port}
    if check.type is CheckType.HTTP:
        found |= {"method": check.method or "GET", "path": check.path or "/"}
        if check.expect:
            found["expect"] = check.expect
    elif check.type is CheckType.GRPC:
        found["service"] = check.path or ""
    if check.protocol is CheckProtocol.HTTPS:
        found["tls"] = {"verify": not check.tls_skip_verify, "name": check.server_name or ""}
    return found


def _headers(site: Site, check: Check, path: str, variables: t.Mapping[str, str]) -> tuple[dict[str, str], set[str], list[Problem]]:
    """The headers with their names replaced, those values that are secret, and what is wrong with them."""
    headers: dict[str, str] = {}
    errors: list[Problem] = []
    for name, text in check.headers.items():
        value, unresolved = substituted(site, text, child(f"{path}.headers", name), variables)
        errors += unresolved
        if re.search(r"[\x00-\x08\x0a-\x1f\x7f]", value):
            found = "an HTTP header cannot contain a newline or another control character"
            errors.append(site.problem(child(f"{path}.headers", name), found, "remove it"))
        headers[name] = value
    written = [value for value in (*headers.values(), *check.headers.values()) if isinstance(value, Secret)]
    return headers, {str(value) for value in written if value}, errors
