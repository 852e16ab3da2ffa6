# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One task group on one robot: its names, its paths and the tasks that run there. Every part of the compiler works from it."""

from __future__ import annotations

import dataclasses
import functools
import typing as t

from ....module_utils._engine import plan
from ...fleet.placement import Placement
from ...fleet.robots import Fleet, Robot
from ...job.errors import Problem
from ...job.model.brings.templates import Template
from ...job.model.group import TaskGroup
from ...job.model.job import Job
from ...job.model.network import Network
from ...job.model.ports import Port
from ...job.model.task import InitTask, Task
from ...job.model.vocabulary import JobType, NetworkType
from ...job.substitution import substitute
from .. import names
from .placed import PlacedPort, PlacedTask, Pod
from .rendering import LookedUp, Unfound

# The most robots that a message names.
NAMED = 3


class Finding(t.Protocol):
    """Looks up the services of tasks by their names."""

    def __call__(self, site: Site, name: str, /) -> LookedUp:
        """As a task at this site reaches them. Raises `Unfound`."""

    def beside(self, others: t.Sequence[tuple[str, t.Mapping[str, t.Any]]], anyone: bool = False, /) -> Finding:
        """The same, with services that robots say other jobs have, each with its robot; `anyone`: and with any that is asked for."""

    def seen(self, robot: Robot, from_pods: bool, service: str, /) -> str:
        """The digest of what `LookedUp` would have of one service, `namespace/job/group/name`; empty where nothing can be found."""


class _NothingFound:
    def __call__(self, _site: Site, name: str, /) -> LookedUp:
        raise Unfound(f"no task has the service {name}")

    def beside(self, _others: t.Sequence[tuple[str, t.Mapping[str, t.Any]]], _anyone: bool = False, /) -> Finding:
        return self

    def seen(self, _robot: Robot, _from_pods: bool, _service: str, /) -> str:
        return ""


# For who has no services to look up.
nothing_found = _NothingFound()


class Rendering(t.Protocol):
    """Renders the text of a template for a robot, and knows the files beside a job file: it is not the compiler that reads files and knows
    the robot's variables.
    """

    def __call__(self, site: Site, template: Template, environment: t.Mapping[str, str], services: t.Callable[[str], LookedUp], /) -> str:
        """`environment` is that of the task, at this site; `services` looks services up by name, or raises `Unfound`. Raises
        `Unrendered`.
        """

    def digest(self, site: Site, name: str, /) -> str:
        """The SHA-256 of a file that is beside the job file. Raises `Unrendered`."""


class _AsWritten:
    def __call__(
        self, _site: Site, template: Template, _environment: t.Mapping[str, str], _services: t.Callable[[str], LookedUp], /
    ) -> str:
        return template.embedded_tmpl or ""

    def digest(self, _site: Site, _name: str, /) -> str:
        return "0" * 64


# For who is not interested in what templates become, and what is in files.
as_written = _AsWritten()


