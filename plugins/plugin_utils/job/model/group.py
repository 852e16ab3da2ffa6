# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tasks that run together."""

from __future__ import annotations

import typing as t

from ..declare.keys import Support, key
from ..declare.record import record
from .network import Network
from .policies import Constraint, ReschedulePolicy, RestartPolicy
from .resources import Resources
from .task import InitTask, Task
from .vocabulary import NAME


@record
class EphemeralDisk:
    """The group's shared disk space."""

    size_mb: int | None = key("Size, in MB.", name="sizeMB", default=None, minimum=0)
    sticky: bool | None = key("Kept over updates.", default=None)
    migrate: bool | None = key("Moved with the instance.", default=None)


@record
class TaskGroup:
    """Tasks that run together on a robot and share identity, proxy, user and slice."""

    name: str = key("Unique in its job.", pattern=NAME)
    count: int = key("Instances over all robots; for a system job 1.", default=1, minimum=0, maximum=10000)
    init_tasks: tuple[InitTask, ...] = key("Steps before the tasks.", factory=tuple)
    tasks: tuple[Task, ...] = key("The programs; at least one, or none where an inbound service is declared.", factory=tuple)
    constraints: tuple[Constraint, ...] = key("Conditions on the robots.", factory=tuple)
    restart_policy: RestartPolicy | None = key("For every task that has none of its own.", default=None)
    resources: Resources | None = key("The cap of the whole group.", default=None, ours=True)
    meta: t.Mapping[str, str] = key("`NOMAD_META_<KEY>`; wins over the job's.", factory=dict, substituted=True, secret=True)
    network: Network | None = key("Connections.", default=None)
    reschedule_policy: ReschedulePolicy | None = key("Moves to other robots.", default=None, support=Support.NO_EFFECT)
    ephemeral_disk: EphemeralDisk | None = key("Shared disk.", default=None, support=Support.NO_EFFECT)
