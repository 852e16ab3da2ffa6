# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an exec task sees of the robot: everything is read-only but its own directories, and what others own is hidden.

Every line is needed on every systemd. Under ProtectSystem=strict, /home and /root stay writable, and ProtectControlGroups= makes
/run writable again (seen on 252 and 257).
"""

from __future__ import annotations

from .....module_utils._engine import plan
from ... import paths, systemd
from ...systemd import Directives, item
from .launch import Launch

SECRETS_OPTIONS = "size=1M,nr_inodes=256,mode=1777"

# Where a task that shares namespaces finds the files of these.
NAMESPACES = f"{plan.STATE}/namespaces"

# The user that owns all that systemd's directives leave writable.
ROOT = "root"
# What programs need of /run when they run as root: name resolution, the log, the names of devices. Behind other sockets there,
# such as D-Bus and systemd's own, services do for root whatever it asks.
_RUN_FOR_ROOT = (
    "/run/NetworkManager",
    "/run/connman",
    "/run/nscd",
    "/run/resolvconf",
    "/run/systemd/journal/dev-log",
    "/run/systemd/journal/socket",
    "/run/systemd/journal/stdout",
    "/run/systemd/resolve",
    "/run/udev/data",
)
# Runs a command after it has made the namespace's own /proc, and /dev, read-only: without any privilege, root could still write
# to /proc/sys/kernel/core_pattern, and so have the kernel start a program outside. The task's variables must not reach `mount`.
REMOUNT = (
    "/bin/sh",
    "-c",
    'for place in /proc /dev; do /usr/bin/env -i /bin/mount -o remount,bind,ro "$place" || exit; done; exec "$@"',
    "sh",
)


def directives(launch: Launch) -> Directives:
    root = launch.user == ROOT
    binds = [*map(item, (launch.directory, launch.alloc)), *(f"{item(launch.tmp)}:{place}" for place in ("/tmp", "/var/tmp"))]
    hidden = [plan.CONFIGURATION, *paths.SPIRE, "/root"]
    if launch.memory:
        # The dash is for the command that makes it.
        binds.append(f"-{item(launch.memory)}:/dev/shm")
        # The robot's message queues. Those of the task's own IPC namespace need no mount.
        hidden.append("/dev/mqueue")
    # Of our state and SPIRE's, the task sees only what belongs to itself and its group. Its secrets are in a file system in
    # memory that no other process sees, and that counts towards the task's memory.
    empty = [f"{plan.STATE}:ro,mode=0755", item(f"{launch.secrets}:{SECRETS_OPTIONS}")]
    if root:
        empty.append("/run:ro,mode=0755")
    else:
        hidden.append(plan.RUNTIME)
    shown = [f"-{path}" for path in _RUN_FOR_ROOT] if root else []
    if launch.namespaces:
        # When what holds them has died, what is to be done at the end of the task must run all the same.
        shown.append(f"-{item(launch.namespaces)}:{NAMESPACES}")
    return [
        *([("ExecStartPre", systemd.as_root(launch.prepare))] if launch.prepare else []),
        ("ProtectSystem", "strict"),
        ("ProtectHome", "read-only"),
        ("ProtectKernelTunables", "yes"),
        ("ProtectControlGroups", "yes"),
        ("TemporaryFileSystem", " ".join(empty)),
        ("InaccessiblePaths", " ".join(f"-{path}" for path in hidden)),
        *([("BindReadOnlyPaths", " ".join(shown))] if shown else []),
        *([] if root else [("ReadOnlyPaths", "/run")]),
        ("BindPaths", " ".join(binds)),
        *launch.mounts,
        *_devices(launch),
    ]


def _devices(launch: Launch) -> Directives:
    """Without a list of its own, root may open all but disks, which it owns too, and others what the files' modes allow."""
    allowed = launch.devices or (("char-*",) if launch.user == ROOT else ())
    return [("DevicePolicy", "closed"), *(("DeviceAllow", f"{item(each)} rw") for each in allowed)] if allowed else []