@dataclasses.dataclass(frozen=True, eq=False)
class Site:
    """A task group on a robot. `number` is its index in the job, `instances` are the indices of the instances on the robot, and `ports`
    are the instances' ports. `render` renders templates, and `find` looks up services for them. `pods` are the instances, where each is
    one; `pod` is the one of them that is looked at alone (`within`).
    """

    job: Job
    number: int
    robot: Robot
    fleet: Fleet
    instances: tuple[int, ...]
    ports: tuple[PlacedPort, ...] = ()
    render: Rendering = as_written
    find: Finding = nothing_found
    pods: tuple[Pod, ...] = ()
    pod: Pod | None = None

    @functools.cached_property
    def group(self) -> TaskGroup:
        return self.job.task_groups[self.number]

    @property
    def path(self) -> str:
        """The group's place in its job file."""
        return f"taskGroups[{self.number}]"

    @functools.cached_property
    def names(self) -> tuple[str, str, str]:
        return (self.job.namespace, self.job.name, self.group.name)

    @functools.cached_property
    def variables(self) -> dict[str, str]:
        """What every task gets, under Nomad's names, but for the variables of `meta`."""
        namespace, job, group = self.names
        return {
            "NOMAD_GROUP_NAME": group,
            "NOMAD_JOB_ID": job,
            "NOMAD_JOB_NAME": job,
            "NOMAD_NAMESPACE": namespace,
            "NOMAD_DC": self.robot.datacenter,
            "NOMAD_REGION": "global",
            "NOMAD_ALLOC_DIR": self.alloc,
            "NOMAD_PARENT_CGROUP": f"{plan.ROOT_SLICE}/{self.slice}",
        }

    @functools.cached_property
    def meta(self) -> dict[str, str]:
        """The `meta` of the job and of the group, which wins, with the names in their values replaced as in the variables of `meta`."""
        written, robot = {**self.job.meta, **self.group.meta}, self.robot
        rooms = {"attr": robot.capabilities, "meta": {**written, **robot.labels}, "node": robot.node}
        return {name: substitute(value, self.variables, **rooms)[0] for name, value in written.items()}

    def full_name(self, service: str) -> str:
        """namespace/job/group/service."""
        return "/".join((*self.names, service))

    @functools.cached_property
    def id(self) -> str:
        return names.group_id(*self.names)

    @functools.cached_property
    def user(self) -> str:
        """The user that runs the group's tasks, and the name of its primary group."""
        return names.user(*self.names)

    @functools.cached_property
    def proxy_user(self) -> str:
        return names.proxy_user(*self.names)

    @functools.cached_property
    def configuration(self) -> str:
        return f"{plan.CONFIGURATION}/groups/{self.id}"

    @property
    def bin(self) -> str:
        """The directory with the group's copies of the helper programs."""
        return f"{self.configuration}/bin"

    @property
    def data(self) -> str:
        return f"{plan.STATE}/groups/{self.id}"

    @property
    def alloc(self) -> str:
        """The directory that the group's tasks share."""
        return f"{self.data}/alloc"

    @property
    def tmp(self) -> str:
        return f"{self.data}/tmp"

    @property
    def memory(self) -> str:
        """What the group's tasks see as /dev/shm, if they do not share the robot's IPC: a file system of the group's own, in memory."""
        return f"{plan.RUNTIME}/{plan.SHARED_MEMORY}/{self.id}"

    @property
    def done(self) -> str:
        """The directory where units of batch tasks note, as root, that the task has run to its end. No task can write there."""
        return f"{self.data}/done"

    @property
    def slice(self) -> str:
        return names.slice_unit(self.id)

    @property
    def target(self) -> str:
        return names.target_unit(self.id)

    @property
    def run(self) -> str:
        """The name of the service that the group's schedule starts."""
        return names.run_unit(self.id)

    @property
    def timer(self) -> str:
        return self.run.replace(".service", ".timer")

    @property
    def has_proxy(self) -> bool:
        return self.network is not None and bool(self.network.upstreams or self.network.services or self.network.ingress)

    @property
    def proxy(self) -> str | None:
        """The name of the proxy's unit; None for a group without one, and for one that has one in each pod."""
        return names.proxy_unit(self._with_proxy) if self.has_proxy and (self.pod or not self.are_pods) else None

    @property
    def _with_proxy(self) -> str:
        """The id of what has the proxy."""
        return self.pod.id if self.pod else self.id

    @property
    def are_pods(self) -> bool:
        """Whether each instance is a pod."""
        return self.group.are_pods

    def pod_of(self, instance: int | None) -> Pod | None:
        return next((pod for pod in self.pods if pod.instance == instance), None)

    def within(self, pod: Pod) -> Site:
        """The same with nothing but this pod."""
        ports = tuple(port for port in self.ports if port.instance == pod.instance)
        return dataclasses.replace(self, instances=(pod.instance,), ports=ports, pods=(pod,), pod=pod)

    def beside(self, instance: int | None) -> str | None:
        """The unit of the proxy that a task of an instance has at its side; an init task has none where the instances are pods."""
        pod = self.pod_of(instance)
        return names.proxy_unit(pod.id) if pod and self.has_proxy else self.proxy

    @property
    def proxy_home(self) -> str:
        """The directory with the proxy's configuration."""
        return f"{self.configuration}/proxy" if self.pod is None else f"{self.configuration}/proxy-r{self.pod.instance}"

    @property
    def proxy_runtime(self) -> str:
        """The proxy's directory below /run, which only its own user can open."""
        return f"{plan.RUNTIME}/proxy/{self._with_proxy}"

    @property
    def network(self) -> Network | None:
        """The connections that a proxy carries; None for a group without a proxy."""
        network = self.group.network
        return network if network and network.enabled and network.type is NetworkType.ENVOY else None

    @property
    def enforces_quotas(self) -> bool:
        """Whether the robot can bound what directories of the group take up. It reports the file system that does."""
        return self.robot.capabilities.get("disk.quota", "no") != "no"

    @property
    def disk(self) -> tuple[int, str] | None:
        """How much the group may keep on the robot, in bytes, and the path of the key that says so: of two, the smaller one."""
        disk, resources, found = self.group.ephemeral_disk, self.group.resources, []
        if disk and disk.size_mb:
            found.append((disk.size_mb * 2**20, f"{self.path}.ephemeralDisk.sizeMB"))
        if resources and resources.disk:
            found.append((int(resources.disk), f"{self.path}.resources.disk"))
        return min(found, default=None)

    @property
    def declared_ports(self) -> tuple[Port, ...]:
        """The ports on which each instance's tasks listen, with a proxy or without."""
        network = self.group.network
        return network.ports if network and network.enabled else ()

    @functools.cached_property
    def init_tasks(self) -> tuple[PlacedTask[InitTask], ...]:
        """The init tasks in their order, without those whose work provisioning has done."""
        placed = []
        for number, spec in enumerate(self.group.init_tasks):
            if spec.name not in self.fleet.skip_init_tasks:
                id = names.init_id(*self.names, spec.name)
                placed.append(
                    PlacedTask(
                        spec=spec,
                        path=f"{self.path}.initTasks[{number}]",
                        id=id,
                        unit=names.init_unit(id),
                        user=spec.user or "root",
                        group=self.user if spec.user else "root",
                        environment_file=self._environment_file(id),
                    )
                )
        return tuple(placed)

    @functools.cached_property
    def tasks(self) -> tuple[PlacedTask[Task], ...]:
        """The tasks of every instance on the robot."""
        return tuple(self._task(number, spec, instance) for instance in self.instances for number, spec in enumerate(self.group.tasks))

    def _task(self, number: int, spec: Task, instance: int) -> PlacedTask[Task]:
        id = names.task_id(*self.names, instance, spec.name)
        batch = self.job.type is JobType.BATCH
        return PlacedTask(
            spec=spec,
            path=f"{self.path}.tasks[{number}]",
            id=id,
            unit=names.task_unit(id),
            user=spec.user_on_robot or self.user,
            group=self.user,
            environment_file=self._environment_file(id),
            instance=instance,
            ends=batch and not (spec.lifecycle and spec.lifecycle.sidecar),
            # One that runs by a schedule has never run for the last time.
            done=f"{self.done}/{id}" if batch and not self.job.schedule else None,
        )

    def _environment_file(self, id: str) -> str:
        return f"{self.configuration}/env/{id}.env"

    def title(self, *more: str) -> str:
        """The description of a unit or user of the group."""
        return " ".join((f"{self.job.name}/{self.group.name}", *more))

    def where(self, path: str) -> str:
        """A path in the job file, with the name of the file."""
        return f"{self.job.path}: {self.job.root}{path}"

    def problem(self, path: str, message: str, remedy: str = "") -> Problem:
        """An error or a warning at a path in the job file."""
        return self.job.problem(path, message, remedy)

    def problem_here(self, path: str, message: str, remedy: str = "") -> Problem:
        """The same of what depends on the robot: said once for all robots of which it is true."""
        return self.problem(path, message, remedy)._replace(robots=self.robot.named)


def sites_of(
    jobs: t.Sequence[Job], fleet: Fleet, placement: Placement, robot: Robot, render: Rendering = as_written, find: Finding = nothing_found
) -> list[Site]:
    """The groups that a robot gets."""
    return [
        Site(job, number, robot, fleet, tuple(instances), render=render, find=find)
        for job in jobs
        for number, group in enumerate(job.task_groups)
        if (instances := placement.on(robot.name, (job.namespace, job.name, group.name)))
    ]
