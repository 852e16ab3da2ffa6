# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tasks that run together on a robot."""

import typing as t

from ..declare.keys import Support, key
from ..declare.record import record
from .network import Network
from .policies import Constraint, ReschedulePolicy, RestartPolicy
from .resources import Resources
from .task import InitTask, Task
from .vocabulary import NAME, NetworkMode


@record
class EphemeralDisk:
    """The group's shared disk space."""

    size_mb: int | None = key(
        "How much the group may keep on the robot, in MiB: `alloc`, `/tmp`, and the `local` directories of tasks without a `disk` of their "
        "own. That much must be free when the job is deployed, or be in use already, and a write beyond it fails. Where the robot's file "
        "system has no project quotas, nothing enforces it, and a warning says so.",
        name="sizeMB",
        default=None,
        minimum=0,
        maximum=2**40,
    )
    sticky: bool | None = key("Whether data are kept when the group is updated. They always are, whatever this says.", default=None)
    migrate: bool | None = key("Whether data move with the instance. They never do, whatever this says.", default=None)


@record
class TaskGroup:
    """Tasks that run together on a robot and share identity, proxy, user and slice."""

    name: str = key("Name, unique in its job.", pattern=NAME)
    count: int = key(
        "Number of instances over all robots; with 0 the group runs nowhere. A system job runs one on every robot, and has no other count "
        "than 0.",
        default=1,
        minimum=0,
        maximum=10000,
    )
    init_tasks: tuple[InitTask, ...] = key("Steps that prepare the robot, before the tasks.", factory=tuple)
    tasks: tuple[Task, ...] = key("The programs. At least one, unless the group has an inbound service or an ingress.", factory=tuple)
    constraints: tuple[Constraint, ...] = key("Conditions on robots.", factory=tuple)
    restart_policy: RestartPolicy | None = key(
        "For tasks without one of their own. Default: a task is restarted after 5s, without limit.", default=None
    )
    resources: Resources | None = key("Limits of all the group's tasks together.", default=None, ours=True)
    meta: t.Mapping[str, str] = key(
        "Each key reaches every task as `NOMAD_META_<KEY>` and overrides the job's.", factory=dict, substituted=True, secret=True
    )
    network: Network | None = key("What the group calls and serves.", default=None)
    reschedule_policy: ReschedulePolicy | None = key(
        "How a failed instance would move to another robot. None ever moves.",
        default=None,
        support=Support.NO_EFFECT,
        never="never acts: no other robot is asked, and a failed task is restarted where it is, as restartPolicy says",
    )
    ephemeral_disk: EphemeralDisk | None = key(
        "Disk space that the group's tasks share, `NOMAD_ALLOC_DIR`. It is kept as long as the group is on the robot.", default=None
    )

    @property
    def are_pods(self) -> bool:
        """Whether each of its instances is a pod."""
        return self.network is not None and self.network.enabled and self.network.mode is NetworkMode.GROUP
