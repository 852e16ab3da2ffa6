# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a task sees of the robot's files: lists of places, by the value of isolation.files."""

from __future__ import annotations

import typing as t

from ....module_utils._engine import plan
from ...job.model.task import Task
from ...job.model.vocabulary import Files

# What the robot's users have, and what somebody mounts. Programs of vendors are in /opt.
PRIVATE = ("/home", "/media", "/mnt", "/root", "/srv", "/run/user")
# Of a root that is built: programs and their libraries. Where /usr is merged, most of these are links into it.
PROGRAMS = ("/bin", "/lib", "/lib32", "/lib64", "/libx32", "/sbin", "/usr")
# What libraries read: where others are, names of users and machines, time zones, certificates.
SETTINGS = (
    "/etc/alternatives",
    "/etc/ca-certificates",
    "/etc/gai.conf",
    "/etc/group",
    "/etc/host.conf",
    "/etc/hostname",
    "/etc/hosts",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
    "/etc/machine-id",
    "/etc/nsswitch.conf",
    "/etc/os-release",
    "/etc/passwd",
    "/etc/pki",
    "/etc/protocols",
    "/etc/resolv.conf",
    "/etc/services",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/etc/timezone",
)
KERNEL = ("/proc", "/sys")
# Its own, in any case.
_OWN = ("/dev", "/tmp", "/var/tmp", plan.STATE)


def of(spec: Task) -> Files:
    return (spec.isolation.files if spec.isolation else None) or Files.READONLY


def hidden(spec: Task, path: str) -> bool:
    """Whether the task cannot see what the robot has at an absolute path."""
    if _is_below(path, (volume.target for volume in spec.volumes)):
        return False
    if of(spec) is Files.CHROOT:
        return not _is_below(path, (*PROGRAMS, *SETTINGS, *KERNEL, *_OWN))
    return of(spec) is Files.PRIVATE and _is_below(path, PRIVATE)


def _is_below(path: str, places: t.Iterable[str]) -> bool:
    return any(path == place or path.startswith(place + "/") for place in places)
