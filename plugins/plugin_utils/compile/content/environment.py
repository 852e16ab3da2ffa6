# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The environment of a task: what it can rely on finding there (docs/environment.md)."""

from __future__ import annotations

import re
import typing as t

from ...envoy.address import Address
from ...job.addresses import LOOPBACK, WILDCARDS, plain
from ...job.declare.keys import Secret
from ...job.errors import Problem, child
from ...job.model.network import Upstream
from ...job.model.ports import Port
from ...job.model.task import Task
from ...job.model.vocabulary import Driver, Protocol
from ...job.substitution import has_names, names_in
from ...job.variables import is_database, label, variable, variable_too_long
from .. import names, systemd
from ..site.placed import PlacedTask
from ..site.site import Site
from . import templates
from .substitution import substituted

# The variables that glibc drops when a program gains privileges (its unsecvars.h). Programs that root starts on the task's
# behalf must not see them.
LOADER = re.compile(
    r"LD_.*|MALLOC_.*|GCONV_PATH|GETCONF_DIR|GLIBC_TUNABLES|HOSTALIASES|LOCALDOMAIN|LOCPATH|NIS_PATH|NLSPATH|RES_OPTIONS|RESOLV_HOST_CONF"
    r"|TMPDIR|TZDIR"
)


class Environment(t.NamedTuple):
    """Variables by name, and the errors found in them. `account` are those that any of the others overrides.
    `templates` are the task's, rendered: variables of theirs are among the others.
    """

    variables: t.Mapping[str, str]
    errors: tuple[Problem, ...]
    account: tuple[tuple[str, str], ...] = ()
    templates: tuple[templates.Rendered, ...] = ()

    @property
    def all(self) -> dict[str, str]:
        """What the task gets."""
        return {**dict(self.account), **self.variables}

    @property
    def secrets(self) -> frozenset[str]:
        """The secret values, as the task gets them."""
        return frozenset(str(value) for value in self.variables.values() if isinstance(value, Secret) and value)

    @property
    def hidden(self) -> frozenset[str]:
        """The names of variables whose values are secret."""
        return frozenset(name for name, value in self.variables.items() if isinstance(value, Secret))

    @property
    def loader(self) -> dict[str, str]:
        """Those that the dynamic loader and similar code obey. They must not be set before root's privileges are dropped."""
        return {name: value for name, value in self.variables.items() if LOADER.fullmatch(name)}


def of_group(site: Site) -> Environment:
    """What every task of a group gets, under Nomad's names. These names may also be used in `meta` and `upstream`."""
    meta: dict[str, str] = {}
    errors: list[Problem] = []
    for owner, values in (("meta", site.job.meta), (f"{site.path}.meta", site.group.meta)):
        for name, value in values.items():
            path = child(owner, name)
            meta[f"NOMAD_META_{variable(name)}"], unresolved = substituted(site, value, path, site.variables)
            errors += (*unresolved, *_nested(site, value, path))
    return Environment({**site.variables, **meta}, tuple(errors))


def _nested(site: Site, value: str, path: str) -> t.Iterator[Problem]:
    """Errors for the keys of `meta` that a value of `meta` names and that have names themselves. Nothing says in which order they would be
    replaced, and two may name each other.
    """
    written = {**site.job.meta, **site.group.meta}
    for name in names_in(value):
        key = name.removeprefix("meta.")
        if key != name and key not in site.robot.labels and has_names(written.get(key, "")):
            # What looks like a name may be a part of a password.
            shown = "a name in this secret" if isinstance(value, Secret) else f"${{{name}}}"
            remedy = "write its value here, or give it a value without names"
            yield site.problem_here(path, f"{shown} has names in its own value, which cannot be replaced here", remedy)


