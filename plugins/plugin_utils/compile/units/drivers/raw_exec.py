# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""raw_exec: the program runs as the task's user and sees the robot as it is, except for a /tmp, a /var/tmp and
secrets of its own, and in a pod for the network.
"""

from __future__ import annotations

from ...systemd import Directives, command, item
from .launch import Launch


def directives(launch: Launch) -> Directives:
    binds = ((launch.tmp, "/tmp"), (launch.tmp, "/var/tmp"), (f"/run/{launch.runtime}", launch.secrets))
    return [
        *launch.late_variables,
        ("User", launch.user),
        ("Group", launch.group),
        *launch.variables,
        *launch.secrets_in_runtime,
        ("BindPaths", " ".join(f"{item(source)}:{item(place)}" for source, place in binds)),
        *launch.network,
        *launch.mounts,
        *([("SupplementaryGroups", " ".join(launch.groups))] if launch.groups else []),
        ("ExecStart", command((*launch.late, *launch.argv))),
        *launch.stopped,
    ]
