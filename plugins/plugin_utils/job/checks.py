# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What must hold between the keys of a job, beyond what each key says of itself.

A value that the reader already complained of is None here, or its default, and gives no second error.
"""

from __future__ import annotations

import collections.abc as c
import dataclasses
import ipaddress
import typing as t

from .addresses import ALWAYS_THERE, LOOPBACK, LOOPBACK_HOSTS, clash
from .errors import child, listed, nearest, quoted
from .model.group import TaskGroup
from .model.job import Job
from .model.network import InboundService, Network, Upstream
from .model.task import InitTask, Task
from .model.vocabulary import Driver, JobType, NetworkType, Protocol, TlsMode
from .variables import is_database, variable

Report = c.Callable[[str, str, str], None]
CONFIG_OF = {Driver.EXEC: "execConfig", Driver.RAW_EXEC: "execConfig"}


def checked(job: Job, error: Report, warn: Report, wrong: c.Container[str] = ()) -> Job:
    """The job with networks of tasks lifted to their groups; what is wrong goes to ``error``. ``wrong``: paths with errors."""
    check = _Check(job, error, warn, wrong)
    groups = tuple(check.group(group, f"{job.root}taskGroups[{i}]") if group else group for i, group in enumerate(job.task_groups or ()))
    check.unique(groups, f"{job.root}taskGroups", "task group")
    check.meta(job.meta, f"{job.root}meta", {})
    return dataclasses.replace(job, task_groups=groups)


class _Check:
    def __init__(self, job: Job, error: Report, warn: Report, wrong: c.Container[str]) -> None:
        self.job, self.error, self.warn, self.wrong = job, error, warn, wrong

    def unique(self, things: c.Iterable[t.Any], path: str, what: str) -> None:
        """Names are unique in their list."""
        first: dict[str, int] = {}
        for number, thing in enumerate(things):
            if thing is not None and thing.name is not None:
                other = first.setdefault(thing.name, number)
                if other != number:
                    self.error(
                        f"{path}[{number}].name", f"{what} {quoted(thing.name)} is already {path}[{other}]", "give one of them another name"
                    )

    def group(self, group: TaskGroup, path: str) -> TaskGroup:
        if self.job.type is JobType.SYSTEM and group.count > 1:
            self.error(f"{path}.count", f"found {group.count} in a job of type system", "it runs once on every robot: remove count")
        self.unique(group.init_tasks, f"{path}.initTasks", "init task")
        self.unique(group.tasks, f"{path}.tasks", "task")
        for kind, tasks in (("initTasks", group.init_tasks), ("tasks", group.tasks)):
            for number, task in enumerate(tasks):
                if task is not None:
                    self.task(task, f"{path}.{kind}[{number}]")
        self.meta(group.meta, f"{path}.meta", self.job.meta)
        group = self.lifted(group, path)
        if group.network:
            self.network(group.network, f"{path}.network")
        if not group.tasks and f"{path}.tasks" not in self.wrong and not (group.network and group.network.services):
            self.error(
                f"{path}.tasks", "holds no task", "write one; only a group with an inbound service in network.services may have none"
            )
        return group

    def task(self, task: Task, path: str) -> None:
        wanted = CONFIG_OF[task.driver]
        missing = task.config is not None and task.config.exec_config is None
        if missing and f"{path}.driver" not in self.wrong and f"{path}.config.{wanted}" not in self.wrong:
            self.error(f"{path}.config.{wanted}", "is missing", f"driver {task.driver.value} needs it")
        if not isinstance(task, InitTask) or task.readiness is None:
            return
        ready = task.readiness
        given = [name for name in ("command", "port", "file") if getattr(ready, name) is not None] + ["notify"] * ready.notify
        if len(given) != 1:
            found = f"found {listed(given, 'and')}" if given else "says not when the daemon is ready"
            self.error(f"{path}.readiness", found, "give exactly one of command, port, file and notify")
        if not task.daemon:
            self.error(f"{path}.readiness", "is for daemons only", "add daemon: true, or remove readiness")

    def lifted(self, group: TaskGroup, path: str) -> TaskGroup:
        """The group with the network that its tasks declare; `enabled: false` is as if it were not written."""
        network, owner = _enabled(group.network), "the group"
        moved: dict[str, t.Any] = {}
        for kind, tasks in (("init_tasks", group.init_tasks), ("tasks", group.tasks)):
            for number, task in enumerate(tasks):
                own = _enabled(task.network) if task else None
                if own is None:
                    continue
                here = f"{path}.{'tasks' if kind == 'tasks' else 'initTasks'}[{number}]"
                if network is None:
                    network, owner = own, f"task {quoted(task.name or '')}"
                    self.moved(here, path)
                elif own != network:
                    self.error(
                        f"{here}.network", f"differs from the network of {owner}", "a group has one network: write it once, on the group"
                    )
            if any(task and task.network for task in tasks):
                moved[kind] = tuple(dataclasses.replace(task, network=None) if task else task for task in tasks)
        return dataclasses.replace(group, network=network, **moved) if moved or network is not group.network else group

    def moved(self, task: str, group: str) -> None:
        """What is said of the group's network later is said where it was written."""
        positions = t.cast(dict[str, tuple[int, int]], self.job.positions)
        for path, position in list(positions.items()):
            if path.startswith(f"{task}.network"):
                positions.setdefault(group + path[len(task) :], position)

    def network(self, network: Network, path: str) -> None:
        self.unique(network.upstreams, f"{path}.upstreams", "upstream")
        self.unique(network.services, f"{path}.services", "service")
        upstreams = [(f"{path}.upstreams[{i}]", each) for i, each in enumerate(network.upstreams) if each]
        services = [(f"{path}.services[{i}]", each) for i, each in enumerate(network.services) if each]
        if network.type is NetworkType.NONE:
            if services:
                self.error(f"{path}.services", "stand in a network of type none", "write type: envoy; without it nobody serves them")
            if upstreams:
                self.warn(f"{path}.upstreams", "are not reached through a proxy: the network's type is none", "")
            return
        self.ports(upstreams, services)
        self.variables(upstreams)
        for here, upstream in upstreams:
            if upstream.tls and upstream.tls.mode is TlsMode.NONE and upstream.tls.spiffe_id:
                self.error(f"{here}.tls.spiffeId", "is for mode spiffe", "remove it, or write mode: spiffe")
        for here, service in services:
            self.service(service, here)

    def ports(self, upstreams: list[tuple[str, Upstream]], services: list[tuple[str, InboundService]]) -> None:
        """Listeners of one proxy do not meet; a wildcard address meets every other."""
        taken: list[tuple[int, str, str]] = []
        listeners = [(f"{path}.localPort", each.local_port, LOOPBACK) for path, each in upstreams]
        listeners += [(f"{path}.port", each.port, each.address) for path, each in services]
        for path, port, address in listeners:
            if port is None or address is None:
                continue
            for other_port, other_address, other in taken:
                if port == other_port and clash(address, other_address):
                    self.error(path, f"port {port} is already taken by {other}", "choose another port")
                    break
            taken.append((port, address, path))

    def service(self, service: InboundService, path: str) -> None:
        plain = _plain(service.address)
        if plain and plain != service.address:
            self.error(f"{path}.address", f"found {quoted(service.address)}, an address in another spelling", f"write {plain}")
        host, _colon, port = (service.to or "").rpartition(":")
        if port == str(service.port) and host in LOOPBACK_HOSTS and service.address in ALWAYS_THERE:
            self.error(
                f"{path}.to",
                f"{service.to} is where the service itself listens",
                "choose another port, or the robot's own address as address",
            )
        for number, allowed in enumerate(service.allow):
            if (
                allowed is None
                or allowed.group is None
                or allowed.job not in (None, self.job.name)
                or allowed.namespace not in (None, self.job.namespace)
            ):
                continue
            groups = [group.name for group in self.job.task_groups if group and group.name]
            if allowed.group not in groups:
                close = nearest(allowed.group, groups)
                remedy = f"did you mean {close}?" if close else "name its job, if it is a group of another one"
                self.error(f"{path}.allow[{number}].group", f"this job has no group {quoted(allowed.group)}", remedy)

    def variables(self, upstreams: list[tuple[str, Upstream]]) -> None:
        """Every injected variable has one source, and a name that systemd takes."""
        sources: dict[str, str] = {}
        database = None
        named: set[str] = set()
        for path, upstream in upstreams:
            # Two of one name are told already.
            if not upstream.name or upstream.name in named:
                continue
            named.add(upstream.name)
            name = variable(upstream.name)
            injected = [f"PROXY_{name}_PORT", f"PROXY_{name}_ADDR"]
            if upstream.protocol is not Protocol.TCP:
                injected.append(f"{name}_URL")
                if name[0].isdigit():
                    self.error(f"{path}.name", f"gives the variable {name}_URL, which begins with a digit", "begin the name with a letter")
            elif database is None and is_database(upstream):
                database = path
                injected += ["DATABASE_HOST", "DATABASE_PORT", "DATABASE_URL"]
            for each in injected:
                if sources.setdefault(each, path) != path:
                    self.error(f"{path}.name", f"gives the variable {each}, as does {sources[each]}", "give one of them another name")
                    break

    def meta(self, meta: t.Mapping[str, str], path: str, outer: t.Mapping[str, str]) -> None:
        """No two keys of meta, the job's and the group's, give one NOMAD_META_ variable."""
        first = {variable(name): name for name in outer}
        for name in meta:
            other = first.setdefault(variable(name), name)
            if other != name:
                message = f"gives the variable NOMAD_META_{variable(name)}, as does {quoted(other)}"
                self.error(child(path, name), message, "give one of them another name")


def _plain(address: str | None) -> str | None:
    """An IPv6 address in the one spelling by which ports are compared; the IPv4 address where it only wraps one."""
    try:
        found = ipaddress.IPv6Address(address or "")
    except ValueError:
        return None
    return str(found.ipv4_mapped or found)


def _enabled(network: Network | None) -> Network | None:
    return network if network and network.enabled else None
