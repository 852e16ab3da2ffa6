# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""With whom a task shares each kind of namespace."""

from __future__ import annotations

import typing as t

from ....module_utils._engine import plan
from ...job.model.task import InitTask, Task
from ...job.model.vocabulary import Sharing
from .. import names
from ..site.placed import PlacedTask
from ..site.site import Site


class Shares(t.NamedTuple):
    """Each kind of namespace, and who is in it: the task alone, tasks of its instance, or all of the robot."""

    pid: Sharing
    ipc: Sharing
    uts: Sharing

    def with_whom(self, whom: Sharing) -> tuple[str, ...]:
        """The kinds that the task shares with these."""
        return tuple(kind for kind in self._fields if getattr(self, kind) is whom)


_WITH_ALL = Shares(Sharing.HOST, Sharing.HOST, Sharing.HOST)
_WITH_NOBODY = Shares(Sharing.OWN, Sharing.OWN, Sharing.OWN)


def shares(spec: Task) -> Shares:
    if isinstance(spec, InitTask) or not spec.confined:
        return _WITH_ALL
    asked = spec.isolation
    if asked is None:
        return _WITH_NOBODY
    return Shares(asked.pid or Sharing.OWN, asked.ipc or Sharing.OWN, asked.uts or Sharing.OWN)


class Held(t.NamedTuple):
    """The namespaces that tasks of an instance share: the unit that holds them, and the directory with a file of each."""

    unit: str
    directory: str


def held(site: Site, instance: int) -> Held:
    pod = site.pod_of(instance)
    return Held(pod.unit if pod else names.namespaces_unit(site.id, instance), f"{plan.RUNTIME}/namespaces/{site.id}-r{instance}")


def enters(site: Site, spec: Task) -> bool:
    """Whether it is a container that enters the namespaces of its pod: what its engine would make for it alone otherwise."""
    return site.are_pods and spec.contained and not isinstance(spec, InitTask)


def held_for(site: Site, task: PlacedTask[Task]) -> Held | None:
    """Those that a task shares; None if it shares none with its group. In a pod it shares the network at least."""
    if task.instance is None:
        return None
    return held(site, task.instance) if site.are_pods or Sharing.GROUP in shares(task.spec) else None
