# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a task shares with others on its robot."""

from ..declare.keys import key
from ..declare.record import record
from ..errors import listed
from .vocabulary import CAPABILITIES, CAPABILITY, HARMLESS, Files, Sharing, Users


@record
class Isolation:
    """What exec and java take from a task unless it says otherwise. Tasks of raw_exec, and init tasks, share all with the robot."""

    ipc: Sharing | None = key(
        "`own`: a `/dev/shm` that the task shares with its group alone, and System V IPC and message queues that it shares with nobody. "
        "`group`: it shares these too with the tasks of its instance that say so. "
        "`host`: all of the robot's, as DDS needs it between groups. Default: `own` for exec and java, `group` for those in a "
        "pod, `host` for raw_exec and init tasks.",
        default=None,
        ours=True,
    )
    pid: Sharing | None = key(
        "`own`: the task sees no process but its own, and its program always has the same process ID. `group`: it sees the processes of "
        "those tasks of its instance that say so too, as DDS needs it. `host`: process IDs are the "
        "robot's; other users' processes stay hidden. Default: `own` for exec and java, `host` for others.",
        default=None,
        ours=True,
    )
    uts: Sharing | None = key(
        "The host name. `own`: as it was when the task started. `group`: one for the tasks of its instance that say so. `host`: the "
        "robot's, also when that changes. Default: `own` for exec and java, `group` for those in a pod, whose host name is the "
        "pod's, `host` for others.",
        default=None,
        ours=True,
    )
    users: Users | None = key(
        "`own`: the program sees no user but its own: all others, root too, are nobody to it, and it can become none of them. "
        "With `user: root` it is root to itself, and to the robot no more than the group's user. `host`: the robot's users. "
        "Default: `host`.",
        default=None,
        ours=True,
    )
    files: Files | None = key(
        "`readonly`: the task sees the robot's files, but no secrets and nothing of other groups, and changes none. `private`: nothing in "
        "`/home`, `/media`, `/mnt` and `/srv` either. `chroot`: it sees only programs and libraries in `/usr`, what these need of "
        "`/etc`, its own directories, `volumes` and `devices`. Default: `readonly` for exec and java; others have no walls.",
        default=None,
        ours=True,
    )
    capabilities: tuple[str, ...] = key(
        f"Privileges of root that the program has, whatever its user: some of {listed(HARMLESS, 'and')}. Default: none.",
        factory=tuple,
        ours=True,
        pattern=CAPABILITY,
        known=CAPABILITIES,
        expected="a capability, such as NET_BIND_SERVICE",
    )
