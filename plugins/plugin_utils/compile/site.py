# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One group on one robot, as every part of the compiler sees it, and the texts whose `${...}` it replaces."""

from __future__ import annotations

import functools
import typing as t

from ...module_utils._engine import plan
from ..fleet.robots import Fleet, Robot
from ..job.declare.keys import Seconds, Secret
from ..job.errors import Problem
from ..job.model.group import TaskGroup
from ..job.model.job import Job
from ..job.model.network import Network
from ..job.model.policies import RestartPolicy
from ..job.model.task import InitTask, Task
from ..job.model.vocabulary import JobType, NetworkType, RestartMode
from ..job.substitution import substitute
from . import names
from .helpers import Helper

CONFIGURATION, DATA, RUNTIME = plan.CONFIGURATION, plan.STATE, plan.RUNTIME


class InitStep(t.NamedTuple):
    """An init task that runs here: where it is written, what it is, and its unit."""

    path: str
    spec: InitTask
    id: str
    unit: str


class Site:
    """A task group on a robot: its names and paths there, and the problems found while it is compiled.

    `path` is the group's in its job file; `instances` are the indices that the robot holds. `programs` are those of its
    tasks that the robot must bring: {(path or name, PATH of a name): path in the job file}. `peers` are the identities
    found for upstreams that name none: {address: SPIFFE ID}. `secrets` are secret texts in which a name was replaced, as they arrive.
    """

    def __init__(self, job: Job, number: int, robot: Robot, fleet: Fleet, instances: t.Sequence[int]) -> None:
        self.job, self.robot, self.fleet, self.instances = job, robot, fleet, tuple(instances)
        self.group: TaskGroup = job.task_groups[number]
        self.path = f"taskGroups[{number}]"
        self.names = (job.namespace, job.name, self.group.name)
        self.id = names.group_id(*self.names)
        self.user = names.user(*self.names)
        self.proxy_user = names.proxy_user(*self.names)
        self.errors: list[Problem] = []
        self.warnings: list[Problem] = []
        self.programs: dict[tuple[str, str], str] = {}
        self.peers: dict[str, str] = {}
        self.secrets: set[str] = set()

    @property
    def configuration(self) -> str:
        return f"{CONFIGURATION}/{self.id}"

    @property
    def data(self) -> str:
        return f"{DATA}/groups/{self.id}"

    @property
    def alloc(self) -> str:
        return f"{self.data}/alloc"

    @property
    def tmp(self) -> str:
        return f"{self.data}/tmp"

    @property
    def done(self) -> str:
        """Where a batch task's unit, as root, notes that it has run to its end."""
        return f"{self.data}/done"

    @property
    def slice(self) -> str:
        return names.slice_unit(self.id)

    @property
    def target(self) -> str:
        return names.target_unit(self.id)

    @property
    def proxy(self) -> str | None:
        """The proxy's unit; None for a group that has none."""
        network = self.network
        return names.proxy_unit(self.id) if network and (network.upstreams or network.services) else None

    @property
    def network(self) -> Network | None:
        network = self.group.network
        return network if network and network.enabled and network.type is NetworkType.ENVOY else None

    @functools.cached_property
    def init_steps(self) -> tuple[InitStep, ...]:
        """The init tasks in order, without those whose work provisioning did."""
        steps = []
        for number, spec in enumerate(self.group.init_tasks):
            if spec.name not in self.fleet.skip_init_tasks:
                init_id = names.init_id(*self.names, spec.name)
                steps.append(InitStep(f"{self.path}.initTasks[{number}]", spec, init_id, names.init_unit(init_id)))
        return tuple(steps)

    @property
    def bin(self) -> str:
        """Where the group has its copies of the helper programs."""
        return f"{self.configuration}/bin"

    def helper(self, program: Helper) -> tuple[str, ...]:
        """The command that runs a helper program of the group's."""
        return (*program.interpreter, f"{self.bin}/{program.name}")

    def where(self, path: str) -> str:
        """A path in the job file as a person reads it."""
        return f"{self.job.path}: {self.job.root}{path}"

    def error(self, path: str, message: str, remedy: str = "") -> None:
        self.errors.append(self.job.problem(path, message, remedy))

    def warn(self, path: str, message: str, remedy: str = "") -> None:
        self.warnings.append(self.job.problem(path, message, remedy))

    @functools.cached_property
    def _meta(self) -> dict[str, str]:
        """`${meta.<key>}`: the robot's labels, then the job's and the group's meta."""
        return {**self.job.meta, **self.group.meta, **self.robot.labels}

    @functools.cached_property
    def _node(self) -> dict[str, str]:
        return {"unique.name": self.robot.name, "datacenter": self.robot.datacenter, "class": self.robot.node_class}

    def text(self, value: str, path: str, injected: t.Mapping[str, str]) -> str:
        """`value` with its names replaced; what cannot be resolved becomes an error at `path`."""
        if "${" not in value:
            return value
        replaced, unresolved = substitute(value, injected, attr=self.robot.capabilities, meta=self._meta, node=self._node)
        for name in unresolved:
            # What looks like a name may be a part of a password.
            shown = "a name in this secret" if isinstance(value, Secret) else f"${{{name}}}"
            self.error(path, f"{shown} has no value on robot {self.robot.name}", "give it one, or write the text without it")
        if isinstance(replaced, Secret):
            self.secrets.add(str(replaced))
        return replaced

    def restart_policy(self, task: Task) -> RestartPolicy | None:
        """The task's own, else the group's; keys left out are Nomad's defaults for the job's type."""
        policy = task.restart_policy or self.group.restart_policy
        if policy is None:
            return None
        attempts, interval = (3, Seconds(86400)) if self.job.type is JobType.BATCH else (2, Seconds(1800))
        return RestartPolicy(
            attempts=attempts if policy.attempts is None else policy.attempts,
            interval=interval if policy.interval is None else policy.interval,
            delay=Seconds(15) if policy.delay is None else policy.delay,
            mode=policy.mode or RestartMode.FAIL,
        )