def of_task(site: Site, task: PlacedTask[Task], group: Environment) -> Environment:
    """The injected variables, the task's own, which win, and those of its templates, which win over both. `group` is what `of_group`
    returned; its errors are not repeated.
    """
    # An init task prepares the robot, on which a pod's proxy is not to be reached.
    upstreams = {} if site.are_pods and task.instance is None else _upstreams(site)
    injected = {**_ports(site, task.instance), **upstreams, **group.variables, **_of_instance(site, task)}
    own: dict[str, str] = {}
    errors: list[Problem] = []
    for name, value in task.spec.env.items():
        own[name], unresolved = substituted(site, value, f"{task.path}.env.{name}", injected)
        errors += unresolved
    rendered, unrendered = templates.rendered(site, task, {**dict(_account(task)), **injected, **own})
    from_templates, unread = templates.of_environment(site, rendered)
    variables = {**injected, **own, **from_templates}
    faults = (*errors, *unrendered, *unread, *_too_long(site, task, variables), *_changed_by_systemd(site, task, variables))
    return Environment(variables, faults, _account(task), tuple(rendered))


def _account(task: PlacedTask[Task]) -> tuple[tuple[str, str], ...]:
    """What programs expect of a login. For a user of the robot's own, systemd sets them under raw_exec.

    An image brings its own. In texts of the job file they are not replaced: there, `${HOME}` belongs to the program.
    """
    if task.spec.contained or (task.spec.user and task.spec.driver is Driver.RAW_EXEC):
        return ()
    return (("HOME", f"{task.directory}/local"), ("USER", task.seen_user), ("LOGNAME", task.seen_user))


def _too_long(site: Site, task: PlacedTask[Task], variables: t.Mapping[str, str]) -> t.Iterator[Problem]:
    """Errors for variables with which no program can be started."""
    for name, value in variables.items():
        why = variable_too_long(name, value)
        if why:
            yield site.problem(_written(site, task).get(name, task.path), f"{name} {why}", "put it into a file that the task reads")


def _written(site: Site, task: PlacedTask[Task]) -> dict[str, str]:
    """The keys of the job file that variables come from."""
    metas = (("meta", site.job.meta), (f"{site.path}.meta", site.group.meta))
    written = {f"NOMAD_META_{variable(key)}": child(owner, key) for owner, meta in metas for key in meta}
    written.update((name, child(f"{task.path}.env", name)) for name in task.spec.env)
    return written


def _changed_by_systemd(site: Site, task: PlacedTask[Task], variables: t.Mapping[str, str]) -> t.Iterator[Problem]:
    """Errors for values that the robot's systemd would not pass on unchanged. An error names the key that the value comes from
    and shows nothing of the value, because any value may be secret.
    """
    version = site.robot.systemd
    if version >= systemd.FAITHFUL_ENVIRONMENT:
        return
    written = _written(site, task)
    remedy = f"change the value, update systemd to {systemd.FAITHFUL_ENVIRONMENT}, or exclude the robot by a constraint"
    for name, value in variables.items():
        lost = systemd.lost_in_environment_file(value, version)
        if lost:
            found = f"{name} would not reach the task: systemd {version} on {site.robot.called} {lost}"
            yield site.problem(written.get(name, task.path), found, remedy)


def _ports(site: Site, instance: int | None) -> dict[str, str]:
    """The ports of all tasks of an instance, under Nomad's names. An init task has those of the robot's only instance; where that is a
    pod, as the robot has them.
    """
    variables: dict[str, str] = {}
    for each in site.ports if instance is not None or len(site.instances) == 1 else ():
        if instance in (None, each.instance):
            reached = Address(_host(site, each.spec), each.number)
            for name in (label(each.spec.label), variable(each.spec.label)):
                for where in ("HOST_",) if site.are_pods and instance is None else ("", "HOST_"):
                    variables[f"NOMAD_{where}ADDR_{name}"] = str(reached)
                    variables[f"NOMAD_{where}IP_{name}"] = reached.host
                    # In a pod, a task listens where the robot's port leads to; Nomad calls that so, too.
                    variables[f"NOMAD_{where}PORT_{name}"] = str(each.inside if site.are_pods and not where else reached.port)
                if not site.are_pods or instance is not None:
                    variables[f"NOMAD_ALLOC_PORT_{name}"] = str(each.inside)
    return variables


