# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an exec task sees of the robot: everything is read-only but its own directories, and what others own is hidden.

Every line is needed on every systemd. Under ProtectSystem=strict, /home and /root stay writable, and ProtectControlGroups= makes
/run writable again (seen on 252 and 257).
"""

from __future__ import annotations

from .....module_utils._engine import plan
from ....job.model.vocabulary import Files
from ... import paths
from ...isolation import files
from ...systemd import Directives, item
from .launch import Launch

SECRETS_OPTIONS = "size=1M,nr_inodes=256,mode=1777"

# Where a task that shares namespaces finds the files of these.
NAMESPACES = f"{plan.STATE}/namespaces"

# The user that owns all that systemd's directives leave writable.
ROOT = "root"
# What programs need of /run, and all that root sees there: name resolution, the log, the names of devices. Behind other sockets, such as
# D-Bus and systemd's own, services do for root whatever it asks.
_RUN = (
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
# Those of files.PRIVATE that ProtectHome= empties.
_SESSIONS = "/run/user"
_HOMES = ("/home", "/root", _SESSIONS)
# Runs a command after it has made the namespace's own /proc, and /dev, read-only: without any privilege, root could still write
# to /proc/sys/kernel/core_pattern, and so have the kernel start a program outside. The task's variables must not reach `mount`.
REMOUNT = (
    "/bin/sh",
    "-c",
    'for place in /proc /dev; do /usr/bin/env -i /bin/mount -o remount,bind,ro "$place" || exit; done; exec "$@"',
    "sh",
)


def directives(launch: Launch) -> Directives:
    root, chroot = launch.user == ROOT, launch.files is Files.CHROOT
    # To root without privileges belongs what root's programs trust: lists of what was placed, and files with variables.
    own = f"{launch.directory}/local" if root else launch.directory
    binds = [*map(item, (own, launch.alloc)), *(f"{item(launch.tmp)}:{place}" for place in ("/tmp", "/var/tmp"))]
    hidden = [plan.CONFIGURATION, *paths.SPIRE, "/root"]
    if launch.memory:
        binds.append(f"{item(launch.memory)}:/dev/shm")
        # The robot's message queues. Those of the task's own IPC namespace need no mount.
        hidden.append("/dev/mqueue")
    # Of our state and SPIRE's, the task sees only what belongs to itself and its group. Its secrets are in a file system in
    # memory that no other process sees, and that counts towards the task's memory; with templates there, in the robot's /run.
    empty = [f"{plan.STATE}:ro,mode=0755"]
    if launch.filled:
        # Each program of a unit has a file system of its own there: the unit's first one would fill another one than the task's.
        # That one makes the directory.
        binds.append(f"-{item(launch.filled)}:{item(launch.secrets)}")
    else:
        empty.append(item(f"{launch.secrets}:{SECRETS_OPTIONS}"))
    shown = [item(launch.directory)] if root else []
    if root or chroot:
        empty.append("/run:ro,mode=0755")
        shown += [f"-{path}" for path in _RUN]
    else:
        # Whoever can open a socket of a user's manager has it start programs outside of all this.
        hidden += [plan.RUNTIME, _SESSIONS]
    if chroot:
        empty.append("/:ro,mode=0755")
        # A place cannot be shown twice.
        of_pod = ("/etc/hosts", "/etc/resolv.conf") if launch.pod else ()
        shown += [*files.KERNEL, *(f"-{path}" for path in (*files.PROGRAMS, *files.SETTINGS) if path not in of_pod)]
    if launch.files is Files.PRIVATE:
        empty += [f"{path}:ro,mode=0755" for path in files.PRIVATE if path not in _HOMES]
    if launch.namespaces:
        # When what holds them has died, what is to be done at the end of the task must run all the same.
        shown.append(f"-{item(launch.namespaces)}:{NAMESPACES}")
    return [
        *([] if chroot else _read_only(launch)),
        ("ProtectKernelTunables", "yes"),
        ("ProtectControlGroups", "yes"),
        ("TemporaryFileSystem", " ".join(empty)),
        ("InaccessiblePaths", " ".join(f"-{path}" for path in hidden)),
        *([("BindReadOnlyPaths", " ".join(shown))] if shown else []),
        *([] if root or chroot else [("ReadOnlyPaths", "/run")]),
        ("BindPaths", " ".join(binds)),
        *(launch.secrets_in_runtime if launch.filled else []),
        *launch.network,
        *launch.mounts,
        *_devices(launch),
    ]


def _read_only(launch: Launch) -> Directives:
    """Not for a root that is built of binds, each read-only itself: they would win over it."""
    return [("ProtectSystem", "strict"), ("ProtectHome", "tmpfs" if launch.files is Files.PRIVATE else "read-only")]


def _devices(launch: Launch) -> Directives:
    """Without a list of its own, root may open all but disks, which it owns too, and others what the files' modes allow."""
    if launch.files is Files.CHROOT:
        # All files are there where the task names devices: one that is plugged in later is to be found. It may open those alone.
        shown = [("BindPaths", "/dev"), ("DevicePolicy", "closed")] if launch.devices else [("PrivateDevices", "yes")]
        return [*shown, *(("DeviceAllow", f"{item(each)} rw") for each in launch.devices)]
    allowed = launch.devices or (("char-*",) if launch.user == ROOT else ())
    return [("DevicePolicy", "closed"), *(("DeviceAllow", f"{item(each)} rw") for each in allowed)] if allowed else []
