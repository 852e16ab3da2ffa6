# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a task, or a group as a whole, may use."""

from ..declare.keys import Bytes, Millicores, Support, key
from ..declare.record import record
from .vocabulary import Reserved


@record
class NetworkResource:
    """Bandwidth and ports of one task."""

    mbits: int | None = key("Bandwidth, in Mbit/s.", default=None, minimum=0)
    reserved_ports: tuple[Reserved, ...] = key("Static ports.", factory=tuple, support=Support.REFUSED)
    dynamic_ports: tuple[Reserved, ...] = key("Dynamic ports.", factory=tuple, support=Support.REFUSED)


@record
class Resources:
    """Hard limits. On a task they apply to all its processes together, on a group to all its tasks together."""

    cpu: Millicores | None = key(
        "CPU time in cores, such as `500m`, `0.5` or `2`. Default: no limit.", default=None, minimum=1, maximum=64000
    )
    memory: Bytes | None = key("Memory, such as `128Mi`. Default: no limit.", default=None, minimum=4 * 2**20, maximum=2**50)
    disk: Bytes | None = key("Disk space.", default=None, maximum=2**60, support=Support.NO_EFFECT)
    iops: int | None = key("Disk operations per second.", default=None, minimum=0, support=Support.NO_EFFECT)
    networks: tuple[NetworkResource, ...] = key("Bandwidth and ports of the task.", factory=tuple, support=Support.NO_EFFECT)