def _host(site: Site, port: Port) -> str:
    """Where the robot's other programs, and those of other robots, reach a port. A name is none that a program could listen at."""
    if port.host_ip and port.host_ip not in WILDCARDS:
        return port.host_ip
    host = plain(site.robot.address)
    return host if Address(host, 0).numeric else LOOPBACK


def _databases(site: Site) -> list[Upstream]:
    return [upstream for upstream in (site.network.upstreams if site.network else ()) if is_database(upstream)]


def _upstreams(site: Site) -> dict[str, str]:
    variables: dict[str, str] = {}
    for upstream in site.network.upstreams if site.network else ():
        name, port = variable(upstream.name), str(upstream.local_port)
        address = f"{LOOPBACK}:{port}"
        variables[f"PROXY_{name}_PORT"] = variables[f"NOMAD_UPSTREAM_PORT_{name}"] = port
        variables[f"PROXY_{name}_ADDR"] = variables[f"NOMAD_UPSTREAM_ADDR_{name}"] = address
        variables[f"NOMAD_UPSTREAM_IP_{name}"] = LOOPBACK
        if upstream.protocol is not Protocol.TCP:
            # The connection to the proxy is plaintext, so https:// could not work.
            variables[f"{name}_URL"] = f"http://{address}"
    databases = _databases(site)
    if databases:
        first = databases[0]
        variables["DATABASE_HOST"], variables["DATABASE_PORT"] = LOOPBACK, str(first.local_port)
        variables["DATABASE_URL"] = f"{first.scheme}://{LOOPBACK}:{first.local_port}/{first.database}"
    return variables


def ambiguous_databases(site: Site) -> tuple[Problem, ...]:
    """A warning if the group has several database upstreams: DATABASE_* can describe only one of them."""
    first, *others = [upstream.name for upstream in _databases(site)] or [""]
    if not others:
        return ()
    found = f"the DATABASE_* variables describe the first database, {first!r}; for {', '.join(others)} use PROXY_*"
    return (site.problem(f"{site.path}.network.upstreams", found),)


def _of_instance(site: Site, task: PlacedTask[Task]) -> dict[str, str]:
    variables = {
        "NOMAD_TASK_NAME": task.spec.name,
        "NOMAD_TASK_DIR": f"{task.directory}/local",
        "NOMAD_SECRETS_DIR": f"{task.directory}/secrets",
    }
    if task.spec.contained:
        # As Nomad has it: where they are in the container.
        variables |= {"NOMAD_TASK_DIR": "/local", "NOMAD_SECRETS_DIR": "/secrets", "NOMAD_ALLOC_DIR": "/alloc"}
    if task.instance is not None:
        alloc = names.alloc_id(*site.names, task.instance)
        variables["NOMAD_ALLOC_ID"], variables["NOMAD_SHORT_ALLOC_ID"] = alloc, alloc[:8]
        variables["NOMAD_ALLOC_NAME"] = f"{site.job.name}.{site.group.name}[{task.instance}]"
        variables["NOMAD_ALLOC_INDEX"] = str(task.instance)
    pod = site.pod_of(task.instance)
    if pod:
        variables |= {"POD_NAME": pod.name, "POD_IP": pod.address, "HOSTNAME": pod.host}
        variables |= {"POD_IP6": pod.address6} if pod.address6 else {}
    resources = task.spec.resources
    if resources.cpu:
        variables["NOMAD_CPU_LIMIT"] = str(int(resources.cpu))
    if resources.memory:
        variables["NOMAD_MEMORY_LIMIT"] = str(resources.memory // 2**20)
    return variables
