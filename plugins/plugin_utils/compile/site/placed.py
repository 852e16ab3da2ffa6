# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is at its place on a robot: a task, a pod, and a port of an instance, each with what follows from that place."""

from __future__ import annotations

import typing as t

from ....module_utils._engine import plan
from ...job.model.ports import Port
from ...job.model.task import Task
from ...job.model.vocabulary import Hook
from .. import names

Spec_co = t.TypeVar("Spec_co", bound=Task, covariant=True)


class PlacedTask(t.NamedTuple, t.Generic[Spec_co]):
    """A task, or an init task, at its place on the robot.

    `spec` is the task as the job file describes it, at `path`. On the robot, `user` runs it, with `group` as the primary group.
    `instance` is the index of its instance; None for an init task, which belongs to no instance. `ends` says whether its program
    is to run to its end, as those of batch jobs do. `done` is the file that exists once it has, and need not do so again; None for
    all other tasks.
    """

    spec: Spec_co
    path: str
    id: str
    unit: str
    user: str
    group: str
    environment_file: str
    instance: int | None = None
    ends: bool = False
    done: str | None = None

    @property
    def directory(self) -> str:
        """Holds the task's `local`, `secrets` and `logs`."""
        return f"{plan.STATE}/tasks/{self.id}"

    @property
    def runtime(self) -> str:
        """A directory of its own that systemd makes anew at each start, and removes."""
        return f"{plan.RUNTIME}/secrets/{self.id}"

    @property
    def filled(self) -> str:
        """Where root may put something that the task finds in its `secrets`. Units of tasks with walls are root's, and systemd gives root
        what is in such a directory where somebody else has it; but not where somebody else has a directory in it.
        """
        confined = self.instance is not None and self.spec.confined
        return f"{self.runtime}/filled" if confined else self.runtime

    @property
    def hook(self) -> Hook | None:
        """When it runs; None for a main task."""
        return self.spec.lifecycle.hook if self.spec.lifecycle else None

    @property
    def sidecar(self) -> bool:
        """Whether it keeps running beside the main tasks, whatever the type of its job."""
        return self.spec.lifecycle is not None and self.spec.lifecycle.sidecar

    @property
    def step(self) -> bool:
        """Whether it is a hook that runs to its end, with others waiting for that."""
        return self.hook in (Hook.PRESTART, Hook.POSTSTART) and not self.sidecar

    @property
    def seen_user(self) -> str:
        """Who its program sees itself as."""
        return self.spec.user or self.user

    @property
    def called(self) -> str:
        """What people call it within its group."""
        return f"{'init' if self.instance is None else f'r{self.instance}'} {self.spec.name}"


class Pod(t.NamedTuple):
    """An instance with a network of its own: the index, the id, the name, which is one that DNS takes, the address, the host name, and the
    IPv6 address, empty where the robot's pods have none.
    """

    instance: int
    id: str
    name: str
    address: str
    host: str
    address6: str = ""

    @property
    def unit(self) -> str:
        """What brings its network up, and holds its namespaces."""
        return names.pod_unit(self.id)

    @property
    def file(self) -> str:
        """What the robot knows of it."""
        return f"{plan.PODS}/{self.id}"

    @property
    def network(self) -> str:
        """The file of its network namespace."""
        return f"{plan.NETWORKS}{self.id}"


class PlacedPort(t.NamedTuple):
    """A port of an instance: `spec` is the port as the job file describes it."""

    spec: Port
    instance: int
    number: int

    @property
    def called(self) -> str:
        """By this the robot knows the port again, whatever its number."""
        return f"r{self.instance} {self.spec.label}"

    @property
    def inside(self) -> int:
        """Where it leads to in a pod."""
        return self.spec.to or self.number
